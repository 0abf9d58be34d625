"""A trained network in the formats of other tools."""
