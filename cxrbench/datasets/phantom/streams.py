"""Random numbers that are the same on every machine: one stream for each name.

Python's Mersenne Twister is specified bit for bit, cheap to call for single numbers, and
``uniform`` is one multiplication and one addition, so that everything derived from it by
``+ - * /`` and ``sqrt`` (labels, boxes) is exact anywhere.
"""

from __future__ import annotations

import hashlib
import random

VERSION = "1"
"""Generator version: part of every stream's name. Change it when any label, box or pixel changes."""


def stream(*name: object) -> random.Random:
    """The stream called ``name``: independent of every other name's and of the order of use."""
    text = "/".join(map(str, ("phantom", VERSION, *name)))
    return random.Random(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big"))


def below(rng: random.Random, limit: int) -> int:
    """A whole number 0..limit-1."""
    return int(rng.random() * limit)


def either_side(rng: random.Random) -> int:
    """-1, the patient's right, or +1, the left."""
    return -1 if rng.random() < 0.5 else 1
