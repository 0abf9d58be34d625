"""Built-in runtimes (:class:`cxrbench.interfaces.Runtime`)."""
