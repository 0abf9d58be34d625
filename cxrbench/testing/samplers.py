"""Checks of samplers."""

from __future__ import annotations

from cxrbench.testing.check import Check

CHECKS: tuple[Check, ...] = ()
