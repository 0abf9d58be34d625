"""A page for each kind of component: what to implement, how to begin, what comes along, what is checked."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

from cxrbench import hookspecs, interfaces
from cxrbench.cli.run import run
from cxrbench.options import describe
from cxrbench.plugins import KIND_OF_HOOK, load_plugins
from cxrbench.registry import KINDS, RUN_KINDS, Component, Kind
from cxrbench.scaffold.package import Plugin, texts
from cxrbench.testing import checks_for
from docpages.markdown import code, docstring, table

_TITLES: dict[Kind, str] = {
    "dataset": "Data sets",
    "task": "Tasks",
    "sampler": "Samplers",
    "preprocessing": "Preprocessing",
    "resizer": "Resizers",
    "augmentation": "Augmentations",
    "backbone": "Backbones",
    "head": "Heads",
    "loss": "Losses",
    "calibrator": "Calibrators",
    "thresholds": "Threshold strategies",
    "decision": "Decision rules",
    "explainer": "Explainers",
    "ensemble": "Ensemble searches",
    "runtime": "Runtimes",
}
_OVERVIEW = """# Kinds of component

A component is a class. Its options are the keywords of its constructor; their annotations are checked before
any work starts. Nothing is inherited from. A package registers it by the hook of its kind, in a module that
an entry point of group `cxrbench.v1` names; it is then used by its name, as those that come along are.
`cxrbench plugins new NAME --kind KIND` writes such a package; each page below shows what is in it.
A plugin may also add sections to pages (`--kind report`) and commands: [hooks](../hooks.md).

"""

_CHOICES: dict[str, str] = {
    "explainer": "`--explainer NAME` of `cxrbench explain` and `cxrbench predict`",
    "ensemble": "`--search NAME` of `cxrbench ensemble`",
    "metric": "`--fitness NAME` of `cxrbench ensemble`",
    "runtime": "`--runtimes NAME` of `cxrbench latency`",
}
"""How those are chosen that no run has."""

_PROTOCOL = re.compile(r"cxrbench\.interfaces\.(\w+)")
_WIDTH = 100


def title(kind: Kind) -> str:
    """What the kind is called in the plural."""
    return _TITLES.get(kind, f"{kind.capitalize()}s")


def overview() -> str:
    """The kinds, how many components of each come along, and by which hook others come."""
    registry = load_plugins([]).registry
    rows = [
        (
            f"[{title(kind)}](kinds/{kind}.md)",
            code(hook_of(kind)),
            ", ".join(code(each.name) for each in registry.all(kind)),
        )
        for kind in KINDS
    ]
    heads = ("kind", "hook", "what comes along")
    return _OVERVIEW + table(heads, rows)


def hook_of(kind: Kind) -> str:
    """The hook that registers components of a kind."""
    return next(hook for hook, each in KIND_OF_HOOK.items() if each == kind)


def protocol_of(kind: Kind) -> type:
    """What components of a kind implement."""
    found = _PROTOCOL.search(getattr(hookspecs, hook_of(kind)).__doc__ or "")
    assert found is not None, f"{hook_of(kind)} does not say which Protocol it registers"
    protocol: type = getattr(interfaces, found[1])
    return protocol


def page(kind: Kind) -> str:
    """The page of a kind."""
    protocol = protocol_of(kind)
    components = load_plugins([]).registry.all(kind)
    parts = [
        f"# {title(kind)}\n",
        docstring(protocol),
        f"Registered by the hook `{hook_of(kind)}`; chosen by {_choice(kind)}.\n",
        f"## What to implement: `{protocol.__name__}`\n",
        _members(protocol),
        *(_data(each) for each in _handed(protocol)),
        _extensions(protocol),
        "## To begin with\n",
        _begun(kind, components),
        "## What comes along\n",
        *map(_component, components),
        "## What the conformance kit checks\n",
        f'`cxrbench.testing.checks_for("{kind}")`: those that come along pass all of it.\n',
        table(
            ("check", "what is right"),
            [(code(each.name), _code_marks(each.advice)) for each in checks_for(kind)],
        ),
    ]
    return "\n".join(filter(None, parts))


def _choice(kind: Kind) -> str:
    """How a user names one."""
    if f"--{kind}" in {name for option in run.params for name in option.opts}:
        return f"`--{kind} NAME` of `cxrbench run`"
    return f"`--set {kind}=NAME` of `cxrbench run`" if kind in RUN_KINDS else _CHOICES.get(kind, "its name")


def _members(protocol: type) -> str:
    """Attributes, properties and methods of a class, with signatures and docstrings."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(protocol))).body
    assert isinstance(tree, ast.ClassDef)
    parts = []
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef):
            parts.append(f"```python\n{_signature(node)}\n```\n\n{docstring(vars(protocol)[node.name])}")
        elif isinstance(node, ast.AnnAssign):
            after = tree.body[place + 1] if place + 1 < len(tree.body) else None
            said = (
                after.value.value
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                else ""
            )
            parts.append(f"```python\n{ast.unparse(node)}\n```\n\n{_code_marks(str(said))}\n")
    return "\n".join(parts)


def _signature(node: ast.FunctionDef) -> str:
    """How a method is called; each argument on a line of its own where one line would be long."""
    is_property = any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list)
    returns = ast.unparse(node.returns) if node.returns else "None"
    if is_property:
        return f"{node.name}: {returns}  # a class variable, a field or a property"
    text = f"def {node.name}({ast.unparse(node.args)}) -> {returns}"
    if len(text) <= _WIDTH:
        return text
    arguments = re.split(r", (?![^\[]*\])", ast.unparse(node.args))
    return f"def {node.name}(\n" + "".join(f"    {each},\n" for each in arguments) + f") -> {returns}"


def _handed(protocol: type) -> list[type]:
    """Classes of the interfaces that its methods take or give."""
    source = inspect.getsource(protocol)
    classes = [each for _, each in inspect.getmembers(interfaces, inspect.isclass)]
    own = [each for each in classes if each.__module__ == interfaces.__name__ and each is not protocol]
    return [
        each for each in own if re.search(rf"(->|:) [^\n]*\b{each.__name__}\b", source) and not _extends(each)
    ]


def _extends(each: type) -> list[type]:
    return [base for base in each.__bases__ if base.__module__ == interfaces.__name__]


def _data(handed: type) -> str:
    has_methods = any(
        inspect.isfunction(each) and not name.startswith("_") for name, each in vars(handed).items()
    )
    return f"### `{handed.__name__}`\n\n{docstring(handed)}" + (
        f"\n{_members(handed)}" if has_methods else ""
    )


def _extensions(protocol: type) -> str:
    """Protocols that add to this one."""
    classes = [
        each for _, each in inspect.getmembers(interfaces, inspect.isclass) if protocol in _extends(each)
    ]
    return "\n".join(f"### `{each.__name__}`\n\n{docstring(each)}\n{_members(each)}" for each in classes)


def _begun(kind: Kind, components: list[Component]) -> str:
    """What ``cxrbench plugins new`` writes for the kind, and where a small one that comes along is."""
    plugin = Plugin(f"my-{kind}", kind)
    written = texts(plugin)
    registering, own = (f"{plugin.module}/{name}.py" for name in ("__init__", kind))
    return "\n".join(
        [
            f"```console\n$ cxrbench plugins new {plugin.name} --kind {kind}\n```\n",
            f"writes the folder `{plugin.package}`, a package that can be installed, tested and used as it "
            "is ([A plugin in half an hour](../../plugin_tutorial.md) walks through one). In this module the "
            "work is done; it is what you change:\n",
            f'```python title="{own}"\n{written[own].strip()}\n```\n',
            "This one gives it its name:\n",
            f'```python title="{registering}"\n{written[registering].strip()}\n```\n',
            f"Installed, it is used by `{plugin.use}`. The shortest that comes along is "
            f"`{_shortest(components)}`.\n",
        ]
    )


def _shortest(components: list[Component]) -> str:
    """The shortest module of components; of one that does nothing only where there is no other."""
    told = [each for each in components if each.name not in ("none", "own")] or components
    paths = [Path(importlib.import_module(each.target.partition(":")[0]).__file__ or "") for each in told]
    shortest = min(paths, key=lambda path: len(path.read_text(encoding="utf-8").splitlines()))
    return shortest.relative_to(Path(interfaces.__file__).parents[1]).as_posix()


def _component(component: Component) -> str:
    options = [
        (code(each["name"]), each["type"], "required" if each["required"] else code(str(each["default"])))
        for each in describe(component)
    ]
    told = table(("option", "type", "default"), options) if options else "It takes no options.\n"
    summary = f"{component.summary}. Version {component.version}."
    return f"### {component.name}\n\n{summary}\n\n{docstring(component.load())}\n{told}"


def _code_marks(text: str) -> str:
    return text.replace("``", "`")
