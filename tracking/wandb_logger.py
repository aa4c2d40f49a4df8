"""A view of the run at Weights & Biases: it may fail, lag or hang, the run goes on."""

import json
import logging
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Literal, Self

from core.errors import in_one_line
from core.ranges import NonNegativeFloat

log = logging.getLogger(__name__)
OWN_SHARE = 0.8  # of the timeout, after which W&B's client is asked to give up by itself
HURRY = 5.0  # seconds that W&B gets where somebody waits for the end of an interrupted run


class WandbLogger:
    """Logs records under their own names; the first failure is said once and ends the mirror.

    What W&B's client warns of while it goes on, such as an upload that failed, is said when it
    happens; the end of the run says that its page lacks something, with the command that uploads
    it from the run folder.

    Args:
        mode: `offline` writes into the run folder for `wandb sync`, `online` sends, `disabled`.
        project, entity: where the runs appear.
        timeout: seconds that start, end and any other call may take.
        folder: the run folder; W&B's own files go below it.
            Its last three parts, dataset, group and seed, name the run `<group>_s<seed>` and
            make its id, so that a resumed run continues its own page.
        config: the resolved configuration, as plain containers.
        page: None is the run's own page; a name is another one in its group, for an evaluation.
    """

    def __init__(
        self,
        mode: Literal["online", "offline", "disabled"],
        project: str,
        entity: str | None,
        timeout: NonNegativeFloat,
        *,
        folder: Path,
        config: Mapping[str, Any],
        page: str | None = None,
    ) -> None:
        if mode not in ("online", "offline", "disabled"):
            raise ValueError(f"tracker.mode must be online, offline or disabled, got {mode}")
        self.timeout, self.failed, self.incomplete = timeout, mode == "disabled", False
        self.folder = folder
        self.run: Any = None
        dataset, group, seed = folder.parts[-3:]
        name = "_".join(filter(None, [group, seed.replace("seed", "s"), page]))
        self._attempt(
            lambda: self._start(
                mode=mode,
                project=project,
                entity=entity,
                dir=str(folder),
                id=f"{dataset}_{name}",
                name=name,
                group=group,
                job_type="evaluation" if page else "training",
                tags=[dataset],
                config=dict(config),
                resume="allow",
            )
        )

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Record `values` at optimizer step `step`; a list becomes a histogram."""
        self._attempt(lambda: self._log(step, values))

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Show image files as `pictures/<name>`, beside what was logged at `step`."""
        self._attempt(lambda: self._show(step, pictures))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Show the readings as `last/test/recall@1` and so on, the cost and the commit."""
        shown = {
            f"{reading}/{name}": value
            for reading in ("last", "selected", "oracle")
            for name, value in (summary[reading] or {}).items()
            if isinstance(value, float | int)
        }
        cost = {f"cost/{name}": value for name, value in summary.get("cost", {}).items()}
        self._attempt(lambda: self.run.summary.update(shown | cost | self._origin()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A run that failed is shown as failed; what its page lacks is said."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.timeout = min(self.timeout, HURRY)
        failed_before = self.failed
        self._attempt(lambda: self.run.finish(exit_code=0 if kind is None else 1))
        if self.incomplete and self.failed == failed_before:
            log.warning("W&B lacks a part of this run%s", self._remedy())

    def warning(self, message: str) -> None:
        """What W&B's client has to say; it goes on."""
        if not self.incomplete:  # it may repeat itself
            log.warning("W&B: %s", " ".join(message.removeprefix("wandb: WARNING ").split()))
        self.incomplete = True

    error = warning

    def info(self, message: str) -> None:
        """What W&B's client says that is no trouble."""

    def _remedy(self) -> str:
        """The command that uploads what W&B's client wrote below the run folder."""
        if self.run is None:
            return ""
        return f"; to upload it: wandb sync {shlex.quote(str(Path(self.run.dir).parent))}"

    def _origin(self) -> dict[str, Any]:
        """The commit of the code, the study that the run follows, and its overrides in JSON."""
        environment, recorded = (
            json.loads(file.read_text()) if file.exists() else {}
            for file in (self.folder / "environment.json", self.folder / "overrides.json")
        )
        claim = (environment.get("protocol") or {}).get("claim")
        commit = environment.get("commit")
        overrides = recorded.get("overrides")
        origin = {
            "commit": commit and commit + "+" * bool(environment.get("dirty")),
            "claim": claim,
            "overrides": overrides and json.dumps(overrides),
        }
        return {name: value for name, value in origin.items() if value}

    def _start(self, **options: Any) -> None:  # noqa: ANN401
        import wandb

        patience = OWN_SHARE * self.timeout
        settings = wandb.Settings(
            init_timeout=patience,
            finish_timeout=patience,
            finish_timeout_raises=True,
            silent=True,
            console="off",
        )
        wandb.setup(settings)
        wandb.termsetup(settings, self)  # told to this object instead of the terminal
        self.run = wandb.init(**options, reinit="create_new", settings=settings)

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        from wandb import Histogram

        shown = {
            name: Histogram(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        self.run.log(shown, step=step)

    def _show(self, step: int, pictures: Mapping[str, Path]) -> None:
        from wandb import Image

        images = {f"pictures/{name}": Image(str(path)) for name, path in pictures.items()}
        self.run.log(images, step=step)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Do it in a thread that may be left behind; nothing W&B does reaches the run."""
        if self.failed:
            return
        errors: list[BaseException] = []

        def guarded() -> None:
            try:
                action()
            except BaseException as error:
                errors.append(error)

        thread = Thread(target=guarded, daemon=True)
        thread.start()
        thread.join(self.timeout)
        if thread.is_alive():
            errors.append(TimeoutError(f"no answer within {self.timeout:g} s"))
            _end_service()
        if errors:
            self.failed, self.incomplete = True, self.run is not None
            reason = in_one_line(errors[0])
            everything = f"the run folder has everything{self._remedy()}"
            log.warning("W&B stopped mirroring (%s); %s", reason, everything)


def _end_service() -> None:
    """End W&B's own process, which does not answer and for which the interpreter would wait."""
    import wandb

    with suppress(Exception):  # these are no part of what W&B promises
        service = wandb.setup().assert_service()
        service._cleanup()  # type: ignore[misc] # or it is talked to at the interpreter's exit
        service._proc._process.kill()  # type: ignore[union-attr]
