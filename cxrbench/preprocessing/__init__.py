"""Built-in preprocessing (:class:`cxrbench.interfaces.Preprocessing`)."""
