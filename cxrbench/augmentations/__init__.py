"""Built-in augmentations (:class:`cxrbench.interfaces.Augmentation`)."""
