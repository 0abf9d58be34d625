"""Predictions that others made, read from files and joined with labels by image id.

A file of one format (``csv_file``, ``parquet_file``, ``npz_file``) becomes a ``ScoreTable`` (``reading``,
``columns``), its values logits (``values``), its rows images with labels, patients and roles (``labels``,
``joining``). From there on it is like any network's predictions: see :mod:`cxrbench.workflow.scoring`.
"""
