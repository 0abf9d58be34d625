"""Names with options: read from text, checked against constructors, made into components."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.options import Use, bind, instantiate, non_default, parse_uses
from cxrbench.registry import Component, Registry


@dataclass(frozen=True, kw_only=True)
class Tuned:
    share: Annotated[float, Ge(0), Le(1)] = 0.5
    count: int = 3
    strict: bool = False
    mode: Literal["fast", "exact"] = "fast"
    floor: float | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: {"Mass": 2.0})
    steps: tuple[float, ...] = (0.1, 0.2)


@dataclass(frozen=True)
class Needy:
    size: int
    name: str = "x"


class Plain:
    def __init__(self, size: int, *rest, ratio: float = 1.0, **more):
        self.size, self.rest, self.ratio, self.more = size, rest, ratio, more


@dataclass(frozen=True)
class Sized:
    side: Literal[28, 64] = 28


class Bare:
    pass


class Unreadable:
    def __init__(self, image: "Radiograph" = None):  # noqa: F821
        pass


class Opaque:
    def __init__(self, bare: Bare = Bare()):  # noqa: B008
        pass


class Member:
    def __init__(self, name: str, rate: float = 0.0):
        self.name, self.rate = name, rate


def component(target, name="it", **more):
    return Component("thresholds", name, f"{__name__}:{target.__name__}", "1", "a test's", "tests", **more)


def family_member(name):
    registry = Registry()
    registry.add(component(Member, "maker/*"))
    return registry.find("thresholds", name)


def as_pairs(text):
    return [(use.name, use.options) for use in parse_uses(text)]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("youden", [("youden", {})]),
        ("youden,fixed", [("youden", {}), ("fixed", {})]),
        ("fixed:threshold=0.4", [("fixed", {"threshold": "0.4"})]),
        (
            "youden,dynamic:min_precision=0.4,step=0.1",
            [("youden", {}), ("dynamic", {"min_precision": "0.4", "step": "0.1"})],
        ),
        ("a:x=1,b,c:y=2,z=3,d", [("a", {"x": "1"}), ("b", {}), ("c", {"y": "2", "z": "3"}), ("d", {})]),
        ("a,x=1", [("a", {"x": "1"})]),
        (" a: x = 1 , b ", [("a", {"x": "1"}), ("b", {})]),
        ("timm/resnet18.tv_in1k:drop_rate=.1", [("timm/resnet18.tv_in1k", {"drop_rate": ".1"})]),
        ("a:file=dir/b:c=d", [("a", {"file": "dir/b:c=d"})]),
        ("a:x=1,file=C:/b=c", [("a", {"x": "1", "file": "C:/b=c"})]),
    ],
)
def test_text_is_read_as_uses(text, uses):
    assert as_pairs(text) == uses


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", "''"),
        ("youden,", "''"),
        (",youden", "''"),
        ("you den", "'you den'"),
        ("-youden", "'-youden'"),
        ("timm/", "'timm/'"),
        (":x=1", "':x=1'"),
        ("youden:", "'youden:'"),
        ("youden:x", "'youden:x'"),
        ("youden:=1", "'youden:=1'"),
        ("youden:x=", "'youden:x='"),
        ("youden:a-b=1", "'youden:a-b=1'"),
        ("x=1", "'x=1'"),
        ("x=1,youden", "'x=1'"),
        ("youden:x=1,x=2", "'x' of youden twice"),
    ],
)
def test_malformed_text_is_refused_naming_the_piece(text, piece):
    with pytest.raises(UsageError) as caught:
        parse_uses(text)
    assert piece in str(caught.value)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}(/[a-z][a-z0-9_.]{0,8})?", fullmatch=True)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1).filter(
    lambda text: text == text.strip()
)
uses = st.builds(Use, name=names, options=st.dictionaries(keys, values, max_size=4))


@given(st.lists(uses, min_size=1, max_size=4))
def test_what_a_use_prints_is_read_as_the_same_use(several):
    assert parse_uses(",".join(map(str, several))) == several


@given(st.text(alphabet="ab:=,/. -", max_size=12))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        read = parse_uses(text)
    except UsageError as error:
        assert repr(text)[1:-1] in str(error)  # noqa: PT017
    else:
        assert parse_uses(",".join(map(str, read))) == read


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("share", "0.25", 0.25),
        ("share", "1", 1.0),
        ("share", "1e-3", 0.001),
        ("count", "7", 7),
        ("count", "-7", -7),
        ("strict", "true", True),
        ("strict", "no", False),
        ("strict", "1", True),
        ("mode", "exact", "exact"),
        ("floor", "0.3", 0.3),
    ],
)
def test_text_becomes_the_option_s_type(option, text, value):
    bound = bind(component(Tuned), {option: text})[option]
    assert bound == value
    assert type(bound) is type(value)


def test_options_that_are_not_given_are_bound_at_their_defaults():
    assert bind(component(Tuned), {"share": "0.25"}) == {
        "share": 0.25,
        "count": 3,
        "strict": False,
        "mode": "fast",
        "floor": None,
        "weights": {"Mass": 2.0},
        "steps": [0.1, 0.2],
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shrae": "0.4"}, "has no option 'shrae'"),
        ({"share": "half"}, "cannot take share='half'"),
        ({"share": "1.01"}, "cannot take share='1.01'"),
        ({"share": "nan"}, "cannot take share='nan'"),
        ({"share": "inf"}, "cannot take share='inf'"),
        ({"count": "2.5"}, "cannot take count='2.5'"),
        ({"strict": "perhaps"}, "cannot take strict='perhaps'"),
        ({"mode": "slow"}, "cannot take mode='slow'"),
        ({"floor": "low"}, "cannot take floor='low'"),
        ({"weights": "Mass"}, "cannot take weights='Mass'"),
        ({"weights": {"Mass": "x"}}, "cannot take weights={'Mass': 'x'}"),
        ({"steps": [0.1, "x"]}, "cannot take steps=[0.1, 'x']"),
    ],
)
@pytest.mark.parametrize("check", [bind, non_default, instantiate])
def test_wrong_options_are_refused_and_the_accepted_ones_listed(check, options, said):
    with pytest.raises(UsageError) as caught:
        check(component(Tuned), options)
    message = str(caught.value)
    assert message.startswith(f"The thresholds 'it' {said}")
    assert "share (0.5), count (3), strict (False), mode (fast), floor (None), weights ({'Mass': 2.0})" in (
        message
    )


def test_a_missing_option_is_named_as_required():
    with pytest.raises(UsageError, match=r"needs the option 'size'; its options are size \(required\)"):
        bind(component(Needy), {"name": "y"})


def test_only_what_differs_from_the_defaults_goes_into_a_key():
    spelled_out = {"share": "0.5", "count": 3, "mode": "fast", "weights": {"Mass": 2}, "steps": [0.1, 0.2]}
    assert non_default(component(Tuned), spelled_out) == {}
    assert non_default(component(Tuned), {**spelled_out, "steps": [0.1], "floor": "0"}) == {
        "steps": [0.1],
        "floor": 0.0,
    }


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "share": st.floats(0, 1),
            "count": st.integers(-(2**40), 2**40),
            "strict": st.booleans(),
            "mode": st.sampled_from(["fast", "exact"]),
            "floor": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "weights": st.dictionaries(st.text(), st.floats(-10, 10)),
            "steps": st.lists(st.floats(-10, 10)),
        },
    )
)
def test_binding_what_was_bound_changes_nothing(options):
    it = component(Tuned)
    bound = bind(it, options)
    assert bind(it, bound) == bound
    assert bind(it, non_default(it, options)) == bound
    assert instantiate(it, bound) == instantiate(it, options)


def test_a_component_gets_its_options_in_their_own_types():
    made = instantiate(component(Tuned), {"share": "1", "steps": [1, 2]})
    assert made == Tuned(share=1.0, steps=(1.0, 2.0))
    assert type(made.steps) is tuple


def test_a_default_that_is_made_anew_is_not_shared():
    first, second = (instantiate(component(Tuned), {}) for _ in range(2))
    assert first.weights == second.weights
    assert first.weights is not second.weights


def test_a_plain_class_has_its_keywords_as_options():
    made = instantiate(component(Plain), {"size": "3", "ratio": "0.5"})
    assert (made.size, made.rest, made.ratio, made.more) == (3, (), 0.5, {})
    with pytest.raises(UsageError, match=r"its options are size \(required\), ratio \(1.0\)\."):
        bind(component(Plain), {"size": "3", "colour": "red"})


def test_a_class_without_constructor_takes_no_options():
    assert isinstance(instantiate(component(Bare), {}), Bare)
    assert bind(component(Bare), {}) == non_default(component(Bare), {}) == {}
    with pytest.raises(UsageError, match="has no option 'x'; it takes no options"):
        bind(component(Bare), {"x": "1"})


@pytest.mark.parametrize(("target", "named"), [(Unreadable, "Radiograph"), (Opaque, "Bare")])
def test_a_constructor_that_cannot_be_read_is_said_with_its_source(target, named):
    with pytest.raises(CxrbenchError, match=f"'it' of tests cannot be read.*{named}"):
        bind(component(target), {})


def test_a_family_member_carries_its_name():
    member = family_member("maker/one.v2")
    made = instantiate(member, {"rate": "0.5"})
    assert (made.name, made.rate) == ("one.v2", 0.5)
    assert bind(member, {}) == {"rate": 0.0}
    assert non_default(member, {"rate": 0}) == {}


@pytest.mark.parametrize("name", ["other", "one"])
def test_the_name_of_a_family_member_cannot_be_given_as_an_option(name):
    with pytest.raises(UsageError, match=r"'maker/one' carries 'name' in its name; its options are rate"):
        bind(family_member("maker/one"), {"name": name})


def test_a_choice_among_numbers_can_be_given_as_text():
    assert instantiate(component(Sized), {"side": "64"}).side == 64
    assert non_default(component(Sized), {"side": "28"}) == {}
    with pytest.raises(UsageError, match=r"cannot take side='65'"):
        bind(component(Sized), {"side": "65"})
