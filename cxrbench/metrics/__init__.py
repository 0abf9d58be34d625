"""Built-in metrics (:class:`cxrbench.interfaces.Metric`)."""
