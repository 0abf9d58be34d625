"""Finds plugins, hears their hooks one plugin at a time, and sets a broken one aside with its reason."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

import pluggy

from cxrbench import builtins, hookspecs
from cxrbench.registry import Component, Kind, Registry

SLOW_IMPORT_SECONDS = 0.3
"""A plugin that takes longer to import slows every command that lists components; it is warned of."""

_KIND_OF_HOOK: dict[str, Kind] = {
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
    """One installed plugin and what became of it.

    Attributes:
        name: the entry point's name.
        distribution: package and version that brought it.
        module: what the entry point names.
        status: ``loaded``, or ``set aside`` with a reason.
        reason: one sentence where it was set aside or warned of, else empty.
        trace: the traceback of what it raised, else empty.
        components: how many components it registered.
        import_seconds: how long its import took.
    """

    name: str
    distribution: str
    module: str
    status: Literal["loaded", "set aside"]
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
class Plugins:
    """The registry, and the plugins that were asked to fill it."""

    registry: Registry
    plugins: tuple[Plugin, ...]


@functools.cache
def installed() -> Plugins:
    """The components of cxrbench itself and of every installed plugin; read once a process."""
    return load_plugins(entry_points(group=hookspecs.ENTRY_POINT_GROUP))


def load_plugins(points: Iterable[EntryPoint]) -> Plugins:
    """Build a registry from the built-ins and from these entry points."""
    manager = pluggy.PluginManager("cxrbench")
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    _hear(manager, builtins, "cxrbench", registry)
    plugins = tuple(
        _load(manager, point, registry) for point in sorted(points, key=lambda p: (p.name, p.value))
    )
    return Plugins(registry, plugins)


def _load(manager: pluggy.PluginManager, point: EntryPoint, registry: Registry) -> Plugin:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"
    plugin = Plugin(point.name, distribution, point.value, "loaded")
    module: object = None
    started = time.perf_counter()
    # One of the two places where any exception is met: a plugin is somebody else's code, and
    # whatever it raises (or its call of sys.exit) must not take the others down. The traceback is kept.
    try:
        # stdout is for the command's answer alone.
        with contextlib.redirect_stdout(sys.stderr):
            module = point.load()
            seconds = time.perf_counter() - started
            count = _hear(manager, module, distribution, registry)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        if module is not None and manager.is_registered(module):
            manager.unregister(module)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return replace(plugin, status="set aside", reason=reason, trace=traceback.format_exc())
    slow = (
        f"its import takes {seconds:.1f} s and slows every command; it should import heavy "
        "libraries inside its components"
        if seconds > SLOW_IMPORT_SECONDS
        else ""
    )
    return replace(plugin, reason=slow, components=count, import_seconds=seconds)


def _hear(manager: pluggy.PluginManager, module: object, source: str, registry: Registry) -> int:
    """Call the plugin's own hooks; add what it registers only when all of it is sound."""
    manager.register(module)
    manager.check_pending()
    others = [p for p in manager.get_plugins() if p is not module]
    found: list[Component] = []
    for hook, kind in _KIND_OF_HOOK.items():
        register = _register_into(found, kind, source)
        manager.subset_hook_caller(hook, remove_plugins=others)(register=register)
    trial = Registry()
    for component in [*registry.all(), *found]:
        trial.add(component)
    for component in found:
        registry.add(component)
    return len(found)


def _register_into(found: list[Component], kind: Kind, source: str) -> hookspecs.Register:
    def register(name: str, target: str, *, version: str, summary: str) -> None:
        found.append(Component(kind, name, target, version, summary, source))

    return register
