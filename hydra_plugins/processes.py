"""Hydra launcher `processes`: runs every job of a sweep in a separate process, several at once."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Processes(Launcher):
    """Processes launcher: starts the jobs; configured by conf/hydra/launcher/processes.yaml.

    Args:
        jobs: number of parallel jobs; `auto` is one per GPU, or one.
        fail_fast: whether the first failure stops the other jobs.
    """

    def __init__(self, jobs: int | str, fail_fast: bool) -> None:
        self.jobs, self.fail_fast = jobs, fail_fast

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,  # noqa: ARG002
        config: DictConfig,
    ) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002
    ) -> Sequence[JobReturn]:
        from sweeps.job import Job
        from sweeps.pool import gpu_slots, run_all
        from sweeps.progress import SweepProgress
        from sweeps.run_config import compose

        jobs, devices = [], 1
        for overrides in job_overrides:
            config, folder, _, arguments = compose(self.loader, self.config, overrides)
            jobs.append(Job(arguments, folder, config.force))
            if isinstance(config.trainer.devices, int):
                devices = max(devices, config.trainer.devices)
        slots = gpu_slots(self.jobs, devices)
        with SweepProgress(len(jobs), len(slots)) as observer:
            outcomes = run_all(jobs, slots, self.fail_fast, observer)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=o) for o in outcomes]
