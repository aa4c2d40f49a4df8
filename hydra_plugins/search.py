"""Hydra sweeper `search`: Optuna tunes the hyperparameters of each loss on validation classes."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """Search sweeper: tunes hyperparameters; configured by conf/hydra/sweeper/search.yaml.

    Args:
        trials: trials of each loss.
        parallel_trials: trials of one loss that run before the next ones are suggested.
        seeds: seeds with which the best settings run; none if empty.
        average_over: sweeps over which each trial is averaged, such as `validation.index=0,1,2,3`.
        folder: folder of the studies and their runs.
        sampler_seed: seeds the suggestions.
        at_once, repeats: deprecated names of `parallel_trials` and `average_over`.
    """

    def __init__(
        self,
        trials: int,
        parallel_trials: int,
        seeds: Sequence[int],
        average_over: Sequence[str],
        folder: str,
        sampler_seed: int,
        at_once: int | None = None,
        repeats: Sequence[str] | None = None,
    ) -> None:
        self.settings = {
            "trials": trials,
            "parallel_trials": parallel_trials,
            "seeds": seeds,
            "average_over": average_over,
            "folder": Path(folder),
            "sampler_seed": sampler_seed,
            "at_once": at_once,
            "repeats": repeats,
        }

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from sweeps.job import Outcome
        from sweeps.search import search, study_config

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

        settings = study_config(self.settings)
        search(arguments, settings, self.hydra_context.config_loader, config, launch)
