"""The search of one loss: which settings were tried, how good they were, what to try next."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from core.errors import UserError
from sweeps.job import Outcome
from sweeps.search_space import Space, overrides
from tracking.run_folder import RunFolder

SPENT = (TrialState.COMPLETE, TrialState.FAIL)
DIVERGED = "TrainingError"  # a result: these numbers do not train


class Study:
    """Trials of one configuration, in `<folder>/study.db`; a search that was killed goes on.

    A trial is asked for once and told once. Between the two it is `RUNNING` in the database, and
    the search that comes next runs it first. What is tried next follows from the trials told
    before and `seed` alone, so that a search that was killed ends as one that was not.

    Args:
        folder: of the study; its runs are below it.
        base: overrides that all trials share.
        space: what they may change.
        metric: a validation metric.
        higher_is_better: its direction.
        seed: of the suggestions.
    """

    def __init__(
        self,
        folder: Path,
        base: Sequence[str],
        space: Space,
        metric: str,
        higher_is_better: bool,
        seed: int,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder, self.base, self.space = folder, list(base), space
        self.metric, self.seed = metric, seed
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / 'study.db'}",
            study_name=folder.name,
            direction="maximize" if higher_is_better else "minimize",
            load_if_exists=True,
        )

    @property
    def spent(self) -> int:
        """Trials that count: they gave a number, or diverged."""
        return len(self.study.get_trials(deepcopy=False, states=SPENT))

    def next(self, at_once: int, budget: int) -> list[FrozenTrial]:
        """What to run now: what an earlier search left running, or else new suggestions."""
        left = []
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            if trial.params.keys() == self.space.keys():
                left.append(trial)
            else:  # the search was killed while it asked for this one: it never began
                self.study.tell(trial.number, state=TrialState.PRUNED)
        if left:
            return left
        count = min(at_once, budget - self.spent)
        seed = self.seed + len(self.study.trials)
        self.study.sampler = TPESampler(seed=seed)
        asked = [self.study.ask(self.space).number for _ in range(count)]
        return [self.study.trials[number] for number in asked]

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """Of the run of this trial; its run folder is below the study's."""
        runs = f"paths.runs='{self.folder / 'runs'}'"
        return [*self.base, *overrides(trial.params), runs]

    def tell(self, trial: FrozenTrial, outcomes: Sequence[Outcome]) -> None:
        """The trial's number is the mean over its runs; one that diverged spoils it.

        A run that did not end by itself, or for any other reason, leaves the trial as it is.
        """
        if all(outcome.state in ("finished", "skipped") for outcome in outcomes):
            value = fmean(selected(outcome.folder, self.metric) for outcome in outcomes)
            self.study.tell(trial.number, value)
        elif any(diverged(outcome) for outcome in outcomes):
            self.study.tell(trial.number, state=TrialState.FAIL)

    def best(self) -> FrozenTrial:
        """
        Raises:
            UserError: no trial trained.
        """
        if not self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            raise UserError(f"{self.folder}: every trial diverged; try lower learning rates")
        return self.study.best_trial

    def write(self) -> Path:
        """`trials.json`: every trial, and the best one, for people and for tables."""
        best = self.best()
        content = {
            "metric": self.metric,
            "base": self.base,
            "best": {"trial": best.number, "value": best.value, **_of(best)},
            "trials": [
                {
                    "trial": trial.number,
                    "state": trial.state.name,
                    "value": trial.value,
                    **_of(trial),
                }
                for trial in self.study.get_trials(deepcopy=False)
            ],
        }
        path = self.folder / "trials.json"
        RunFolder(self.folder).write_json(path, content)
        return path


def _of(trial: FrozenTrial) -> dict[str, list[str]]:
    return {"overrides": overrides(trial.params)}


def diverged(outcome: Outcome) -> bool:
    """Whether training itself failed, as a loss that is not finite makes it."""
    folder = RunFolder(outcome.folder)
    if outcome.state != "failed":
        return False
    return str(folder.read_json(folder.status).get("error", "")).startswith(DIVERGED)


def selected(folder: Path, metric: str) -> float:
    """The validation metric of a run, at the evaluation where it is best.

    Raises:
        UserError: it has none, or its summary is damaged.
    """
    run = RunFolder(folder)
    run.verify(run.summary)
    reading = run.read_json(run.summary).get("selected")
    if reading is None or reading.get(metric) is None:
        raise UserError(f"{folder} has no {metric}: there is nothing to search by")
    return float(reading[metric])


def digest(space: Space, repeats: Sequence[str], seed: int) -> str:
    """Tells studies apart that search one configuration in different ways."""
    ranges: Mapping[str, str] = {key: distribution_to_json(d) for key, d in space.items()}
    content = json.dumps([ranges, list(repeats), seed], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:4]
