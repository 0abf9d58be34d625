"""Tasks: what a network is to predict."""
