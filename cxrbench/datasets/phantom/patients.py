"""Who there is and what each image shows.

Patients come in an endless numbered row, every fourth of them in the test list; a data set of any
size takes the first images of that row, so a smaller phantom is a part of the larger one. Findings
are dealt role by role in decks of twenty images: however the dice fall, each deck holds its share of
every finding, which is what makes the floors and the order of prevalence certain for any seed.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from cxrbench.datasets.phantom.streams import below, stream
from cxrbench.roles import ROLES, Role, role_of

Official = Literal["train_val", "test"]

PER_MILLE = {
    "Infiltration": 130,
    "Effusion": 116,
    "Atelectasis": 107,
    "Nodule": 99,
    "Mass": 92,
    "Pneumothorax": 86,
    "Consolidation": 80,
    "Pleural_Thickening": 75,
    "Cardiomegaly": 70,
    "Emphysema": 66,
    "Edema": 62,
    "Fibrosis": 58,
    "Pneumonia": 54,
    "Hernia": 50,
}
"""Images with each finding, in a thousand: NIH ChestX-ray14's order, flattened so that all can be learned."""

DECK = 20
"""Images of one role among which findings are dealt together."""

_TOGETHER = {
    ("Atelectasis", "Effusion"): 3,
    ("Cardiomegaly", "Effusion"): 3,
    ("Consolidation", "Effusion"): 2,
    ("Consolidation", "Infiltration"): 2,
    ("Edema", "Cardiomegaly"): 5,
    ("Edema", "Effusion"): 3,
    ("Emphysema", "Pneumothorax"): 3,
    ("Fibrosis", "Pleural_Thickening"): 3,
    ("Mass", "Nodule"): 3,
    ("Pleural_Thickening", "Effusion"): 2,
    ("Pneumonia", "Infiltration"): 4,
}
"""How many times likelier the first finding is in an image that already has the second."""

_BEDSIDE = frozenset({"Infiltration", "Effusion", "Atelectasis", "Edema", "Pneumonia", "Consolidation"})
"""Findings twice as likely in an AP image, which is taken of those who cannot stand."""

_LATE = frozenset({"Cardiomegaly", "Emphysema", "Fibrosis", "Hernia"})
"""Findings twice as likely from the age of sixty."""

_VISITS = (1, 1, 1, 1, 2, 2, 2, 3, 4, 6)
"""Images of a patient, equally likely."""


@dataclass(frozen=True, slots=True)
class Study:
    """One image: whose it is and what it shows (not what its label may say).

    Attributes:
        image_id: ``phantom-000123_004``: patient and number of the image, from 0.
        patient_id: ``phantom-000123``.
        age: in whole years at the time of the image.
        sex: ``M`` or ``F``.
        view: ``PA`` (standing) or ``AP`` (in bed).
        official: the list that the patient stands in.
        findings: what the image shows.
    """

    image_id: str
    patient_id: str
    age: int
    sex: Literal["M", "F"]
    view: Literal["PA", "AP"]
    official: Official
    findings: tuple[str, ...] = ()


@functools.lru_cache(maxsize=8)
def cohort(seed: int, train_val: int, test: int, prevalence_shift: float) -> dict[str, Study]:
    """The studies of a data set by image id, in the order of patients.

    Args:
        seed: another seed is another population.
        train_val: images in the train_val list.
        test: images in the test list.
        prevalence_shift: multiplies the prevalence of every finding in the test list.
    """
    wanted: dict[Official, int] = {"train_val": train_val, "test": test}
    kept: set[str] = set()
    by_role: dict[Role, list[Study]] = {role: [] for role in ROLES}
    needed = Counter[Role]()
    for study in _row(seed):
        role = role_of(study.patient_id, study.official)
        by_role[role].append(study)
        if wanted[study.official]:
            wanted[study.official] -= 1
            kept.add(study.image_id)
            needed[role] = -(-len(by_role[role]) // DECK) * DECK
        if not any(wanted.values()) and all(len(by_role[role]) >= needed[role] for role in ROLES):
            break
    dealt: dict[str, Study] = {}
    for role, studies in by_role.items():
        shift = prevalence_shift if role == "test" else 1.0
        for deck in range(needed[role] // DECK):
            cards = _deal(seed, role, deck, studies[deck * DECK : (deck + 1) * DECK], shift)
            dealt.update((card.image_id, card) for card in cards if card.image_id in kept)
    return dict(sorted(dealt.items()))


def _row(seed: int) -> Iterator[Study]:
    """All images of all patients without their findings.

    How many images a patient has does not depend on the seed; nor, then, does the size of a role.
    """
    for number in itertools.count(1):
        patient_id = f"phantom-{number:06d}"
        rng = stream(seed, "patient", number)
        sex: Literal["M", "F"] = "M" if rng.random() < 0.55 else "F"
        age = 18 + int(36 * (rng.random() + rng.random()))
        bedridden = rng.random()
        for visit in range(_VISITS[below(stream("visits", number), len(_VISITS))]):
            age += rng.random() < 0.3
            yield Study(
                image_id=f"{patient_id}_{visit:03d}",
                patient_id=patient_id,
                age=age,
                sex=sex,
                view="AP" if rng.random() < 0.8 * bedridden else "PA",
                official="train_val" if number % 4 else "test",
            )


def _deal(seed: int, role: Role, deck: int, studies: list[Study], shift: float) -> list[Study]:
    """Give one deck its findings: the number is fixed, who gets them is drawn by weight."""
    rng = stream(seed, "deal", role, deck)
    findings: list[list[str]] = [[] for _ in studies]
    for finding, per_mille in PER_MILLE.items():
        millionths = round(per_mille * shift * 1000)
        first, last = (k * DECK * millionths // 1_000_000 for k in (deck, deck + 1))
        for _ in range(last - first):
            weights = [_weight(finding, *pair) for pair in zip(studies, findings, strict=True)]
            ticket = below(rng, sum(weights))
            winner = next(i for i, end in enumerate(itertools.accumulate(weights)) if ticket < end)
            findings[winner].append(finding)
    return [replace(study, findings=tuple(f)) for study, f in zip(studies, findings, strict=True)]


def _weight(finding: str, study: Study, present: list[str]) -> int:
    """How readily a study takes one more finding; sick patients attract more, up to four."""
    if finding in present:
        return 0
    weight = 12 if not present else 24 if len(present) < 4 else 1
    for other in present:
        weight *= _TOGETHER.get((finding, other), 1)
    if finding in _BEDSIDE and study.view == "AP":
        weight *= 2
    if finding in _LATE and study.age >= 60:
        weight *= 2
    return weight
