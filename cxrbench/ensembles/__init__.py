"""Searches of ensembles that come along (:class:`cxrbench.interfaces.EnsembleSearch`)."""
