"""Hydra's sweeper `search`: Optuna chooses the numbers of each loss on validation classes."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """conf/hydra/sweeper/search.yaml

    Args:
        trials: of each loss.
        at_once: trials of one loss that run before the next are chosen.
        seeds: of the winner; none if empty.
        repeats: sweeps over which each trial is averaged, such as `validation.index=0,1,2,3`.
        folder: of the studies and their runs.
        sampler_seed: of the suggestions.
    """

    def __init__(
        self,
        trials: int,
        at_once: int,
        seeds: Sequence[int],
        repeats: Sequence[str],
        folder: str,
        sampler_seed: int,
    ) -> None:
        self.rules = (trials, at_once, list(seeds), list(repeats), Path(folder), sampler_seed)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from sweeps.job import Outcome
        from sweeps.search import StudyConfig, search

        launcher, config = self.launcher, self.config
        assert launcher is not None
        assert config is not None
        assert self.hydra_context is not None
        launched = 0

        def launch(jobs: list[list[str]]) -> list[Outcome]:
            nonlocal launched
            returns = launcher.launch(jobs, launched)
            launched += len(jobs)
            return [job.return_value for job in returns]

        search(
            arguments, StudyConfig(*self.rules), self.hydra_context.config_loader, config, launch
        )
