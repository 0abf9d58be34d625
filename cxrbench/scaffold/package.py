"""Writes a package with one plugin, from the templates beside this module."""

from __future__ import annotations

import ast
import keyword
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from cxrbench import __version__
from cxrbench.commands import NAME
from cxrbench.errors import UsageError
from cxrbench.plugins import KIND_OF_HOOK
from cxrbench.registry import KINDS

_TEMPLATES = files("cxrbench.scaffold") / "templates"

REPORT = "report"
"""What is no kind of component: a plugin that adds sections to pages."""

KINDS_OF_PLUGINS: tuple[str, ...] = (*KINDS, REPORT)
"""What a plugin may be begun as."""

_USES = {
    "ensemble": "cxrbench ensemble RUN RUN --search {}",
    "runtime": "cxrbench latency RUN --runtimes {}",
    "metric": "cxrbench ensemble RUN RUN --fitness {}",
    "explainer": "cxrbench explain RUN --explainer {}",
    "resizer": "cxrbench list resizer {}",
    "head": "cxrbench list head {}",
    REPORT: "cxrbench leaderboard --html leaderboard.html",
}
"""How what is new is used, where it is no option of ``cxrbench run``."""


@dataclass(frozen=True)
class Plugin:
    """A plugin to be written.

    Attributes:
        name: of the plugin, such as ``my-loss``.
        kind: one of :data:`KINDS_OF_PLUGINS`.

    Raises:
        UsageError: the name cannot be one of a package, or of a class in it.
    """

    name: str
    kind: str

    def __post_init__(self) -> None:
        """Refuse what cannot be installed."""
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"'{self.name}' cannot be the name of a package; use small letters, digits and -, such as "
                "my-loss."
            )
        if keyword.iskeyword(self.cls) or self.cls in _imported(self.kind):
            raise UsageError(
                f"'{self.name}' would make a class {self.cls}, a name that its module needs; choose another."
            )

    @property
    def package(self) -> str:
        """The name that pip knows."""
        return f"cxrbench-{self.name}"

    @property
    def module(self) -> str:
        """The name that Python imports."""
        return self.package.replace("-", "_")

    @property
    def component(self) -> str:
        """The name that users of cxrbench write."""
        return self.name.replace("-", "_")

    @property
    def cls(self) -> str:
        """The name of its class."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def use(self) -> str:
        """A command that uses it."""
        return _USES.get(self.kind, f"cxrbench run --{self.kind} {{}}").format(self.component)


def write(plugin: Plugin, into: Path) -> list[Path]:
    """Write the package into a folder of its name below ``into``: all of it, or nothing.

    Returns:
        The files.

    Raises:
        UsageError: the folder is there already.
    """
    folder = into / plugin.package
    if folder.exists():
        raise UsageError(f"{folder} is there already; remove it, or choose another name or --into.")
    written = texts(plugin)
    into.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{plugin.package}.", dir=into))
    try:
        for path, text in written.items():
            (partial / path).parent.mkdir(parents=True, exist_ok=True)
            (partial / path).write_text(text, encoding="utf-8")
        partial.chmod(0o777 & ~_umask())
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return [folder / path for path in written]


def texts(plugin: Plugin) -> dict[str, str]:
    """Every file of the package by its path in it."""
    module = plugin.module
    words = {
        "name": plugin.name,
        "package": plugin.package,
        "module": module,
        "component": plugin.component,
        "kind": plugin.kind,
        "cls": plugin.cls,
        "hook": next((hook for hook, kind in KIND_OF_HOOK.items() if kind == plugin.kind), ""),
        "use": f"$ {plugin.use}",
        "cxrbench": ".".join(__version__.split(".")[:2]),
        "year": str(datetime.now(UTC).year),
    }
    own = _filled(_TEMPLATES / "kinds" / f"{plugin.kind}.py.tmpl", words)
    # What it is stands once, above the module that does it.
    words["summary"] = (ast.get_docstring(ast.parse(own)) or "").splitlines()[0].rstrip(".")
    special = _TEMPLATES / REPORT if plugin.kind == REPORT else _TEMPLATES
    return {
        "pyproject.toml": _filled(_TEMPLATES / "pyproject.toml.tmpl", words),
        "README.md": _filled(_TEMPLATES / "README.md.tmpl", words),
        "LICENSE": _filled(_TEMPLATES / "LICENSE.tmpl", words),
        ".github/workflows/test.yml": _filled(_TEMPLATES / "workflow.yml.tmpl", words),
        f"{module}/__init__.py": _filled(special / "init.py.tmpl", words),
        f"{module}/{plugin.kind}.py": own,
        f"{module}/py.typed": "",
        f"tests/test_{plugin.component}.py": _filled(special / "test.py.tmpl", words),
    }


def _imported(kind: str) -> set[str]:
    """Names that the module of a kind imports, which its class must not hide."""
    tree = ast.parse(_filled(_TEMPLATES / "kinds" / f"{kind}.py.tmpl", {"cls": "C", "component": "c"}))
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in imports for alias in node.names}


def _filled(template: Traversable, words: dict[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(words)


def _umask() -> int:
    """Files made by :mod:`tempfile` are their owner's alone; a package is as other folders are."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
