"""What a run is: where each setting comes from, what is refused, and what goes into keys."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cxrbench.errors import UsageError
from cxrbench.grid import cells
from cxrbench.options import Use, parse_uses
from cxrbench.plugins import load_plugins
from cxrbench.registry import RUN_KINDS, Component
from cxrbench.specs import RunSpec, TrainingSpec, check, keyed, read_config, resolve
from cxrbench.stages.publish import as_toml


class Recommending:
    """A data set with recommendations for the run and for its training."""

    def __init__(self, size: int = 96):
        self.size = size

    def recommend(self):
        return {"image_size": self.size, "loss": "bce", "epochs": 7, "batch_size": 8, "schedule": "plateau"}


class Content:
    def recommend(self):
        return {}


@pytest.fixture(scope="module")
def registry():
    found = load_plugins([]).registry
    for name, target in (("recommending", Recommending), ("content", Content)):
        where = f"{__name__}:{target.__name__}"
        found.add(Component("dataset", name, where, "1", "a test's", "tests"))
    return found


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_defaults_hold_where_nobody_says_otherwise(registry):
    spec = resolve({"dataset": "content"}, registry)
    assert spec.training == TrainingSpec()
    assert spec.image_size == RunSpec().image_size
    assert {kind: spec.use(kind).name for kind in RUN_KINDS} == {
        "task": "findings",
        "sampler": "none",
        "preprocessing": "none",
        "resizer": "none",
        "augmentation": "affine",
        "dataset": "content",
        "backbone": "densenet_fpn",
        "head": "own",
        "loss": "weighted_bce",
        "calibrator": "none",
        "thresholds": "dynamic",
        "decision": "none",
    }


def test_recommendations_come_before_defaults(registry):
    spec = resolve({"dataset": "recommending"}, registry)
    assert (spec.image_size, spec.loss.name) == (96, "bce")
    assert spec.training == TrainingSpec(epochs=7, batch_size=8, schedule="plateau")


def test_recommendations_follow_the_data_set_s_options(registry):
    assert resolve({"dataset": "recommending:size=128"}, registry).image_size == 128


def test_what_is_given_comes_before_recommendations_field_by_field(registry):
    given_settings = {"dataset": "recommending", "image_size": 64, "training": {"epochs": 2, "clip_norm": 1}}
    spec = resolve(given_settings, registry)
    assert (spec.image_size, spec.loss.name) == (64, "bce")
    assert spec.training == TrainingSpec(epochs=2, batch_size=8, schedule="plateau", clip_norm=1)


def test_set_comes_before_axes_and_axes_before_the_rest(registry, config):
    path = config('dataset = "recommending"\nseed = 5\nthresholds = "fixed"\n[training]\nepochs = 3\n')
    axes = {"seed": [6, 7], "thresholds": parse_uses("fixed:threshold=0.4")}
    settings = ["fixed.threshold=0.3", "training.epochs=4", "min_positives=2"]
    first, second = cells(read_config(path), axes, settings, registry)
    assert (first.seed, second.seed) == (6, 7)
    for spec in (first, second):
        assert spec.thresholds == Use(name="fixed", options={"threshold": 0.3})
        assert (spec.training.epochs, spec.training.batch_size, spec.min_positives) == (4, 8, 2)


def test_every_option_is_written_out_in_the_resolved_run(registry):
    spec = resolve({"dataset": "content", "thresholds": "fixed"}, registry)
    assert spec.thresholds.options == {"threshold": 0.5}
    assert spec.dataset.options == {}


def test_toml_has_components_as_text_or_table(registry, config):
    texts = (
        'thresholds = "dynamic:min_precision=0.4,step=0.1"\n',
        '[thresholds]\nname = "dynamic"\noptions = {min_precision = 0.4, step = 0.1}\n',
    )
    as_text, as_table = (
        resolve({"dataset": "content", **read_config(config(text))}, registry) for text in texts
    )
    assert as_text == as_table
    assert as_text.thresholds.options["min_precision"] == 0.4


def test_tables_of_options_come_from_toml(registry, config):
    path = config('[loss]\nname = "weighted_bce"\noptions.overrides = {Pneumonia = 4.5}\n')
    spec = resolve({**read_config(path), "dataset": "content"}, registry)
    assert spec.loss.options == {"weights": "log", "overrides": {"Pneumonia": 4.5}}


@pytest.mark.parametrize("backbone", ["densenet_fpn:hidden=64", "timm/resnet18:drop_rate=0.2"])
def test_a_published_run_s_file_gives_the_same_run(registry, backbone):
    spec = resolve({"dataset": "recommending", "backbone": backbone, "seed": 3}, registry)
    assert resolve(tomllib.loads(as_toml(spec)), registry) == spec


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sede": 1}, "There is no setting 'sede'; did you mean seed"),
        ({"training": {"epoch": 1}}, "There is no setting 'training.epoch'; did you mean epochs?"),
        (
            {"thresholds": {"name": "fixed", "threshold": 1}},
            "no setting 'thresholds.threshold'; there are name, options",
        ),
        ({"seed": "one"}, "The setting seed cannot be 'one'"),
        ({"labels": ["a.csv"]}, "The setting labels cannot be ['a.csv']"),
        ({"seed": -1}, "The setting seed cannot be -1"),
        ({"image_size": 16}, "The setting image_size cannot be 16"),
        ({"tune": "test"}, "The setting tune cannot be 'test': input should be 'tune' or 'val'"),
        ({"training": {"epochs": -1}}, "The setting training.epochs cannot be -1"),
        ({"training": {"schedule": "step"}}, "The setting training.schedule cannot be 'step'"),
        ({"training": 5}, "The setting training cannot be 5"),
        ({"thresholds": 5}, "The setting thresholds cannot be 5"),
        ({"dataset": ["content", "nih"]}, "The setting dataset cannot be ['content', 'nih']"),
        ({"thresholds": "youden,fixed"}, "names 2 components where one is meant"),
        ({"thresholds": "two words"}, "'two words' holds no name"),
    ],
)
def test_wrong_settings_are_named_with_what_there_is(registry, config, settings, said):
    with pytest.raises(UsageError) as by_check:
        check(settings)
    assert said in str(by_check.value)
    for refuse in (
        lambda: resolve({"dataset": "content", **settings}, registry),
        lambda: cells({"dataset": "content", **settings}, {}, [], registry),
        lambda: cells({"dataset": "content", **settings}, {}, ["training.clip_norm=1"], registry),
    ):
        with pytest.raises(UsageError) as caught:
            refuse()
        assert str(caught.value) == str(by_check.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backbone": "densenet_fnp"}, "did you mean densenet_fpn"),
        ({"dataset": "chexbert"}, "There is no dataset 'chexbert'"),
        ({"thresholds": "fixed:threshold=2"}, "cannot take threshold='2'"),
        ({"calibrator": "none:x=1"}, "it takes no options"),
        ({"weights": "no/such/file.safetensors"}, "There is no weights file no/such/file.safetensors"),
    ],
)
def test_unknown_names_and_options_are_refused_before_any_work(registry, settings, said):
    with pytest.raises(UsageError) as caught:
        resolve({"dataset": "content", **settings}, registry)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = ", "cannot be read as TOML"),
        ("training = 5", "The setting training cannot be 5"),
        ("sede = 5", "There is no setting 'sede'"),
    ],
)
def test_a_wrong_file_is_refused(registry, config, text, said):
    with pytest.raises(UsageError, match=said):
        cells(read_config(config(text)), {}, [], registry)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file .*gone\.toml"):
        read_config(tmp_path / "gone.toml")
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        read_config(tmp_path)


def content_cells(registry, axes, settings=()):
    texts = {kind: parse_uses(axis) if isinstance(axis, str) else axis for kind, axis in axes.items()}
    return cells({"dataset": "content"}, texts, settings, registry)


def test_a_grid_is_the_product_of_its_axes(registry):
    axes = {"backbone": [], "loss": "bce,weighted_bce", "thresholds": "youden,fixed,dynamic", "seed": [0, 1]}
    specs = content_cells(registry, axes)
    assert [(s.loss.name, s.thresholds.name, s.seed) for s in specs] == [
        (loss, thresholds, seed)
        for loss in ("bce", "weighted_bce")
        for thresholds in ("youden", "fixed", "dynamic")
        for seed in (0, 1)
    ]
    assert {s.backbone.name for s in specs} == {"densenet_fpn"}


def test_equal_runs_are_done_once(registry):
    axes = {"thresholds": "fixed,fixed:threshold=0.5,fixed:threshold=.4,fixed:threshold=0.40", "seed": [0, 0]}
    specs = content_cells(registry, axes)
    assert [s.thresholds.options["threshold"] for s in specs] == [0.5, 0.4]


def test_nothing_is_run_where_one_cell_is_wrong(registry):
    with pytest.raises(UsageError, match="threshold='7'"):
        content_cells(registry, {"thresholds": "youden,fixed:threshold=7"})


def test_set_reaches_the_cells_that_have_the_component(registry):
    youden, fixed = content_cells(registry, {"thresholds": "youden,fixed"}, ["fixed.threshold=0.3"])
    assert youden.thresholds == Use(name="youden")
    assert fixed.thresholds == Use(name="fixed", options={"threshold": 0.3})


def test_set_reaches_a_component_whose_name_has_dots(registry):
    axes = {"backbone": "timm/resnet18.tv_in1k"}
    (spec,) = content_cells(registry, axes, ["timm/resnet18.tv_in1k.drop_rate=0.25"])
    assert spec.backbone.options == {"drop_rate": 0.25}


def test_set_names_a_component_before_its_options(registry):
    settings = ["fixed.threshold=0.3", "thresholds=fixed", "seed=4"]
    (spec,) = content_cells(registry, {}, settings)
    assert spec.thresholds == Use(name="fixed", options={"threshold": 0.3})
    assert spec.seed == 4


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("youden.x=1", "no component 'youden' is in this run; there are content, findings, none, affine"),
        ("dynamic.floor=1", "has no option 'floor'"),
        ("dynamic.min_precision=2", "cannot take min_precision='2'"),
        ("training.epoch=1", "There is no setting 'training.epoch'"),
        ("training.epochs=none", "The setting training.epochs cannot be 'none'"),
        ("sede=1", "There is no setting 'sede'"),
        ("training=5", "The setting training cannot be '5'"),
        ("seed", "not 'seed'"),
        ("dynamic.=1", "not 'dynamic.=1'"),
        (".step=1", "not '.step=1'"),
        ("=1", "not '=1'"),
    ],
)
@pytest.mark.parametrize("more", [[], ["training.clip_norm=1"]])
def test_a_wrong_set_is_refused(registry, setting, said, more):
    with pytest.raises(UsageError) as caught:
        content_cells(registry, {}, [setting, *more])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "short", "spelled_out"),
    [
        ("thresholds", "fixed", "fixed:threshold=0.50"),
        ("thresholds", "dynamic:step=0.1", "dynamic:min_precision=.3,step=.10,grid=auto"),
        ("backbone", "densenet_fpn", "densenet_fpn:dropout=0.5,use=both"),
        ("calibrator", "none", "none"),
    ],
)
def test_a_default_spelled_out_gives_the_same_key(registry, kind, short, spelled_out):
    short, spelled_out = (parse_uses(text)[0] for text in (short, spelled_out))
    resolved = resolve({"dataset": "content", kind: short}, registry).use(kind)
    assert (
        keyed(short, kind, registry) == keyed(spelled_out, kind, registry) == keyed(resolved, kind, registry)
    )


def test_a_key_has_name_version_and_what_differs(registry):
    use = Use(name="dynamic", options={"min_precision": "0.4", "step": "0.05"})
    assert keyed(use, "thresholds", registry) == {
        "name": "dynamic",
        "version": "1",
        "options": {"min_precision": 0.4},
    }


def test_family_members_have_keys_of_their_own(registry):
    one, other = (keyed(Use(name=f"timm/{name}"), "backbone", registry) for name in ("resnet18", "resnet34"))
    assert one == {"name": "timm/resnet18", "version": "1", "options": {}}
    assert one != other


# The first example imports the network.
@hypothesis_settings(deadline=None)
@given(threshold=st.floats(0, 1))
def test_a_resolved_run_resolves_to_itself(registry, threshold):
    use = Use(name="fixed", options={"threshold": str(threshold)})
    spec = resolve({"dataset": "recommending", "thresholds": use}, registry)
    assert spec.thresholds.options["threshold"] == threshold
    assert resolve(spec.model_dump(mode="json"), registry) == spec


def test_a_setting_of_the_training_written_beside_it_is_sent_there():
    with pytest.raises(UsageError, match=r"There is no setting 'epochs'; write training\.epochs\."):
        check({"epochs": 3})


def test_none_is_no_other_test_data():
    assert check({"test_dataset": "none"}).test_dataset is None
    assert check({"test_dataset": {"name": "none"}}).test_dataset is None
    assert check({"test_dataset": "nih"}).test_dataset == Use(name="nih")
