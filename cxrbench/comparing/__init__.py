"""Stored runs against each other: paired differences, and what may be said of them.

``stored`` gives a run's figures with their replicates, ``sides`` which runs stand together, ``paired`` the
differences and the verdict.
"""
