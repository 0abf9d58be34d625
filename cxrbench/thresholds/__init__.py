"""Built-in threshold strategies (:class:`cxrbench.interfaces.ThresholdStrategy`)."""
