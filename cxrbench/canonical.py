"""The one JSON text of a value, and the hash that keys are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

_PLAIN = {str, int, bool, type(None)}


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no blanks, NaN as null."""
    return json.dumps(
        jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: object) -> str:
    """The first 24 hex digits (96 bits) of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:24]


def jsonable(value: Any) -> Any:
    """The value in JSON's types: NumPy's as Python's, tuples as lists, NaN and infinities as null."""
    # Of long tables, a call for each cell would take seconds.
    if type(value) is dict and set(map(type, value)) == {str} and set(map(type, value.values())) <= _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        # A finite sum has finite terms.
        kinds = set(map(type, value))
        if kinds <= _PLAIN or (kinds == {float} and math.isfinite(sum(value))):
            return list(value)
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
