"""Tracker Weights & Biases, with messages that say how to upload what is missing."""

import logging
import shlex
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from core.ranges import NonNegativeFloat
from tracking.background_tracker import BackgroundTracker
from tracking.metrics_log import Record

log = logging.getLogger(__name__)
CLIENT_SHARE = 0.8  # fraction of the timeout after which W&B's client is to give up by itself


class WandbLogger(BackgroundTracker):
    """Logs records to W&B under their own names; a list becomes a histogram.

    A warning of W&B's client, such as of a failed upload, is shown when it happens. At the end of
    the run a warning says that its page is incomplete, with the command that uploads the rest from
    the run folder.

    Args:
        mode: `offline` writes into the run folder for `wandb sync`, `online` sends, `disabled`.
        project, entity: project and owner of the runs at W&B.
        timeout: seconds that W&B may take at start, at the end, and for any call between them.
        folder: the run folder, which also holds W&B's files. Its last three parts, dataset, group
            and seed, give the run its name `<group>_s<seed>` and its id, so that a resumed run
            continues its page.
        config: the resolved configuration, as plain containers.
        name: name of an evaluation, which has a page of its own in the group; None is the page of
            the run.
    """

    client = "W&B"

    def __init__(
        self,
        mode: Literal["online", "offline", "disabled"],
        project: str,
        entity: str | None,
        timeout: NonNegativeFloat,
        *,
        folder: Path,
        config: Mapping[str, Any],
        name: str | None = None,
    ) -> None:
        if mode not in ("online", "offline", "disabled"):
            raise ValueError(f"tracker.mode must be online, offline or disabled, got {mode}")
        self.mode, self.project, self.entity = mode, project, entity
        self.run: Any = None
        self.warned = False
        self.uploaded = False  # whether W&B has what an earlier process wrote offline
        self.row: dict[str, Any] = {}  # records of `row_step`, which one call of W&B logs
        self.row_step = 0
        enabled = mode != "disabled"
        super().__init__(timeout, folder=folder, config=config, name=name, enabled=enabled)

    @property
    def incomplete(self) -> bool:
        """Whether the page of the run lacks a part."""
        return self.warned or (self.failed and self.run is not None)

    def resume(self, records: Sequence[Record]) -> None:
        """Log the records that W&B lacks; none if it may have some of an earlier offline run."""
        if not records and self.run is not None and self.run.starting_step:
            has = f"W&B has this run up to step {self.run.starting_step - 1}, and keeps that"
            log.warning("%s; delete its page there to log the run afresh", has)
        if not self.uploaded:
            super().resume(records)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the page, as failed after an error; warn if the page is incomplete."""
        failed_before = self.failed
        super().__exit__(kind, error, trace)
        if self.incomplete and self.failed == failed_before:
            log.warning("W&B lacks a part of this run%s", self._remedy())

    def warning(self, message: str) -> None:
        """Show a warning of W&B's client, which continues."""
        if not self.warned and not self.failed:  # the client may repeat a warning
            log.warning("W&B: %s", " ".join(message.removeprefix("wandb: WARNING ").split()))
        self.warned = True

    error = warning

    def info(self, message: str) -> None:
        """Ignore messages of W&B's client that are no warnings."""

    def _start(self) -> None:
        run_id = f"{self.dataset}_{self.run_name}"
        if self.mode == "offline" and self.name is None:
            self._remove_earlier(run_id)
        self._init(
            mode=self.mode,
            project=self.project,
            entity=self.entity,
            dir=str(self.folder),
            id=run_id,
            name=self.run_name,
            group=self.group,
            job_type=self.job_type,
            tags=[self.dataset],
            config=dict(self.config),
            resume="allow",
        )

    def _init(self, **options: Any) -> None:  # noqa: ANN401
        import wandb

        patience = CLIENT_SHARE * self.timeout
        settings = wandb.Settings(
            init_timeout=patience,
            finish_timeout=patience,
            finish_timeout_raises=True,
            silent=True,
            console="off",
        )
        wandb.setup(settings)
        wandb.termsetup(settings, self)  # messages come to this object instead of the terminal
        self.run = wandb.init(**options, reinit="create_new", settings=settings)

    def _remove_earlier(self, run_id: str) -> None:
        """Remove what earlier processes of the run wrote offline: this one writes all of it again.

        `wandb sync` of several offline runs with one id would number their steps one after the
        other.
        """
        for earlier in self.folder.glob(f"wandb/offline-run-*_??????-{escape(run_id)}"):
            if list(earlier.glob("*.synced")):
                self.uploaded = True
            else:
                shutil.rmtree(earlier)

    def _log(self, step: int, values: Mapping[str, Any], time: float | None = None) -> None:  # noqa: ARG002
        from wandb import Histogram

        logged = {
            name: Histogram(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        self._add(step, logged)

    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        from wandb import Image

        self._add(step, {f"pictures/{k}": Image(str(path)) for k, path in pictures.items()})

    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        """Add values to the row of a step; W&B accepts a step only once, also of a resumed run."""
        if self.name:  # an evaluation, which does not resume
            self.run.log(dict(values), step=step)
            return
        if step < self.run.starting_step:
            return
        if step != self.row_step:
            self._log_row()
        self.row_step = step
        self.row |= values

    def _log_row(self) -> None:
        if self.row:
            self.run.log(self.row, step=self.row_step)
            self.row = {}

    def _finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self._log_row()
        self.run.summary.update({**numbers, **texts})

    def _close(self, error: type[BaseException] | None) -> None:
        """Finish the page; the last row of a run that will resume may lack an evaluation."""
        if error is None:
            self._log_row()
        self.run.finish(exit_code=0 if error is None else 1)

    def _remedy(self) -> str:
        """The command that uploads the files of W&B's client from the run folder."""
        if self.run is None:
            return ""
        return f"; to upload it: wandb sync {shlex.quote(str(Path(self.run.dir).parent))}"

    def _abandon(self) -> None:
        """Kill the service process of W&B, which does not answer and which delays the exit."""
        import wandb

        with suppress(Exception):  # these are not part of the public API of W&B
            service = wandb.setup().assert_service()
            service._cleanup()  # type: ignore[misc] # else it is called at the interpreter's exit
            service._proc._process.kill()  # type: ignore[union-attr]
