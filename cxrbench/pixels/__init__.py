"""Pixels of a data set: each image's identity, and the cache that batches are read from."""
