"""Hyperband with Optuna: which values a trial has, whether it goes on, and a journal that outlives a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.canonical import canonical_json
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.training.randomness import derive
from cxrbench.tuning.journal import Journal
from cxrbench.tuning.search import Parameter, Value

if TYPE_CHECKING:
    import optuna


_ENDED = "ended"
"""Attribute of a trial that Hyperband has ended."""


@dataclass(frozen=True)
class Trial:
    """One trial, as far as it is known.

    Attributes:
        number: from 0.
        state: ``complete``, ``pruned``, ``failed``, or ``unfinished``.
        values: of the settings that vary.
        scores: by epoch, from 1.
        facts: what was noted of it, such as ``train``, ``seconds`` and, of a failed one, ``reason``.
    """

    number: int
    state: str
    values: dict[str, Value]
    scores: dict[int, float]
    facts: dict[str, Any]

    @property
    def epochs(self) -> int:
        """How many it trained."""
        return max(self.scores, default=0)

    @property
    def score(self) -> float:
        """The last one; NaN where there is none."""
        return self.scores.get(self.epochs, math.nan)


class Hyperband:
    """A search's journal. The process that opens it must be the only one.

    A trial's values follow from (seed, number) and the trials before it, whatever was killed in between.
    """

    def __init__(
        self,
        journal: Path,
        *,
        name: str,
        record: Mapping[str, Any],
        space: Mapping[str, Parameter],
        budget: int,
        eta: int,
        maximises: bool,
        sampler: str,
        seed: int,
    ) -> None:
        """Open the journal, or begin it.

        Args:
            journal: a file; its folder exists.
            name: of the search; which bracket a trial is in follows from it and the trial's number.
            record: all that trials depend on (JSON): a journal of another search is refused.
            space: what varies.
            budget: epochs of a trial at most.
            eta: see :class:`cxrbench.tuning.search.Search`.
            maximises: whether a greater score is better.
            sampler: ``random`` or ``tpe``.
            seed: of the values.

        Raises:
            CxrbenchError: Optuna is not installed, or the journal is damaged.
            UsageError: the journal is of a search with another record.
        """
        self._optuna = _optuna()
        storages = self._optuna.storages
        self._space, self._sampler, self._seed = space, sampler, seed
        try:
            self._journal = Journal(journal)
            self._study = self._optuna.create_study(
                study_name=name,
                storage=storages.JournalStorage(self._journal),
                pruner=self._optuna.pruners.HyperbandPruner(1, budget, eta),
                direction="maximize" if maximises else "minimize",
                load_if_exists=True,
            )
        except (ValueError, LookupError, TypeError) as error:
            raise CxrbenchError(
                f"{journal} is damaged ({str(error)[:80]}); remove the folder "
                f"{journal.parent} to search anew."
            ) from error
        wanted = json.loads(canonical_json(record))
        if self._study.user_attrs.get("search", wanted) != wanted:
            raise UsageError(
                f"{journal.parent} holds a search with other settings; give this one another --name, or "
                "remove that folder."
            )
        self._study.set_user_attr("search", wanted)

    def trials(self) -> list[Trial]:
        """All trials so far, in order."""
        return [_trial(each) for each in self._study.get_trials(deepcopy=False)]

    def next(self) -> OpenTrial:
        """The trial that a killed process left unfinished, or a new one."""
        trials = self._study.get_trials(deepcopy=False)
        left = next((each for each in trials if not each.state.is_finished()), None)
        self._study.sampler = self._sampler_of(left.number if left else len(trials))
        with self._journal.together():
            # By an id that Optuna keeps to itself: else a trial can only be told of where it was asked for.
            trial = self._optuna.trial.Trial(self._study, left._trial_id) if left else self._study.ask()
            values = {name: _suggested(trial, name, each) for name, each in self._space.items()}
        return OpenTrial(self._journal, self._study, trial, values)

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        samplers = self._optuna.samplers
        kind = samplers.TPESampler if self._sampler == "tpe" else samplers.RandomSampler
        sampler: optuna.samplers.BaseSampler = kind(seed=derive("tune", self._seed, number) % 2**32)
        return sampler


class OpenTrial:
    """A trial at work.

    Attributes:
        number: from 0.
        values: of the settings that vary.
    """

    def __init__(
        self, journal: Journal, study: optuna.Study, trial: optuna.Trial, values: dict[str, Value]
    ) -> None:
        self._journal, self._study, self._trial = journal, study, trial
        self._state = type(study.trials[trial.number].state)
        self.number, self.values = trial.number, values

    def ends_after(self, scores: Sequence[float]) -> bool:
        """Note the scores of all epochs so far, the first first; whether Hyperband ends the trial there."""
        if _ENDED in self._trial.user_attrs:
            return True
        return any(self._ends_at(epoch, score) for epoch, score in self._new(scores))

    def _ends_at(self, epoch: int, score: float) -> bool:
        with self._journal.together():
            self._trial.report(score, epoch)
            ends = self._trial.should_prune()
            if ends:
                # Optuna decides once; a process that is killed before the trial's end is told must know.
                self._trial.set_user_attr(_ENDED, epoch)
        return ends

    def _new(self, scores: Sequence[float]) -> Iterable[tuple[int, float]]:
        known = self._study.trials[self.number].intermediate_values
        return [(epoch, score) for epoch, score in enumerate(scores, 1) if epoch not in known]

    def complete(self, scores: Sequence[float], facts: Mapping[str, Any]) -> None:
        """It came to its end after these epochs; its score is the last one, which is a number."""
        with self._journal.together():
            for epoch, score in self._new(scores):
                self._trial.report(score, epoch)
            self._note(facts)
            self._study.tell(self._trial, scores[-1])

    def pruned(self, facts: Mapping[str, Any]) -> None:
        """Hyperband ended it."""
        with self._journal.together():
            self._note(facts)
            self._study.tell(self._trial, state=self._state.PRUNED)

    def failed(self, reason: str, facts: Mapping[str, Any]) -> None:
        """It has no score."""
        with self._journal.together():
            self._note({**facts, "reason": reason})
            self._study.tell(self._trial, state=self._state.FAIL)

    def _note(self, facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            self._trial.set_user_attr(name, value)


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise CxrbenchError("A search needs Optuna; pip install 'cxrbench[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggested(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    if parameter.choices:
        chosen: Value = trial.suggest_categorical(name, parameter.choices)  # type: ignore[assignment]
        return chosen
    low: Any = parameter.low
    high: Any = parameter.high
    step: Any = parameter.step
    log = parameter.log
    if parameter.whole:
        return trial.suggest_int(name, low, high, step=step or 1, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)


_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def _trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    return Trial(
        frozen.number,
        _STATES.get(frozen.state.name, "unfinished"),
        dict(frozen.params),
        dict(sorted(frozen.intermediate_values.items())),
        {name: value for name, value in frozen.user_attrs.items() if name != _ENDED},
    )
