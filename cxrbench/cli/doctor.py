"""``cxrbench doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, columns, common, results_option

_MARKS = {"ok": "✓", "absent": "–", "broken": "✗"}

_EPILOG = """
Example: cxrbench doctor

✓ works; – is not there, and nothing needs it; ✗ is needed, or installed, and does not work: the exit code is
1 then.
"""


@click.command(epilog=_EPILOG)
@results_option
@common
def doctor(results: Path, output: Output) -> None:
    """Say what this machine has for cxrbench, what is missing, and the command that mends it."""
    from cxrbench.doctor.examination import examine
    from cxrbench.plugins import installed

    checks = examine(results, installed())
    broken = [each for each in checks if each.state == "broken"]
    output.document({"sound": not broken, "checks": [asdict(each) for each in checks]})
    rows = [(_MARKS[each.state], each.group, each.name, each.found, each.mend) for each in checks]
    output.show(columns(("", "group", "what", "found", "to have or mend it"), rows))
    output.show(f"{len(broken)} broken: see ✗ above." if broken else "All that is needed works.")
    if broken:
        raise SystemExit(1)
