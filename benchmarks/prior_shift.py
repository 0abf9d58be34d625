"""What correcting for prevalence does where NIH's official lists differ in it; see ``docs/statistics.md``.

    python benchmarks/prior_shift.py NIH_FOLDER FILE.npz… [--figure shift.svg]

NIH_FOLDER holds ``Data_Entry_2017_v2020.csv`` and the two official lists; each FILE has ``test_logits``,
``test_labels`` and ``test_patient`` of a network on the whole test list. What these lack is predictions on
train_val, so each network is taken two ways: as it is, as if its probabilities were of train_val's
prevalence; and calibrated to that on half of the test patients (Platt, positives and negatives weighted so
that their share is train_val's), judged on the other half. Without arguments it says so and ends.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from cxrbench.findings import NIH_FINDINGS
from cxrbench.statistics.calibration import expected_calibration_error
from cxrbench.statistics.prior_shift import estimate_prevalence, with_prevalence
from cxrbench.training.randomness import hash_ids

LISTS = ("train_val", "test")


def prevalences(folder: Path) -> dict[str, np.ndarray]:
    table = pd.read_csv(folder / "Data_Entry_2017_v2020.csv", index_col="Image Index")
    found = {}
    for name in LISTS:
        ids = (folder / f"{name}_list.txt").read_text(encoding="utf-8").split()
        labels = table.loc[ids, "Finding Labels"].str.get_dummies("|")
        found[name] = labels[list(NIH_FINDINGS)].to_numpy(float).mean(axis=0)
    return found


def judged(probabilities: np.ndarray, labels: np.ndarray, source: np.ndarray) -> list[float]:
    """Macro ECE as it is, with the estimated and with the known prevalence; the mean estimate."""
    estimated, known = estimate_prevalence(probabilities, source), labels.mean(axis=0)
    shown = [
        probabilities,
        with_prevalence(probabilities, source, estimated),
        with_prevalence(probabilities, source, known),
    ]
    return [
        *(float(expected_calibration_error(each, labels).mean()) for each in shown),
        float(estimated.mean()),
    ]


def calibrated(logits: np.ndarray, labels: np.ndarray, source: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    columns = []
    for column, share in enumerate(source):
        x, y = logits[fitted, column, None], labels[fitted, column]
        weights = np.where(y == 1, share / y.mean(), (1 - share) / (1 - y.mean()))
        platt = LogisticRegression(C=np.inf).fit(x, y, sample_weight=weights)
        columns.append(platt.predict_proba(logits[~fitted, column, None])[:, 1])
    return np.column_stack(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nih", type=Path, nargs="?")
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    if not given.nih or not given.files:
        print("skipped: give NIH's folder and files of predictions on its test list")
        return
    shares = prevalences(given.nih)
    source = shares["train_val"]
    for name, train_val, test in zip(NIH_FINDINGS, source, shares["test"], strict=True):
        print(f"{name:<20}{train_val:8.4f}{test:8.4f}  x {test / train_val:.2f}")
    print(f"{'macro ECE':<22}   as it is, estimated, known; mean prevalence estimated, true")
    for path in given.files:
        file = np.load(path)
        logits, labels = file["test_logits"].astype(float), file["test_labels"].astype(float)
        patients = [f"{patient}" for patient in file["test_patient"]]
        fitted = hash_ids(patients) % 2 == 0
        ways = {
            "as it is": (expit(logits), labels),
            "calibrated": (calibrated(logits, labels, source, fitted), labels[~fitted]),
        }
        for way, (probabilities, truth) in ways.items():
            *ece, mean = judged(probabilities, truth, source)
            told = "  ".join(f"{each:.3f}" for each in ece)
            print(f"{path.stem:<20}{way:<12}{told}   {mean:.3f}  {truth.mean():.3f}")
    if given.figure:
        draw(shares, given.figure)


def draw(shares: dict[str, np.ndarray], path: Path) -> None:
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "cxrbench"
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    order = np.argsort(shares["test"])
    places = np.arange(len(order))
    axes.hlines(places, shares["train_val"][order], shares["test"][order], color="0.7", linewidth=2)
    axes.plot(
        shares["train_val"][order], places, "o", color="white", markeredgecolor="tab:blue", label="train_val"
    )
    axes.plot(shares["test"][order], places, "o", color="tab:blue", label="test")
    axes.set_yticks(places, [NIH_FINDINGS[place].replace("_", " ") for place in order])
    axes.set_xlabel("share of images with the finding")
    axes.set_xlim(left=0)
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
