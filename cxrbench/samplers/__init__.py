"""Built-in samplers (:class:`cxrbench.interfaces.Sampler`)."""
