"""Heads: what makes logits of a backbone's maps."""
