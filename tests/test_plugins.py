"""Plugins: heard one at a time; a broken one is set aside and nothing else suffers."""

import json
import sys
import time
from importlib.metadata import EntryPoint
from textwrap import dedent

import pytest
from distributions import command, install

import cxrbench
from cxrbench import hookspecs, plugins
from cxrbench.options import instantiate
from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS

BUILT_IN = len(load_plugins([]).registry.all())

HOOK = """
from cxrbench.hookspecs import hookimpl

@hookimpl
def register_thresholds(register):
"""


def registering(*calls):
    return HOOK + "".join(f"    {call}\n" for call in calls)


def sound(name="p90", target="somewhere:P90"):
    return f'register("{name}", "{target}", version="1", summary="a test\'s")'


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plugin's module and give its entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def write(name, text):
        module = f"plugin_under_test_{name}"
        (tmp_path / f"{module}.py").write_text(dedent(text))
        written.append(module)
        return EntryPoint(name, module, "cxrbench.v1")

    yield write
    for module in written:
        sys.modules.pop(module, None)


def test_built_ins_register_through_the_same_hooks():
    built_in = load_plugins([])
    assert built_in.plugins == ()
    assert {c.source for c in built_in.registry.all()} == {"cxrbench"}
    assert {c.kind for c in built_in.registry.all()} == set(KINDS)


def test_a_good_plugin_adds_its_components(plugin):
    text = registering(sound(target="plugin_under_test_good:P90")) + dedent(
        """
        class P90:
            def __init__(self, share: float = 0.9):
                self.share = share

        @hookimpl
        def register_losses(register):
            register("hinge", "somewhere:Hinge", version="2", summary="a test's")
        """
    )
    found = load_plugins([plugin("good", text)])
    (loaded,) = found.plugins
    assert (loaded.name, loaded.status, loaded.components) == ("good", "loaded", 2)
    assert (loaded.reason, loaded.trace, loaded.warning) == ("", "", "")
    assert len(found.registry.all()) == BUILT_IN + 2
    assert found.registry.find("loss", "hinge").version == "2"
    assert instantiate(found.registry.find("thresholds", "p90"), {"share": "0.8"}).share == 0.8


BROKEN = {
    "raises": ('raise RuntimeError("no licence\\nfound")', "RuntimeError: no licence found"),
    "syntax": ("def (:", "SyntaxError"),
    "missing_import": ("import no_such_library_here", "no_such_library_here"),
    "exits": ("import sys; sys.exit('licence expired')", "SystemExit: licence expired"),
    "misspelt_hook": (
        registering(sound()).replace("register_thresholds", "register_threshold"),
        "register_threshold",
    ),
    "misspelt_argument": (
        registering(sound()).replace("(register)", "(registrar)").replace(" register(", " registrar("),
        "registrar",
    ),
    "built_in_name": (registering(sound("dynamic")), "'dynamic' comes from both cxrbench"),
    "own_name_twice": (registering(sound(), sound()), "'p90' comes from both"),
    "raises_half_way": (registering(sound(), "raise KeyError('weights')"), "KeyError: 'weights'"),
    "exits_half_way": (registering(sound(), "raise SystemExit"), "SystemExit"),
    "later_hook_raises": (
        registering(sound()) + "\n@hookimpl\ndef register_backbones(register):\n    1 / 0\n",
        "ZeroDivisionError",
    ),
    "no_version": (registering('register("p90", "somewhere:P90", summary="x")'), "version"),
    "unknown_keyword": (
        registering('register("p90", "somewhere:P90", version="1", summary="x", kind="loss")'),
        "kind",
    ),
    "class_for_target": (registering('register("p90", int, version="1", summary="x")'), "target"),
    "number_for_version": (
        registering('register("p90", "somewhere:P90", version=1, summary="x")'),
        "The version of the thresholds 'p90' is 1",
    ),
    "unusable_name": (registering(sound("p90,p95")), "'p90,p95'"),
    "unusable_target": (registering(sound(target="somewhere.P90")), "module:Class"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_set_aside_alone(plugin, case):
    text, said = BROKEN[case]
    before, broken, after = (
        plugin("a_before", registering(sound("before"))),
        plugin(f"b_{case}", text),
        plugin("c_after", registering(sound("after"))),
    )
    found = load_plugins([after, broken, before])
    assert [p.status for p in found.plugins] == ["loaded", "set aside", "loaded"]
    aside = found.plugins[1]
    assert said in aside.reason
    assert "\n" not in aside.reason
    assert aside.trace.startswith("Traceback")
    assert aside.components == 0
    assert aside.warning == f"plugin b_{case} (unknown package) is set aside: {aside.reason}"
    added = [c.name for c in found.registry.all()[BUILT_IN:]]
    assert added == ["before", "after"]


def test_an_entry_point_without_a_module_is_set_aside():
    found = load_plugins([EntryPoint("gone", "no_such_module_here.at_all", "cxrbench.v1")])
    assert "no_such_module_here" in found.plugins[0].reason
    assert len(found.registry.all()) == BUILT_IN


def test_of_two_plugins_with_one_name_the_second_is_set_aside(plugin):
    first = plugin("first", registering(sound(target="first:P90")))
    second = plugin("second", registering(sound("p95"), sound(target="second:P90")))
    found = load_plugins([second, first])
    assert [(p.name, p.status) for p in found.plugins] == [("first", "loaded"), ("second", "set aside")]
    assert "first:P90" in found.plugins[1].reason
    assert "second:P90" in found.plugins[1].reason
    assert [c.name for c in found.registry.all()[BUILT_IN:]] == ["p90"]


def test_an_interrupt_is_not_a_broken_plugin(plugin):
    with pytest.raises(KeyboardInterrupt):
        load_plugins([plugin("interrupted", "raise KeyboardInterrupt")])


def test_a_slow_import_is_warned_of_by_name(plugin):
    slow = plugin("slow", "import time\ntime.sleep(0.35)\n" + registering(sound()))
    found = load_plugins([slow, plugin("quick", registering(sound("p95")))])
    quick, loaded = found.plugins
    assert (quick.name, quick.warning) == ("quick", "")
    assert loaded.status == "loaded"
    assert loaded.components == 1
    assert loaded.import_seconds >= 0.35
    assert loaded.warning.startswith("plugin slow (unknown package): its import takes 0.")


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(20)\n" + registering(sound()),
        "while True:\n    pass\n",
        # What catches every error does not go on.
        "import time\ntry:\n    time.sleep(20)\nexcept Exception:\n    time.sleep(20)\n",
        registering("import time", "time.sleep(20)", sound()),
    ],
)
def test_a_plugin_that_hangs_is_set_aside_alone(plugin, monkeypatch, text):
    monkeypatch.setattr(plugins, "LOAD_SECONDS", 0.3)
    started = time.monotonic()
    found = load_plugins([plugin("hangs", text), plugin("quick", registering(sound("p95")))])
    hangs, quick = found.plugins
    assert time.monotonic() - started < 15
    assert (hangs.status, quick.status) == ("set aside", "loaded")
    assert hangs.reason == "TimeoutError: it took longer than 0.3 s and was stopped"
    assert [c.name for c in found.registry.all()[BUILT_IN:]] == ["p95"]


def test_what_a_plugin_prints_does_not_reach_stdout(plugin, capsys):
    load_plugins([plugin("talkative", "print('hello')\n" + registering("print('again')", sound()))])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "hello\nagain\n"


def answered(site, *arguments):
    done = command(site, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def test_an_installed_plugin_is_listed_beside_a_broken_one(tmp_path):
    install(tmp_path, "percentile", registering(sound(target="percentile_plugin:P90")))
    install(tmp_path, "shaky", 'raise RuntimeError("no [/licence] found")')

    listed = answered(tmp_path, "list", "thresholds", "--json")
    assert json.loads(listed.stdout)[-1] == {
        "kind": "thresholds",
        "name": "p90",
        "version": "1",
        "summary": "a test's",
        "from": "cxrbench-percentile 1.5",
    }
    assert {c["name"] for c in json.loads(listed.stdout)} >= {"fixed", "youden", "precision_f1", "dynamic"}
    assert listed.stderr.splitlines() == [
        "warning: plugin shaky (cxrbench-shaky 1.5) is set aside: RuntimeError: no [/licence] found"
    ]

    good, shaky = json.loads(answered(tmp_path, "plugins", "list", "--json").stdout)
    assert (good["name"], good["status"], good["components"]) == ("percentile", "loaded", 1)
    assert (shaky["name"], shaky["status"], shaky["components"]) == ("shaky", "set aside", 0)
    assert shaky["distribution"] == "cxrbench-shaky 1.5"
    assert shaky["reason"] == "RuntimeError: no [/licence] found"
    assert 'raise RuntimeError("no [/licence] found")' in shaky["trace"]

    table = answered(tmp_path, "plugins", "list").stdout
    assert "no [/licence] found" in table


def test_help_imports_no_plugin(tmp_path):
    install(tmp_path, "marking", "from pathlib import Path\nPath(__file__).with_suffix('.met').touch()\n")
    for arguments in (["--help"], ["run", "--help"], ["list", "--help"], ["plugins", "--help"]):
        answered(tmp_path, *arguments)
    met = tmp_path / "marking_plugin.met"
    assert not met.exists()
    answered(tmp_path, "list")
    assert met.exists()


def marking_plugin(site, name, *sections):
    """A distribution whose module leaves a file where it is imported."""
    install(site, name, "from pathlib import Path\nPath(__file__).with_suffix('.met').touch()\n")
    text = "".join(f"[{group}]\n{entry} = {name}_plugin{target}\n" for group, entry, target in sections)
    (site / f"cxrbench_{name}-1.5.dist-info" / "entry_points.txt").write_text(text)
    return site / f"{name}_plugin.met"


OTHERS = {
    "cxrbench.v0": "made for version 0 of the plugin interface, and this cxrbench has version 1; update",
    "cxrbench.v2": "and this cxrbench has version 1; update cxrbench, or install an older",
    "cxrbench.v10": "made for version 10 of",
    "cxrbench.commands.v0": "made for version 0 of the plugin interface",
    "cxrbench.commands.v2": "made for version 2 of the plugin interface",
    "cxrbench.command.v1": "is none of cxrbench; it should be cxrbench.v1 or cxrbench.commands.v1",
}


@pytest.mark.parametrize("group", OTHERS)
def test_a_plugin_for_another_version_is_named_and_not_imported(plugin, group):
    other = EntryPoint("other", "no_such_module_at_all", group)
    found = load_plugins([other, plugin("sound", registering(sound()))])
    aside, loaded = found.plugins
    assert (aside.name, aside.status, aside.trace) == ("other", "set aside", "")
    assert OTHERS[group] in aside.reason
    assert loaded.status == "loaded"
    assert len(found.registry.all()) == BUILT_IN + 1


def test_an_installed_plugin_for_another_version_is_listed_with_what_to_update(tmp_path):
    met = marking_plugin(
        tmp_path, "new", ("cxrbench.v2", "new", ""), ("cxrbench.commands.v3", "new", ":command")
    )
    listed = command(tmp_path, "plugins", "list", "--json")
    rows = json.loads(listed.stdout)
    assert [(row["name"], row["status"]) for row in rows] == [("new", "set aside")] * 2
    assert [row["reason"].split(" of ")[0] for row in rows] == [
        "it is made for version 2",
        "it is made for version 3",
    ]
    assert all(row["reason"].endswith("or install an older cxrbench-new") for row in rows)
    assert "cxrbench-new 1.5) is set aside: it is made for version 2" in command(tmp_path, "list").stderr
    assert not met.exists()


def test_one_module_under_two_names_is_heard_once(plugin):
    first = plugin("first", registering(sound()))
    found = load_plugins([first, EntryPoint("second", first.value, first.group)])
    assert [(p.name, p.status) for p in found.plugins] == [("first", "loaded"), ("second", "set aside")]
    assert len(found.registry.all()) == BUILT_IN + 1
    assert len(found.listeners("register_thresholds")) == 1


def test_a_hook_that_will_go_works_on_and_is_warned_of(plugin, monkeypatch):
    def register_old(register):
        """A hook of before."""

    going = hookspecs.Deprecated(gone="0.4", instead="register_thresholds")
    monkeypatch.setattr(
        hookspecs, "register_old", hookspecs.hookspec(warn_on_impl=going)(register_old), raising=False
    )
    text = registering(sound()) + "\n@hookimpl\ndef register_old(register):\n    pass\n"
    found = load_plugins([plugin("aged", text), plugin("modern", registering(sound("p95")))])
    aged, modern = found.plugins
    assert (aged.status, aged.components, modern.warning) == ("loaded", 1, "")
    assert aged.reason == "a hook of it goes with cxrbench 0.4; implement register_thresholds instead"
    assert aged.warning.startswith("plugin aged (unknown package): a hook of it goes")


def test_no_hook_outlives_its_deprecation():
    def numbers(version):
        return [int(part) for part in version.split(".")]

    for name, hook in vars(hookspecs).items():
        going = getattr(hook, "cxrbench_spec", {}).get("warn_on_impl")
        assert going is None or numbers(going.gone) > numbers(cxrbench.__version__), f"{name} should be gone"
