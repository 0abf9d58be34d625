"""What ensembles are made of.

``members`` reads stored runs and joins them by image id, ``scales`` brings their logits to a common scale and
back, ``fitness`` says how good weighted averages are, ``spec`` is what such a run is, ``record`` what is kept
of a search. The searches themselves are components (:mod:`cxrbench.ensembles`).
"""
