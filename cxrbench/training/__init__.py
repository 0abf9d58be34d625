"""Training: images as batches, the device's view of them, the one loop, and its checkpoints."""
