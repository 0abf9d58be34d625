"""Checks of installed plugins: in processes of their own, under a time limit, and remembered."""
