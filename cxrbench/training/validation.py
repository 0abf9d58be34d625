"""What a network is on val after an epoch: what the log has, and what the best epoch is chosen by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from cxrbench.statistics.averages import macro
from cxrbench.statistics.decisions import balanced_accuracy, confusion, f1, precision, recall
from cxrbench.statistics.operating import best_f1
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.single_label import accuracy, confusion_matrix
from cxrbench.training.inference import logits_of
from cxrbench.training.setting import Training

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

LOGGED_THRESHOLDS = (0.4, 0.5, 0.6)
"""For all findings alike: those of Dunn Beltran and Alsaghier, "Multi-Label Classification for Chest X-Rays",
2022, section 5, which has figures at each of them after every epoch."""


def validate(training: Training, network: nn.Module, device: torch.device) -> dict[str, float]:
    """Loss and figures on val; F1 at the best threshold of each finding, or of the most probable class.

    In fp32, as predictions are: what is selected is then what is predicted with, and ties of bf16's 8 bits
    select nothing. Val is a ninth of train, and a step costs three passes, so this costs some percent.
    """
    logits = logits_of(
        network,
        training.backbone,
        training.val,
        image_size=training.image_size,
        crop=training.crop,
        batch_size=training.spec.images_a_step,
        channels_last=training.spec.channels_last,
        device=device,
    )
    labels = training.val.known_labels
    with torch.inference_mode():
        loss = float(training.loss(logits, torch.from_numpy(labels.astype(np.float32))))
    if np.isnan(labels).all():
        loss = math.nan
    probabilities = training.task.probabilities(logits.numpy())
    if training.task.kind == "singlelabel":
        decisions = training.task.decide(probabilities, None)
        f1_of_each = f1(confusion(decisions, labels))
        row = {"accuracy": accuracy(confusion_matrix(decisions, labels))}
    else:
        thresholds, f1_of_each = best_f1(probabilities, labels)
        decisions = training.task.decide(probabilities, thresholds)
        row = _at_fixed(training, probabilities, labels)
    counts = confusion(decisions, labels)
    return {
        "val_loss": loss,
        "mean_precision": macro(precision(counts)),
        "mean_recall": macro(recall(counts)),
        "macro_f1": macro(f1_of_each),
        "macro_auc": macro(auc(probabilities, labels)),
        **row,
    }


def _at_fixed(training: Training, probabilities: FloatArray, labels: FloatArray) -> dict[str, float]:
    """Figures on val at each of :data:`LOGGED_THRESHOLDS`."""
    row = {}
    for threshold in LOGGED_THRESHOLDS:
        everywhere = np.full(probabilities.shape[1], threshold)
        counts = confusion(training.task.decide(probabilities, everywhere), labels)
        row[f"macro_f1_at_{threshold:g}"] = macro(f1(counts))
        row[f"auc_binarized_at_{threshold:g}"] = macro(balanced_accuracy(counts))
    return row
