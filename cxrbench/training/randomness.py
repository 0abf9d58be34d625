"""Randomness that derives from (seed, epoch, image id), so that a resumed run repeats a whole one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def derive(*parts: object) -> int:
    """A 63-bit seed from anything that prints the same everywhere."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def uniforms(id_hashes: NDArray[np.uint64], draws: int, *parts: object) -> NDArray[np.float32]:
    """Uniform numbers in 0..1 ``[n, draws]``, each row a function of its image's hash and ``parts`` alone.

    The mixing is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), here a counter-based generator.
    """
    counters = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (id_hashes ^ np.uint64(derive(*parts)))[:, None] + counters
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    numbers: NDArray[np.float32] = ((mixed >> np.uint64(40)).astype(np.float64) / 2**24).astype(np.float32)
    return numbers


def hash_ids(image_ids: Iterable[str]) -> NDArray[np.uint64]:
    """A 64-bit number ``[n]`` for each image id, the same everywhere: what its randomness derives from."""
    digests = (hashlib.blake2b(image_id.encode(), digest_size=8).digest() for image_id in image_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def sampler_draws(id_hashes: NDArray[np.uint64], *parts: object) -> NDArray[np.float64]:
    """A sampler's uniform number in 0..1 for each image ``[n]``, of 48 bits so that no two are the same."""
    high, low = uniforms(id_hashes, 2, "sampler", *parts).astype(np.float64).T
    draws: NDArray[np.float64] = high + low * 2.0**-24
    return draws
