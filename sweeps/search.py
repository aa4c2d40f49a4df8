"""A search: the same number of trials for every loss, then the winners over several seeds."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.utils import instantiate
from omegaconf import DictConfig
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.table import Table

from core.errors import UserError
from engine.config.check import check
from sweeps.grid import expanded
from sweeps.job import Outcome
from sweeps.progress import conclude, near
from sweeps.run_config import Composed, compose
from sweeps.search_space import Space, overrides, require_spaces, space_of
from sweeps.study import Study, digest, diverged
from tracking.run_folder import RunFolder

Launch = Callable[[list[list[str]]], list[Outcome]]  # overrides of each job -> how each ended


@dataclass(frozen=True)
class StudyConfig:
    """conf/hydra/sweeper/search.yaml"""

    trials: int
    at_once: int
    seeds: Sequence[int]
    repeats: Sequence[str]
    folder: Path
    sampler_seed: int


def search(
    arguments: Sequence[str],
    rules: StudyConfig,
    loader: ConfigLoader,
    sweep: DictConfig,
    launch: Launch,
) -> None:
    """One study for every combination of the comma-separated values, such as every loss.

    Raises:
        UserError: a loss has no space, a run no validation classes, or a study is being written.
        SweepError: runs failed for a reason that says nothing about their settings.
    """
    repeats = expanded(rules.repeats, loader) if rules.repeats else [[]]
    with ExitStack() as held:
        studies = plan(expanded(arguments, loader), rules, loader, sweep)
        for one in studies:
            held.enter_context(RunFolder(one.folder).locked())
        try_all(studies, rules, repeats, launch)
    report(studies)
    seeds = [[*repeat, f"seed={seed}"] for seed in rules.seeds for repeat in repeats]
    jobs = [[*one.base, *overrides(one.best().params), *more] for one in studies for more in seeds]
    if jobs:
        conclude(launch(jobs))


def plan(
    bases: Sequence[list[str]], rules: StudyConfig, loader: ConfigLoader, sweep: DictConfig
) -> list[Study]:
    """The studies, none of which exists before all of them are known to be possible."""
    jobs = [(base, compose(loader, sweep, base)) for base in bases]
    folders = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    require_spaces((job.choices["loss"] for _, job in jobs), folders)
    for base, job in jobs:
        check(job.config, base)
        refuse_without_validation(job.config)
    spaces = [space_of(job.choices["loss"], keys(base), folders) for base, job in jobs]
    return [study(base, job, space, rules) for (base, job), space in zip(jobs, spaces, strict=True)]


def keys(overrides: Sequence[str]) -> list[str]:
    return [override.split("=")[0].lstrip("+") for override in overrides]


def study(base: list[str], job: Composed, space: Space, rules: StudyConfig) -> Study:
    metric = job.config.evaluation.select_on
    directions = instantiate(job.config.evaluation.measure).higher_is_better
    group, dataset = job.folder.path.parent.name, job.folder.path.parents[1].name
    name = f"{group}_{digest(space, rules.repeats, rules.sampler_seed)}"
    return Study(
        rules.folder.absolute() / dataset / name,
        base,
        space,
        metric,
        directions.get(metric.split("/", 1)[1]) is not False,
        rules.sampler_seed,
    )


def refuse_without_validation(config: DictConfig) -> None:
    """Settings are chosen on classes that neither train nor test."""
    metric = str(config.evaluation.select_on)
    kind = str(config.validation._target_).rpartition(".")[2]
    if kind not in ("classes", "fold"):
        raise UserError(
            f"validation={kind}: a search needs classes of its own to choose by; "
            "take validation=classes or validation=fold"
        )
    if not metric.startswith("val/"):
        raise UserError(f"evaluation.select_on={metric}: a search chooses by val/..., never test/")


def try_all(
    studies: Sequence[Study], rules: StudyConfig, repeats: Sequence[Sequence[str]], launch: Launch
) -> None:
    """Rounds of trials of all studies that have some left, each with the same budget."""
    while unfinished := [one for one in studies if one.spent < rules.trials]:
        trials = [(o, trial) for o in unfinished for trial in o.next(rules.at_once, rules.trials)]
        jobs = [[*o.overrides(trial), *more] for o, trial in trials for more in repeats]
        outcomes = launch(jobs)
        tell(trials, outcomes, len(repeats))


def tell(
    trials: Sequence[tuple[Study, FrozenTrial]], outcomes: Sequence[Outcome], repeats: int
) -> None:
    for number, (one, trial) in enumerate(trials):
        one.tell(trial, outcomes[number * repeats : (number + 1) * repeats])
    ended = ("finished", "skipped")
    if any(outcome.state not in ended and not diverged(outcome) for outcome in outcomes):
        conclude(outcomes)


def report(studies: Sequence[Study]) -> None:
    """The winner of each study, and where all of its trials are."""
    grid = Table("study", "trials", "metric", "best", "settings", box=None, header_style="bold")
    for one in studies:
        best = one.best()
        settings = " ".join(overrides(best.params))
        assert best.value is not None
        file = str(near(one.write()))
        grid.add_row(file, str(one.spent), one.metric, f"{best.value:.4f}", settings)
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = 1000
    console.print(grid)
