"""Built-in augmentations (:class:`cxrbench.interfaces.Augmentation`), and the operations that they share."""
