"""The one JSON text of a value, and the hash that keys are made of."""

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.canonical import canonical_json, digest, jsonable

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value, rng):
    """The same value, its mappings in another order and its lists as tuples."""
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return tuple(shuffled(item, rng) for item in value)
    return value


@given(values, st.integers())
def test_the_order_of_keys_does_not_matter(value, seed):
    assert canonical_json(shuffled(value, random.Random(seed))) == canonical_json(value)


@given(values)
def test_the_text_reads_back_as_the_value(value):
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == jsonable(value)
    assert canonical_json(json.loads(text)) == text


@given(values, values)
def test_values_share_a_digest_only_where_they_share_a_text(first, second):
    assert (digest(first) == digest(second)) == (canonical_json(first) == canonical_json(second))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [1.5, True, None]}, '{"a":[1.5,true,null],"b":1}'),
        ({"é": "ü"}, '{"\\u00e9":"\\u00fc"}'),
        ([math.nan, math.inf, -math.inf], "[null,null,null]"),
        ({1: "x"}, '{"1":"x"}'),
        ((1, (2,)), "[1,[2]]"),
        (np.float64(0.1), "0.1"),
        (np.int32(3), "3"),
        (np.bool_(True), "true"),
        (np.float32("nan"), "null"),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        ({"x": np.array([0.5, np.nan])}, '{"x":[0.5,null]}'),
    ],
)
def test_texts(value, text):
    assert canonical_json(value) == text


@given(st.lists(st.floats(width=64), max_size=8))
def test_an_array_reads_as_its_list(numbers):
    assert digest(np.array(numbers, dtype=np.float64)) == digest(numbers)


def test_the_digest_is_the_same_on_every_machine():
    # The hash of the text, computed by sha256sum: a change here makes every store's keys new.
    assert digest({"b": [1, 2.5], "a": None}) == "e57f5d37865437a82e1108ba"


def test_what_json_cannot_say_is_refused():
    with pytest.raises(TypeError):
        canonical_json({"x": object()})
