"""Runs as tables for the terminal. What is undefined is shown as a dash, never as 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cxrbench.report.leaderboard_words import prior_shift_told
from cxrbench.report.names import apart, data_of, system, trained_name
from cxrbench.report.systems import systems_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_NULL_NAMES = {
    "prevalence": "always the prevalence",
    "always_negative": "always negative",
    "most_frequent": "always the most frequent",
}

_FIGURES = (
    ("AUC", "macro_auc"),
    ("AP", "macro_ap"),
    ("F1", "macro_f1"),
    ("exact", "exact_match"),
    ("Hamming", "hamming_loss"),
    ("LRAP", "lrap"),
    ("Brier", "macro_brier"),
    ("ECE", "macro_ece"),
)
"""Column heads and the figures below them; averages over findings are macro."""

_INFEASIBLE = "* not feasible: the strategy's constraint cannot be met on the role it is fitted on"

_MORE_FIGURES = (
    ("micro AUC", "micro_auc"),
    ("micro F1", "micro_f1"),
    ("weighted AUC", "weighted_auc"),
    ("weighted F1", "weighted_f1"),
    ("precision", "macro_precision"),
    ("recall", "macro_recall"),
    ("specificity", "macro_specificity"),
    ("accuracy", "accuracy"),
    ("balanced accuracy", "auc_binarized"),
    ("MCC", "macro_mcc"),
    ("AUC at FPR ≤ 0.1", "macro_partial_auc"),
    ("sens. at spec. 0.9", "macro_sens_at_spec90"),
    ("sens. at spec. 0.95", "macro_sens_at_spec95"),
    ("FNFR", "fnfr"),
    ("coverage error", "coverage_error"),
    ("net benefit", "macro_net_benefit"),
    ("Brier: reliability", "macro_brier_reliability"),
    ("Brier: resolution", "macro_brier_resolution"),
    ("adaptive ECE", "macro_ece_adaptive"),
    ("MCE", "macro_mce"),
)
"""What a run's own page shows besides, where it has it."""

_INTERVALS = (
    "[low, high]: 95% intervals over resampled patients of the test set, network, calibration and thresholds "
    "held fixed; another seed varies by more."
)
_NO_INTERVALS = "No intervals: the run is of an older cxrbench; run the same command again to have them."


def summary(records: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """What a call with several runs answers: a row a system where any has several seeds, else a row a run."""
    systems = systems_of(records)
    return systems_table(systems, records) if len(systems) < len(records) else runs_table(records)


def runs_table(records: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """One row a run, one table for each test set, with the null rows that a network must beat.

    Rows come in the order asked for. A run is named by the end of its id, which ``cxrbench show`` takes, and
    by what sets it apart.
    """
    tables: list[RenderableType] = []
    for same in _by_test_set(records):
        table = _figures_table("run", "system", "feasible")
        common, names = apart(same)
        for record, name in zip(same, names, strict=True):
            auc, *others = _figures(record["metrics"])
            if interval := record.get("intervals", {}).get("metrics", {}).get("macro_auc"):
                auc = _with_interval(record["metrics"]["macro_auc"], interval)
            table.add_row(record["run_id"][-8:], name, auc, *others, _feasible(record))
        tables += _with_nulls(table, same[0], common)
    return tables


def systems_table(
    systems: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> list[RenderableType]:
    """One row a system: its figures as mean over seeds and, below, standard deviation; a table a test set.

    ``records`` are the runs behind the systems.
    """
    tables: list[RenderableType] = []
    runs = {record["run_id"]: record for record in records}
    for same in _by_test_set(systems):
        table = _figures_table("seeds", "system")
        common, names = apart(same, seeds=False)
        for system_, name in zip(same, names, strict=True):
            spreads = [system_["metrics"][figure] for _, figure in _FIGURES]
            figures = [f"{_number(each['mean'])}\n± {_number(each['sd'])}" for each in spreads]
            table.add_row(_listed(system_["seeds"]), name, *figures)
        tables += _with_nulls(table, runs[same[0]["run_ids"][0]], common)
    return [*tables, Text("mean over seeds ± standard deviation; 'cxrbench show' lists the single runs")]


def failures_table(failures: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """One row a cell that failed: what it was, why, and where its trace is."""
    table = plain_table()
    for column in ("failed", "reason", "trace"):
        table.add_column(column, overflow="fold")
    _, names = apart(failures)
    for failure, name in zip(failures, names, strict=True):
        table.add_row(name, failure["reason"], failure["trace_file"])
    return [Text(), heading(f"{len(failures)} failed"), table]


def roles_table(
    counts: Mapping[str, int], violations: Sequence[str], not_shown: Sequence[str]
) -> list[RenderableType]:
    """What was checked of a store's roles, the first violation, and what could not be shown."""
    table = plain_table()
    table.add_column("rule", overflow="fold")
    table.add_column("checked", justify="right")
    for rule, count in counts.items():
        table.add_row(rule, f"{count:,}")
    more = f" ({len(violations) - 1} more with --json)" if len(violations) > 1 else ""
    verdict = f"VIOLATED: {violations[0]}{more}" if violations else "No violation."
    return [table, *(Text(f"not shown: {each}") for each in not_shown), Text(verdict, style="bold")]


def _by_test_set(records: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    by_passport: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_passport.setdefault(record["passport"]["id"], []).append(record)
    return list(by_passport.values())


def _figures_table(first: str, second: str, *more: str) -> Table:
    table = plain_table()
    table.add_column(first, no_wrap=True)
    # Folded where it is long: cut short, two runs would look alike.
    table.add_column(second, overflow="fold")
    for head in (*(head for head, _ in _FIGURES), *more):
        table.add_column(head, justify="right", no_wrap=True, min_width=len(head))
    return table


def _with_nulls(table: Table, record: Mapping[str, Any], common: str) -> list[RenderableType]:
    """A table of one test set, its heading, null rows and caption; ``record`` is any run of it."""
    table.add_section()
    for null in record["null"]:
        table.add_row("", _NULL_NAMES[null["name"]], *_figures(null["metrics"]), style="dim")
    shared = [Text(f"all: {common}")] if common else []
    return [heading(data_of(record)), *shared, table, Text(_caption(record))]


def _listed(seeds: Sequence[int]) -> str:
    """Such as ``0, 1, 2``, or how many there are."""
    return ", ".join(map(str, seeds)) if len(seeds) <= 3 else f"{len(seeds)} seeds"


def run_details(record: Mapping[str, Any]) -> list[RenderableType]:
    """A run by finding, overall, by calibrator, and where its files are."""
    name = data_of(record)
    table = plain_table()
    table.add_column("finding", no_wrap=True)
    intervals = {row["finding"]: row for row in record.get("intervals", {}).get("per_finding", ())}
    for column in ("AUC", "AP", "F1", "precision", "recall", "thresh.", "Brier", "ECE", "n+"):
        table.add_column(column, justify="right", no_wrap=True, min_width=5 if column != "n+" else None)
    for row in record["per_finding"]:
        figures = (row[figure] for figure in ("ap", "f1", "precision", "recall"))
        table.add_row(
            row["finding"].replace("_", " "),
            _with_interval(row["auc"], intervals.get(row["finding"], {}).get("auc")),
            *map(_number, figures),
            _number(row["threshold"], 2) + (" " if row["feasible"] else "*"),
            _number(row["brier"]),
            _number(row["ece"]),
            str(row["n_pos"]),
        )
    reasons = [
        Text(f"{row['finding'].replace('_', ' ')}: {row['reason']}")
        for row in record["per_finding"]
        if row["reason"]
    ]
    missed = [] if all(row["feasible"] for row in record["per_finding"]) else [Text(_INFEASIBLE)]
    parts = (
        [heading(f"{name}: {system(record)}"), table, *missed, *reasons],
        [heading(f"{name}: all findings"), _overview(record), Text(_caption(record)), *_said(record)],
        [heading(f"{name}: what calibrating does on test (macro)"), _calibration(record), *_shift(record)],
        [heading(f"{name}: subgroups (macro)"), *_subgroups(record)] if record.get("subgroups") else [],
        [_files(record)],
    )
    return [renderable for part in parts if part for renderable in (*part, Text())][:-1]


def _overview(record: Mapping[str, Any]) -> Table:
    """The figures over all findings, one a row, beside those of the null systems."""
    table = plain_table()
    table.add_column("")
    for column in ("this run", *(_NULL_NAMES[null["name"]] for null in record["null"])):
        table.add_column(column, justify="right")
    metrics, intervals = record["metrics"], record.get("intervals", {}).get("metrics", {})
    for head, figure in (*_FIGURES, *_MORE_FIGURES):
        if figure not in metrics:  # an older run
            continue
        nulls = (_number(null["metrics"].get(figure)) for null in record["null"])
        table.add_row(head, _with_interval(metrics[figure], intervals.get(figure)), *nulls)
    return table


def _feasible(record: Mapping[str, Any]) -> str:
    rows = record["per_finding"]
    return f"{sum(row['feasible'] for row in rows)}/{len(rows)}"


def plain_table() -> Table:
    """A table without lines."""
    return Table(header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))


def heading(text: str) -> Text:
    """What stands above a table."""
    # Not the table's own title, which would wrap at the table's width.
    return Text(text, style="bold")


def marks(clauses: Iterable[str]) -> list[Text]:
    """Lines on components that failed a check (:mod:`cxrbench.conformance.marks`), each once."""
    return [Text(f"NOT CONFORMING: {clause}") for clause in dict.fromkeys(clauses)]


def _caption(record: Mapping[str, Any]) -> str:
    passport = record["passport"]
    shared = {pair: count for pair, count in passport["shared_patients"].items() if count}
    leak = f"; PATIENTS SHARED: {shared}" if shared else ""
    if None in passport["shared_patients"].values():
        leak += "; patients shared with training: not known"
    covered, findings = record["metrics"]["auc_findings"], len(record["per_finding"])
    few = (
        "" if covered == findings else f"; AUC and AP of {covered} of {findings} (the others have one class)"
    )
    here, listed = sum(passport["images"].values()), sum(record.get("listed", {}).values())
    if record.get("test_dataset"):
        # Of the other data set, only what it lists for testing was looked at.
        here, listed = passport["images"]["test"], record["listed"].get("test", 0)
    part = f"{here:,} of {listed:,} listed images; " if here < listed else ""
    test = f"{passport['images']['test']:,} images of {passport['patients']['test']:,} patients"
    given = record.get("source") in ("scored", "ensemble")
    split = f"; roles: {passport['split']}" if given else ""
    return (
        f"{part}test: {test}{split}; labels {passport['label_version']}; passport {passport['id']}{leak}. "
        f"Averages over findings are macro{few}.{_unmapped(record)}"
    )


def _unmapped(record: Mapping[str, Any]) -> str:
    """Which findings only one of two data sets has, where a run was tested on another one."""
    if not record.get("test_dataset"):
        return ""
    tested = record["passport"]["dataset"]
    lacking, new = record["findings_not_in_test"], record["findings_not_trained"]
    sides = [
        f" Not tested, as {tested} lacks them: {', '.join(lacking)}." if lacking else "",
        f" Not trained, as {trained_name(record)} lacks them: {', '.join(new)}." if new else "",
        " All findings are in both data sets." if not lacking and not new else "",
    ]
    return "".join(sides)


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    return [_number(metrics[name]) for _, name in _FIGURES]


def _with_interval(value: float | None, interval: Mapping[str, float | None] | None) -> str:
    """Such as ``0.879 [.861, .896]``; without brackets where there is no interval."""
    if interval is None or interval["low"] is None or interval["high"] is None:
        return _number(value)
    return f"{_number(value)} [{_short(interval['low'])}, {_short(interval['high'])}]"


def _short(value: float) -> str:
    """Three digits, without the zero before the point."""
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def _number(value: float | None, digits: int = 3) -> str:
    # Zero is added so that what rounds to it has no sign.
    return "–" if value is None or math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def _calibration(record: Mapping[str, Any]) -> Table:
    table = plain_table()
    for column in ("calibrator", "ECE", "Brier", "findings fitted", ""):
        table.add_column(column)
    for name, figures in record["calibration"].items():
        fitted = f"{figures['fitted']} of {len(record['per_finding'])}" if "fitted" in figures else "–"
        used = "used for decisions" if name == record["calibrator"] else ""
        table.add_row(name, _number(figures["macro_ece"]), _number(figures["macro_brier"]), fitted, used)
    return table


def _said(record: Mapping[str, Any]) -> list[RenderableType]:
    """What intervals are, how far tune flatters, and what is wrong with the run, if anything."""
    lines = [_INTERVALS if "intervals" in record else _NO_INTERVALS]
    if (optimism := record.get("optimism")) and optimism["optimism"]["f1"] is not None:
        tune, test = (_number(optimism[role]["f1"]) for role in ("tune", "test"))
        lines.append(
            f"F1 at the thresholds: {tune} on {record['tune']}, where they were fitted, {test} on test."
        )
    lines += [f"NOT SOUND ({found['check']}): {found['reason']}" for found in record.get("sanity", ())]
    return [*map(Text, lines), *marks(record.get("nonconforming", ()))]


def _shift(record: Mapping[str, Any]) -> list[RenderableType]:
    """What correcting for the prevalence of test would do."""
    told = prior_shift_told(record)
    return [Text(told)] if told else []


def _subgroups(record: Mapping[str, Any]) -> list[RenderableType]:
    """A row a group: macro figures over the findings shown, and the gap of AUC to the rest."""
    table = plain_table()
    table.add_column("group", no_wrap=True)
    for column in ("images", "patients", "findings", "AUC", "gap to the rest", "TPR", "FPR", "ECE"):
        table.add_column(column, justify="right", no_wrap=True)
    count = len(record["per_finding"])
    for row in record["subgroups"]:
        values = {
            name: _with_interval(row[name], {"low": row[f"{name}_low"], "high": row[f"{name}_high"]})
            for name in ("auc", "auc_gap", "tpr", "fpr", "ece")
        }
        table.add_row(
            f"{row['attribute']} {row['group']}",
            f"{row['images']:,}",
            f"{row['patients']:,}",
            f"{count - row['withheld']} of {count}",
            *values.values(),
        )
    return [
        table,
        Text(
            "Findings with too few positives or negatives in a group or its rest (min_positives) are "
            "withheld; subgroups.csv has each finding. Gaps are tested for nothing and adjusted for nothing."
        ),
    ]


def _files(record: Mapping[str, Any]) -> Text:
    fitted = f"{record['tune']} ({record['passport']['images'][record['tune']]:,} images)"
    if record.get("source") == "scored":
        made = f"system:  {record['system']}, scored from {' and '.join(record['files'])}"
    elif record.get("source") == "ensemble":
        made = f"system:  {record['system']} (cxrbench ensemble), members {', '.join(record['members'])}"
    else:
        seconds = record["training_seconds"]
        trained = "not trained here" if seconds is None else f"trained in {seconds:.0f} s"
        made = f"network: {record['parameters']:,} parameters, {trained}"
    return Text(f"{made}; thresholds fitted on {fitted}\nrun:     {record['path']}\nNot for clinical use.")
