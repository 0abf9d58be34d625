"""The stages of a run, one file each; their order stands in :mod:`cxrbench.workflow` alone."""
