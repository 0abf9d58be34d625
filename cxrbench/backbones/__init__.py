"""Networks that come with cxrbench."""
