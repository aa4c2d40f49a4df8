"""Hyperparameter search: equal trials for every loss, then the best settings with several seeds."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.trial import FrozenTrial
from rich.table import Table

from core.console import relative_to_cwd, unwrapped_console
from core.errors import UserError
from engine.config.check import check
from engine.config.hooks import build_hooks, with_weights_beside
from sweeps.grid import expanded
from sweeps.job import Outcome
from sweeps.progress import conclude
from sweeps.run_config import Composed, compose
from sweeps.search_space import Space, overrides, require_spaces, space_of
from sweeps.study import Study, digest, diverged
from tracking.run_folder import RunFolder
from tracking.summary import direction_of

log = logging.getLogger(__name__)
RENAMED_KEYS = {"at_once": "parallel_trials", "repeats": "average_over"}  # old: new
Launch = Callable[[list[list[str]]], list[Outcome]]  # overrides of each job -> how each ended


@dataclass(frozen=True)
class StudyConfig:
    """Configuration of the studies of a search, from conf/hydra/sweeper/search.yaml."""

    trials: int
    parallel_trials: int
    seeds: Sequence[int]
    average_over: Sequence[str]
    folder: Path
    sampler_seed: int


def study_config(settings: Mapping[str, Any]) -> StudyConfig:
    """The settings of a search; a deprecated key replaces the new one, with a warning."""
    new = {key: value for key, value in settings.items() if key not in RENAMED_KEYS}
    for old, name in RENAMED_KEYS.items():
        if settings.get(old) is not None:
            log.warning("hydra.sweeper.%s is deprecated, write hydra.sweeper.%s", old, name)
            new[name] = settings[old]
    return StudyConfig(**new)


def search(
    arguments: Sequence[str],
    config: StudyConfig,
    loader: ConfigLoader,
    sweep: DictConfig,
    launch: Launch,
) -> None:
    """Run one study for every combination of the comma-separated values, such as every loss.

    Raises:
        UserError: a loss has no search space, a run has no validation classes, or another process
            writes a study.
        SweepError: runs failed for a reason other than their settings.
    """
    variants = expanded(config.average_over, loader) if config.average_over else [[]]
    with ExitStack() as locks:
        studies = plan_studies(expanded(arguments, loader), config, loader, sweep)
        for study in studies:
            locks.enter_context(RunFolder(study.folder).locked())
        run_trials(studies, config, variants, launch)
    print_best_trials(studies)
    seeds = [[*variant, f"seed={seed}"] for seed in config.seeds for variant in variants]
    best = [[*study.base, *overrides(study.best().params)] for study in studies]
    jobs = [[*settings, *seed] for settings in best for seed in seeds]
    if jobs:
        conclude(launch(jobs))


def plan_studies(
    bases: Sequence[list[str]], config: StudyConfig, loader: ConfigLoader, sweep: DictConfig
) -> list[Study]:
    """The studies of the overrides in `bases`; all are checked before the first one is created."""
    jobs = [(base, compose(loader, sweep, base)) for base in bases]
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    require_spaces((job.choices["loss"] for _, job in jobs), folders)
    for base, job in jobs:
        check(job.config, base)
        check_validation(job.config)
    spaces = [space_of(job.choices["loss"], keys(base), folders) for base, job in jobs]
    planned = zip(jobs, spaces, strict=True)
    return [open_study(base, job, space, config) for (base, job), space in planned]


def keys(overrides: Sequence[str]) -> list[str]:
    """The configuration keys that overrides set."""
    return [override.split("=")[0].lstrip("+") for override in overrides]


def open_study(base: list[str], job: Composed, space: Space, config: StudyConfig) -> Study:
    """The study of a configuration, new or continued, in the folder named by its settings."""
    metric = job.config.evaluation.select_on
    own = instantiate(job.config.evaluation.measure).higher_is_better
    directions = with_weights_beside(own, build_hooks(job.config))
    group, dataset = job.folder.path.parent.name, job.folder.path.parents[1].name
    name = f"{group}_{digest(space, config.average_over, config.sampler_seed)}"
    return Study(
        config.folder.absolute() / dataset / name,
        base,
        space,
        metric,
        direction_of(metric, directions) is not False,
        config.sampler_seed,
    )


def check_validation(config: DictConfig) -> None:
    """Check that trials are compared on validation classes, disjoint from training and test.

    Raises:
        UserError: they are not.
    """
    metric = str(config.evaluation.select_on)
    kind = str(config.validation._target_).rpartition(".")[2]
    if kind not in ("classes", "fold"):
        raise UserError(
            f"validation={kind}: a search needs separate validation classes; "
            "use validation=classes or validation=fold"
        )
    if not metric.startswith("val/"):
        raise UserError(f"evaluation.select_on={metric}: a search needs a metric val/..., not test")


def run_trials(
    studies: Sequence[Study],
    config: StudyConfig,
    variants: Sequence[Sequence[str]],
    launch: Launch,
) -> None:
    """Run rounds of trials until every study has the same number of them.

    Args:
        variants: overrides of the runs over which each trial is averaged.
    """
    while unfinished := [study for study in studies if study.n_trials_done < config.trials]:
        trials = [
            (study, trial)
            for study in unfinished
            for trial in study.next(config.parallel_trials, config.trials)
        ]
        outcomes = launch(
            [[*study.overrides(trial), *more] for study, trial in trials for more in variants]
        )
        record_outcomes(trials, outcomes, runs_per_trial=len(variants))
        done = sum(study.n_trials_done for study in studies)
        console = unwrapped_console(stderr=True)
        console.print(f"{done} of {len(studies) * config.trials} trials done", highlight=False)


def record_outcomes(
    trials: Sequence[tuple[Study, FrozenTrial]], outcomes: Sequence[Outcome], runs_per_trial: int
) -> None:
    """Record the value of each trial in its study.

    Raises:
        SweepError: runs failed for a reason other than their settings.
    """
    for number, (study, trial) in enumerate(trials):
        study.record(trial, outcomes[number * runs_per_trial : (number + 1) * runs_per_trial])
    ended = ("finished", "skipped")
    if any(outcome.state not in ended and not diverged(outcome) for outcome in outcomes):
        conclude(outcomes)


def print_best_trials(studies: Sequence[Study]) -> None:
    """Print the best trial of each study, and the file that has all of its trials."""
    grid = Table("study", "trials", "metric", "best", "settings", box=None, header_style="bold")
    for study in studies:
        best = study.best()
        settings = " ".join(overrides(best.params))
        assert best.value is not None
        file = str(relative_to_cwd(study.write()))
        value = f"{best.value:.4f}"
        grid.add_row(file, str(study.n_trials_done), study.metric, value, settings)
    unwrapped_console(stderr=True).print(grid)
