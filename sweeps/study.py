"""Optuna study of one loss: its trials, their values and what to try next."""

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

DONE = (TrialState.COMPLETE, TrialState.FAIL)  # a trial that diverged fails
DIVERGED = "TrainingError"  # the error of a run whose settings do not train


class Study:
    """Trials of one configuration, in `<folder>/study.db`; a search that was killed continues.

    A trial is `RUNNING` in the database from its suggestion until its value is recorded; the next
    search runs such a trial first. Suggestions depend on the recorded trials and `seed` only, so
    that a search that was killed ends with the same trials as one that was not.

    Args:
        folder: of the study; its runs are below it.
        base: overrides that all trials share.
        space: what they may change.
        metric: a validation metric.
        higher_is_better: its direction.
        seed: seeds the suggestions.
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
    def n_trials_done(self) -> int:
        """Number of trials that have a value or diverged."""
        return len(self.study.get_trials(deepcopy=False, states=DONE))

    def next(self, parallel_trials: int, budget: int) -> list[FrozenTrial]:
        """The trials to run now: those that a killed search left unfinished, else new suggestions.

        Args:
            parallel_trials: most suggestions that are made before the next values are known.
            budget: trials of the whole study.
        """
        unfinished = []
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            if trial.params.keys() == self.space.keys():
                unfinished.append(trial)
            else:  # the search was killed while it suggested this trial, which never began
                self.study.tell(trial.number, state=TrialState.PRUNED)
        if unfinished:
            return unfinished
        count = min(parallel_trials, budget - self.n_trials_done)
        seed = self.seed + len(self.study.trials)
        self.study.sampler = TPESampler(seed=seed)
        numbers = [self.study.ask(self.space).number for _ in range(count)]
        return [self.study.trials[number] for number in numbers]

    def overrides(self, trial: FrozenTrial) -> list[str]:
        """The overrides of the run of a trial, whose run folder is below that of the study."""
        runs = f"paths.runs='{self.folder / 'runs'}'"
        return [*self.base, *overrides(trial.params), runs]

    def record(self, trial: FrozenTrial, outcomes: Sequence[Outcome]) -> None:
        """Record the mean over the runs of a trial; a run that diverged fails the trial.

        A run that was interrupted, or failed for another reason, leaves the trial unfinished.
        """
        if all(outcome.state in ("finished", "skipped") for outcome in outcomes):
            value = fmean(selected_value(outcome.folder, self.metric) for outcome in outcomes)
            self.study.tell(trial.number, value)
        elif any(diverged(outcome) for outcome in outcomes):
            self.study.tell(trial.number, state=TrialState.FAIL)

    def best(self) -> FrozenTrial:
        """The trial with the best value.

        Raises:
            UserError: every trial diverged.
        """
        if not self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            raise UserError(f"{self.folder}: every trial diverged; try lower learning rates")
        return self.study.best_trial

    def write(self) -> Path:
        """Write every trial and the best one to `trials.json`; returns its path."""
        best = self.best()
        content = {
            "metric": self.metric,
            "base": self.base,
            "best": {"trial": best.number, "value": best.value, **_overrides_of(best)},
            "trials": [
                {
                    "trial": trial.number,
                    "state": trial.state.name,
                    "value": trial.value,
                    **_overrides_of(trial),
                }
                for trial in self.study.get_trials(deepcopy=False)
            ],
        }
        path = self.folder / "trials.json"
        RunFolder(self.folder).write_json(path, content)
        return path


def _overrides_of(trial: FrozenTrial) -> dict[str, list[str]]:
    return {"overrides": overrides(trial.params)}


def diverged(outcome: Outcome) -> bool:
    """Whether training failed because of the settings, as with a loss that is not finite."""
    folder = RunFolder(outcome.folder)
    if outcome.state != "failed":
        return False
    return str(folder.read_json(folder.status).get("error", "")).startswith(DIVERGED)


def selected_value(folder: Path, metric: str) -> float:
    """The validation metric of a run at its best evaluation.

    Raises:
        UserError: the run has no such metric, or its summary is damaged.
    """
    run = RunFolder(folder)
    run.verify(run.summary)
    reading = run.read_json(run.summary).get("selected")
    if reading is None or reading.get(metric) is None:
        raise UserError(f"{folder} has no value of {metric}, which the search optimizes")
    return float(reading[metric])


def digest(space: Space, average_over: Sequence[str], seed: int) -> str:
    """Hash of what is searched and how, which tells studies of one configuration apart."""
    ranges: Mapping[str, str] = {key: distribution_to_json(d) for key, d in space.items()}
    content = json.dumps([ranges, list(average_over), seed], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:4]
