"""The files of an ensemble beside those of every run: its page, figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.files import write_text
from cxrbench.report.ensemble_figures import ensemble_figures
from cxrbench.report.ensemble_section import TRACE, ensemble_section, member_rows
from cxrbench.report.page.page import write_page
from cxrbench.report.sheet import house_style


def write_ensemble(
    folder: Path, name: str, told: Mapping[str, Any], trace: Sequence[Mapping[str, Any]]
) -> None:
    """Write ``ensemble.html``, ``ensemble_members.csv``, ``ensemble_trace.csv`` and the figures as PNG.

    Args:
        folder: of the run.
        name: of the search.
        told: of the ensemble, see :func:`cxrbench.workflow.contrast.contrast`.
        trace: of its search.
    """
    rows = member_rows(told)
    write_text(folder / "ensemble_members.csv", pd.DataFrame(rows).to_csv(index=False))
    if trace:
        write_text(folder / TRACE, pd.DataFrame(trace).to_csv(index=False))
    with house_style():
        for figure, sheet in ensemble_figures(name, told, trace).items():
            sheet.save(folder / f"ensemble_{figure}.png")
    section = ensemble_section(name, told, trace)
    write_page(
        folder / "ensemble.html",
        "ensemble.html.j2",
        title=f"Ensemble: {name} of {len(rows)} run{'s' if len(rows) > 1 else ''}",
        subtitle=f"{section['head']} on tune made as high as it can be; {told['combine']} combined",
        ensemble=section,
    )
