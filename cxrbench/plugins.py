"""Finds plugins, hears their hooks one plugin at a time, and sets a broken one aside with its reason."""

from __future__ import annotations

import functools
import re
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy

from cxrbench import builtins, commands, hookspecs
from cxrbench.guarding import Raised, guarded
from cxrbench.registry import Component, Kind, Registry
from cxrbench.time_limit import within

SLOW_IMPORT_SECONDS = 0.3
"""A plugin that takes longer to import slows every command that lists components; it is warned of."""

LOAD_SECONDS = 30.0
"""A plugin whose import or hooks take longer hangs: it is stopped and set aside (:mod:`cxrbench.time_limit`).

Generous, since stopping an import of somebody's heavy library half-way leaves that unusable in this process.
"""

KIND_OF_HOOK: dict[str, Kind] = {
    "register_datasets": "dataset",
    "register_tasks": "task",
    "register_samplers": "sampler",
    "register_preprocessing": "preprocessing",
    "register_resizers": "resizer",
    "register_augmentations": "augmentation",
    "register_backbones": "backbone",
    "register_heads": "head",
    "register_losses": "loss",
    "register_calibrators": "calibrator",
    "register_thresholds": "thresholds",
    "register_decisions": "decision",
    "register_runtimes": "runtime",
    "register_explainers": "explainer",
    "register_ensembles": "ensemble",
    "register_metrics": "metric",
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """One installed plugin, or command of one, and what became of it.

    Attributes:
        name: the entry point's name.
        distribution: package and version that brought it.
        module: what the entry point names.
        status: ``loaded``; ``command``, imported only when it is used; or ``set aside`` with a reason.
        reason: one sentence where it was set aside or warned of, else empty.
        trace: the traceback of what it raised, else empty.
        components: how many components it registered.
        import_seconds: how long its import took.
    """

    name: str
    distribution: str
    module: str
    status: Literal["loaded", "command", "set aside"]
    reason: str = ""
    trace: str = ""
    components: int = 0
    import_seconds: float = 0.0

    @property
    def warning(self) -> str:
        """The one line to show the user, or an empty string."""
        if self.status == "set aside":
            return f"plugin {self.name} ({self.distribution}) is set aside: {self.reason}"
        return f"plugin {self.name} ({self.distribution}): {self.reason}" if self.reason else ""


@dataclass(frozen=True, slots=True)
class Listener:
    """A plugin that implements a hook.

    Attributes:
        plugin: which.
        call: its implementation, which takes the hook's arguments by name; meant for ``guarded``.
    """

    plugin: Plugin
    call: Callable[..., Any]


@dataclass(frozen=True)
class Plugins:
    """The registry, and the plugins that were asked to fill it.

    Attributes:
        registry: components of all.
        plugins: all that is installed, commands and what is set aside too.
        failed: plugins that raised when they were heard later on (:mod:`cxrbench.hearing`).
    """

    registry: Registry
    plugins: tuple[Plugin, ...]
    failed: set[Plugin] = field(default_factory=set)
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("cxrbench"))
    _modules: tuple[tuple[Plugin, object], ...] = ()

    def listeners(self, hook: str) -> list[Listener]:
        """The plugins that implement a hook, in the order of their names."""
        caller = getattr(self._manager.hook, hook)
        listening = [each.plugin for each in caller.get_hookimpls()]
        return [
            Listener(plugin, partial(_alone, self._manager, hook, module))
            for plugin, module in self._modules
            if module in listening
        ]


def _alone(manager: pluggy.PluginManager, hook: str, module: object, **values: Any) -> Any:
    """Call one module's implementation of a hook, with those of the values that it takes."""
    others = [each for each in manager.get_plugins() if each is not module]
    # None is no answer to pluggy.
    answers = manager.subset_hook_caller(hook, remove_plugins=others)(**values)
    return answers[0] if answers else None


@functools.cache
def installed() -> Plugins:
    """The components of cxrbench itself and of every installed plugin; read once a process."""
    return load_plugins(commands.installed_points())


def load_plugins(points: Iterable[EntryPoint]) -> Plugins:
    """Build a registry from the built-ins and from these entry points; of commands only names are read.

    What was made for another major version of the plugin surface is set aside without being imported.
    """
    manager = pluggy.PluginManager("cxrbench")
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    _hear(manager, builtins, "cxrbench", registry)
    points = sorted(points, key=lambda p: (p.name, p.value))
    problems = {each.point: each.problem for each in commands.plugin_commands(points)}
    plugins: list[Plugin] = []
    modules: list[tuple[Plugin, object]] = []
    for point in points:
        found = Plugin(point.name, commands.package_of(point), point.value, "loaded")
        if point.group == hookspecs.ENTRY_POINT_GROUP:
            found, module = _load(manager, point, found, registry)
            modules.append((found, module))
        elif point in problems:
            found = replace(found, status="command")
            if problem := problems[point]:
                found = replace(found, status="set aside", reason=problem)
        else:
            found = replace(found, status="set aside", reason=_of_another_version(point))
        plugins.append(found)
    return Plugins(registry, tuple(plugins), _manager=manager, _modules=tuple(modules))


_GROUP = re.compile(r"cxrbench\.(?:commands\.)?v(\d+)")


def _of_another_version(point: EntryPoint) -> str:
    """Why a plugin of a group that is none of this version's is not imported, and what to do."""
    ours = hookspecs.ENTRY_POINT_GROUP, commands.GROUP
    match, package = _GROUP.fullmatch(point.group), point.dist.name if point.dist else "it"
    if match is None:
        return f"its entry-point group '{point.group}' is none of cxrbench; it should be {' or '.join(ours)}"
    (major,) = map(int, _GROUP.fullmatch(ours[0]).groups())  # type: ignore[union-attr]
    what = f"it is made for version {match[1]} of the plugin interface, and this cxrbench has version {major}"
    if int(match[1]) < major:
        return f"{what}; update {package}"
    return f"{what}; update cxrbench, or install an older {package}"


def _load(
    manager: pluggy.PluginManager, point: EntryPoint, plugin: Plugin, registry: Registry
) -> tuple[Plugin, object]:
    """Import a plugin and hear what it registers."""
    started = time.perf_counter()
    module = guarded(partial(within, LOAD_SECONDS, point.load))
    seconds = time.perf_counter() - started
    if isinstance(module, Raised):
        return _aside(plugin, module), None
    # Of two entry points with one module the second is refused, and the first stays.
    before = manager.is_registered(module)
    hear = partial(_hear, manager, module, plugin.distribution, registry)
    heard = guarded(partial(within, LOAD_SECONDS, hear))
    if isinstance(heard, Raised):
        if manager.is_registered(module) and not before:
            manager.unregister(module)
        return _aside(plugin, heard), None
    count, remarks = heard
    if seconds > SLOW_IMPORT_SECONDS:
        slow = (
            f"its import takes {seconds:.1f} s and slows every command; it should import heavy "
            "libraries inside its components"
        )
        remarks = [slow, *remarks]
    return replace(plugin, reason="; ".join(remarks), components=count, import_seconds=seconds), module


def _aside(plugin: Plugin, raised: Raised) -> Plugin:
    return replace(plugin, status="set aside", reason=raised.reason, trace=raised.trace)


def _hear(
    manager: pluggy.PluginManager, module: object, source: str, registry: Registry
) -> tuple[int, list[str]]:
    """Call the plugin's hooks that register; add what they register only when all of it is sound.

    Returns:
        How many components it has, and remarks on it.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", hookspecs.Deprecated)
        manager.register(module)
    manager.check_pending()
    found: list[Component] = []
    for hook, kind in KIND_OF_HOOK.items():
        _alone(manager, hook, module, register=_register_into(found, kind, source))
    trial = Registry()
    for component in [*registry.all(), *found]:
        trial.add(component)
    for component in found:
        registry.add(component)
    return len(found), [f"a hook of it {each.message}" for each in caught]


def _register_into(found: list[Component], kind: Kind, source: str) -> hookspecs.Register:
    def register(name: str, target: str, *, version: str, summary: str) -> None:
        found.append(Component(kind, name, target, version, summary, source))

    return register
