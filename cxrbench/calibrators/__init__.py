"""Built-in calibrators (:class:`cxrbench.interfaces.Calibrator`)."""
