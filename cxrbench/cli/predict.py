"""``cxrbench predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    Output,
    at_the_end,
    common,
    complete_components,
    complete_runs,
    device_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME

if TYPE_CHECKING:
    from cxrbench.training.devices import DeviceName

_EPILOG = """
Example: cxrbench predict nih-densenet_fpn-weighted_bce-none-dynamic-s0-1a2b3c4d scans/ --out findings.csv

FILES are PNG, JPEG, TIFF, BMP or DICOM, and folders of them. A file that cannot be read is listed and does
not stop the others; the exit code is 1 then. Names of patients are never part of the answer.
"""


@click.command(epilog=_EPILOG)
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("files", nargs=-1, required=True, metavar="FILES...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv|FILE.json",
    help="Also write every image and finding to a file.",
)
@click.option(
    "--heatmaps",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Draw where the network sees each finding that is called.",
)
@click.option(
    "--explainer",
    metavar=NAME,
    shell_complete=complete_components("explainer"),
    help="What makes the heatmaps.  [default: gradcam]",
)
@click.option("--layer", metavar="NAME", help="Layer of the network for heatmaps.  [default: its own]")
@click.option(
    "--patients",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Age, sex and view by image; they go before those of DICOM.",
)
@click.option("--age", type=click.FloatRange(0, 120), help="Of patients whose age is told nowhere else.")
@click.option("--sex", type=click.Choice(["M", "F"]), help="Of patients whose sex is told nowhere else.")
@click.option("--view", type=click.Choice(["PA", "AP"]), help="Of images whose view is told nowhere else.")
@device_option
@nonconforming_option
@results_option
@common
@at_the_end
def predict(
    run: str,
    files: tuple[Path, ...],
    out: Path | None,
    heatmaps: Path | None,
    explainer: str | None,
    layer: str | None,
    patients: Path | None,
    age: float | None,
    sex: str | None,
    view: str | None,
    device: DeviceName,
    results: Path,
    output: Output,
) -> None:
    """Say what a run finds in image files: probabilities, thresholds, decisions.

    RUN has a network, averages several, or is an ensemble. Calibration, thresholds and decision rule are its
    own. Not for clinical use.
    """
    from cxrbench.errors import UsageError

    if out is not None and out.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"--out takes a file that ends in .csv or .json, not {out.name}.")
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {out.parent} for --out; make it first.")
    for option, given in (("--layer", layer), ("--explainer", explainer)):
        if given is not None and heatmaps is None:
            raise UsageError(f"{option} is for --heatmaps DIR.")

    from cxrbench.predicting.files import image_files

    images, others = image_files(files)
    if not images:
        raise UsageError(
            f"There is no image in {', '.join(map(str, files))}; name files or folders of images."
        )
    if others:
        output.reporter.say(f"{others:,} other files in the folders are left alone")
    registry = output.components().registry

    from cxrbench.files import write_json, write_text
    from cxrbench.options import make, parse_use
    from cxrbench.predicting.heatmaps import Heatmaps
    from cxrbench.predicting.patients import Facts, Patients, patients_table
    from cxrbench.predicting.predictor import Predictor
    from cxrbench.report.prediction_table import prediction_tables
    from cxrbench.store import Store
    from cxrbench.training.devices import device_of

    table, strangers = patients_table(patients, images) if patients else ({}, 0)
    if strangers:
        output.reporter.warn(f"{strangers:,} rows of {patients} are of none of the files")
    drawn = None
    if heatmaps is not None:
        use = parse_use("--explainer", explainer or "gradcam")
        drawn = Heatmaps(heatmaps, make(use, "explainer", registry), use, layer)
    predictor = Predictor.of(
        Store(results, output.reporter, create=False),
        registry,
        run,
        Patients(Facts(float("nan") if age is None else age, sex, view), table),  # type: ignore[arg-type]
        device_of(device),
        drawn,
    )
    predicted = predictor.predict(images, output.reporter)
    if out is not None and out.suffix.lower() == ".csv":
        write_text(out, predicted.as_csv())
    elif out is not None:
        write_json(out, predicted.document())
    output.document(predicted.document())
    output.show(*prediction_tables(predicted))
    if predicted.failed:
        raise SystemExit(1)
