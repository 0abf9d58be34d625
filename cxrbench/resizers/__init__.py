"""Resizers: parts in front of a network that change the size of its images."""
