"""Whether cxrbench can work on this machine: what is there, what is missing, what mends it."""
