"""The fourteen findings and the spellings under which they appear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.findings import NIH_FINDINGS, NO_FINDING, canonical_finding


def test_there_are_fourteen_in_the_order_of_the_paper():
    assert len(set(NIH_FINDINGS)) == 14
    # The eight of ChestX-ray8 come first, in its order.
    assert NIH_FINDINGS[:8] == (
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    )


@given(st.sampled_from(NIH_FINDINGS), st.randoms())
def test_case_blanks_and_underscores_do_not_matter(finding, random):
    text = "".join(random.choice([c.upper(), c.lower()]) for c in finding)
    text = text.replace("_", random.choice(["_", " "]))
    assert canonical_finding(f" {text}\n") == finding


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Infiltrate", "Infiltration"),
        ("INFILTRATE ", "Infiltration"),
        ("Pleural Thickening", "Pleural_Thickening"),
        ("Pleural_Thickening", "Pleural_Thickening"),
        (NO_FINDING, None),
        ("Fracture", None),
        ("Mas", None),
        ("Mass|Nodule", None),
        ("", None),
    ],
)
def test_spellings(text, finding):
    assert canonical_finding(text) == finding
