"""Explainers: where in an image a network sees a class."""
