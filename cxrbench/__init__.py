"""cxrbench: the chest X-ray benchmark."""

__version__ = "0.1.0"
