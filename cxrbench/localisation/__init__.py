"""Heatmaps against annotated boxes: pairs of image and finding, controls, cut-offs, and the table."""
