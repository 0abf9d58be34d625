"""Pages of the documentation that are made of the code: commands, kinds of component, their tables."""
