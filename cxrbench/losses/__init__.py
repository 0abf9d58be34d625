"""Built-in losses (:class:`cxrbench.interfaces.Loss`)."""
