"""Ages, and rows that repeat, against what they were made from."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.collection import Oddities
from cxrbench.datasets.tables import add_repeated_rows, read_text_table, years
from cxrbench.errors import CxrbenchError


@given(st.integers(0, 120), st.sampled_from(["{}", "{:03d}Y", "{:03d}y", " {} ", "{}.0"]))
def test_an_age_in_years_is_itself(age, form):
    assert years(form.format(age)) == age


@given(st.integers(0, 999), st.sampled_from([("M", 12), ("W", 365.25 / 7), ("D", 365.25)]))
def test_shorter_units_are_shares_of_a_year(number, unit):
    letter, a_year = unit
    assert years(f"{number:03d}{letter}") == pytest.approx(number / a_year)


@given(st.text())
def test_any_text_is_a_plausible_age_or_none(text):
    age = years(text)
    assert math.isnan(age) or 0 <= age <= 120


@pytest.mark.parametrize("text", ["411", "-3", "", "Y", "058YY", "1e2", "nan", "inf", "o58", "121Y"])
def test_what_is_no_age(text):
    assert math.isnan(years(text))


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from("12")), max_size=8)


@given(ROWS)
def test_repeated_rows_agree_or_conflict(rows):
    odd = Oddities()
    table = pd.DataFrame(rows, columns=["image", "label", "fact"], dtype="str")
    conflicting = add_repeated_rows(odd, pd.Index(table["image"]), table["label"], table[["fact"]])
    of = {image: [row[1:] for row in rows if row[0] == image] for image, _, _ in rows}
    labels = {i for i, told in of.items() if len({label for label, _ in told}) > 1}
    facts = {i for i, told in of.items() if len({fact for _, fact in told}) > 1} - labels
    agree = {i for i, told in of.items() if len(told) > 1} - labels - facts
    found = {problem.kind: set(problem.examples) for problem in odd.problems}
    expected = {"label_conflict": labels, "row_conflict": facts, "duplicate_rows": agree}
    assert found == {kind: images for kind, images in expected.items() if images}
    assert conflicting == labels | facts


def test_a_table_is_text_without_blanks_around_it(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf a ,b\n 01 , NA\nx\n")
    assert read_text_table(tmp_path / "t.csv").to_dict("list") == {"a": ["01", "x"], "b": ["NA", ""]}


def test_a_row_with_more_cells_than_the_header_is_refused_and_shifts_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("image,label\na,Mass,\nb,Edema,\n")
    with pytest.raises(CxrbenchError, match="more cells than its header"):
        read_text_table(tmp_path / "t.csv")
    # As NIH publishes it: the last head is empty, and some rows lack its cell.
    (tmp_path / "t.csv").write_text("image,label,\na,Mass,\nb,Edema\n")
    assert list(read_text_table(tmp_path / "t.csv")["image"]) == ["a", "b"]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b'a,b\n1,2,3\n"'])
def test_what_is_no_table_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CxrbenchError, match=r"t\.csv") as refusal:
        read_text_table(tmp_path / "t.csv")
    assert "\n" not in str(refusal.value)
