"""Hyperband's journal: whatever a kill leaves of it, the search goes on to the same trials."""

import math

import pytest

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.tuning.hyperband import Hyperband
from cxrbench.tuning.search import Parameter, brackets

SPACE = {
    "training.learning_rate": Parameter(low=1e-5, high=0.1, log=True),
    "head.layers": Parameter(low=1, high=3),
    "head.neurons": Parameter(low=1024, high=4096, step=512),
    "head.dropout": Parameter(low=0.0, high=0.5),
    "training.schedule": Parameter(choices=("cosine", "constant")),
}
BUDGET, TRIALS = 4, 12


def opened(path, *, sampler="random", seed=0, record=None, maximises=True):
    return Hyperband(
        path,
        name="test",
        record=record or {"budget": BUDGET},
        space=SPACE,
        budget=BUDGET,
        eta=2,
        maximises=maximises,
        sampler=sampler,
        seed=seed,
    )


def scores_of(values, epochs):
    """What a training of these values would show after each epoch: the better the nearer to 1e-3."""
    quality = 1 / (1 + abs(math.log10(values["training.learning_rate"]) + 3))
    return [quality * epoch / (epoch + values["head.layers"]) for epoch in range(1, epochs + 1)]


def search(path, **given):
    """Go on to the end, as trainings do that nobody kills: asked before each epoch."""
    hyperband = opened(path, **given)
    while sum(trial.state != "unfinished" for trial in hyperband.trials()) < TRIALS:
        trial = hyperband.next()
        for epochs in range(BUDGET):
            if trial.ends_after(scores_of(trial.values, epochs)):
                trial.pruned({"seconds": 1.0})
                break
        else:
            trial.complete(scores_of(trial.values, BUDGET), {"seconds": 1.0})
    return hyperband.trials()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_cut_off_anywhere_it_goes_on_to_the_same_trials(tmp_path, sampler):
    path = tmp_path / "journal.log"
    whole = search(path, sampler=sampler)
    assert {trial.state for trial in whole} == {"complete", "pruned"}
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == 10]
    # After each line, and within some.
    for cut in [0, *ends, *(end - 7 for end in ends[::5])]:
        path.write_bytes(content[:cut])
        assert search(path, sampler=sampler) == whole, cut


def test_values_are_of_the_space_and_differ_by_seed(tmp_path):
    one, other = (search(tmp_path / str(seed), seed=seed) for seed in (0, 1))
    for trial in one:
        assert 1e-5 <= trial.values["training.learning_rate"] <= 0.1
        assert trial.values["head.layers"] in (1, 2, 3)
        assert trial.values["head.neurons"] in range(1024, 4097, 512)
        assert 0 <= trial.values["head.dropout"] <= 0.5
        assert trial.values["training.schedule"] in ("cosine", "constant")
    assert [trial.values for trial in one] != [trial.values for trial in other]


def test_trials_end_at_rungs_and_the_last_bracket_ends_none(tmp_path):
    trials = search(tmp_path / "journal.log")
    rungs = {first for _, first in brackets(BUDGET, 2)}
    assert {trial.epochs for trial in trials if trial.state == "pruned"} <= rungs
    assert all(trial.epochs == BUDGET for trial in trials if trial.state == "complete")


def test_of_a_loss_the_lower_goes_on(tmp_path):
    hyperband = opened(tmp_path / "journal.log", maximises=False)
    ended = []
    for number in range(40):
        trial = hyperband.next()
        # Every second trial is much worse than any other.
        score = 10.0 + number if number % 2 else 1.0 / (number + 1)
        if trial.ends_after([score]):
            ended.append(number)
            trial.pruned({})
        else:
            trial.complete([score], {})
    assert ended
    assert all(number % 2 for number in ended)


def test_a_journal_of_another_search_is_refused(tmp_path):
    opened(tmp_path / "journal.log")
    with pytest.raises(UsageError, match="--name"):
        opened(tmp_path / "journal.log", record={"budget": BUDGET + 1})


def test_a_damaged_journal_is_said_to_be_so(tmp_path):
    path = tmp_path / "journal.log"
    search(path)
    path.write_bytes(b"not what was written\n" + path.read_bytes())
    with pytest.raises(CxrbenchError, match="is damaged"):
        opened(path)
