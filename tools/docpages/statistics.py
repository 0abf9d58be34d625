"""The page of formulas: docstrings of ``cxrbench/statistics`` have formula and source of each figure."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import cxrbench.statistics
from docpages.markdown import docstring

_HEAD = """# Formulas and their sources

[What each number is](../statistics.md) names the figures; these functions compute them, and this page is made
of their docstrings. `n` images, `c` classes (findings); labels are 1, 0 or NaN (unknown).

"""


def page() -> str:
    """A section for each module, its public functions and classes in their order."""
    folder = Path(cxrbench.statistics.__file__).parent
    names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return _HEAD + "\n".join(
        _section(importlib.import_module(f"cxrbench.statistics.{name}")) for name in names
    )


def _section(module: ModuleType) -> str:
    title = module.__name__.rpartition(".")[2].replace("_", " ").capitalize()
    return f"## {title}\n\n{docstring(module)}\n" + "\n".join(_public(module))


def _public(module: ModuleType) -> list[str]:
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    defined = [each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    shown = [name for name in defined if not name.startswith("_") and getattr(module, name).__doc__]
    return [f"### `{name}`\n\n{docstring(getattr(module, name))}" for name in shown]
