"""A package of one's own to begin with: what ``cxrbench plugins new`` writes, as plain text templates."""
