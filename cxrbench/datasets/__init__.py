"""Data sets that come with cxrbench."""
