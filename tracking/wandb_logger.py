"""Logger for Weights & Biases, whose failures and delays never stop the run."""

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
CLIENT_SHARE = 0.8  # fraction of the timeout after which W&B's client is to give up by itself
INTERRUPT_TIMEOUT = 5.0  # seconds that W&B has at the end of an interrupted run


class WandbLogger:
    """Logs records to W&B under their own names; the first failure is reported and ends logging.

    A warning of W&B's client, such as of a failed upload, is shown when it happens. At the end of
    the run a warning says that its page is incomplete, with the command that uploads the rest from
    the run folder.

    Args:
        mode: `offline` writes into the run folder for `wandb sync`, `online` sends, `disabled`.
        project, entity: project and owner of the runs at W&B.
        timeout: seconds that any call of W&B may take, including start and end.
        folder: the run folder, which also holds W&B's files. Its last three parts, dataset, group
            and seed, give the run its name `<group>_s<seed>` and its id, so that a resumed run
            continues its page.
        config: the resolved configuration, as plain containers.
        name: name of an evaluation, which has a page of its own in the group; None is the page of
            the run.
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
        name: str | None = None,
    ) -> None:
        if mode not in ("online", "offline", "disabled"):
            raise ValueError(f"tracker.mode must be online, offline or disabled, got {mode}")
        self.timeout, self.failed, self.incomplete = timeout, mode == "disabled", False
        self.folder = folder
        self.run: Any = None
        dataset, group, seed = folder.parts[-3:]
        run_name = "_".join(filter(None, [group, seed.replace("seed", "s"), name]))
        self._attempt(
            lambda: self._start(
                mode=mode,
                project=project,
                entity=entity,
                dir=str(folder),
                id=f"{dataset}_{run_name}",
                name=run_name,
                group=group,
                job_type="evaluation" if name else "training",
                tags=[dataset],
                config=dict(config),
                resume="allow",
            )
        )

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Record `values` at optimizer step `step`; a list becomes a histogram."""
        self._attempt(lambda: self._log(step, values))

    def log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Log image files as `pictures/<name>` at `step`."""
        self._attempt(lambda: self._log_images(step, pictures))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Log the readings as `last/test/recall@1` and so on, the cost and the commit."""
        readings = {
            f"{reading}/{name}": value
            for reading in ("last", "selected", "oracle")
            for name, value in (summary[reading] or {}).items()
            if isinstance(value, float | int)
        }
        cost = {f"cost/{name}": value for name, value in summary.get("cost", {}).items()}
        self._attempt(lambda: self.run.summary.update(readings | cost | self._origin()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the page, as failed after an error; warn if the page is incomplete."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.timeout = min(self.timeout, INTERRUPT_TIMEOUT)
        failed_before = self.failed
        self._attempt(lambda: self.run.finish(exit_code=0 if kind is None else 1))
        if self.incomplete and self.failed == failed_before:
            log.warning("W&B lacks a part of this run%s", self._remedy())

    def warning(self, message: str) -> None:
        """Show a warning of W&B's client, which continues."""
        if not self.incomplete:  # the client may repeat a warning
            log.warning("W&B: %s", " ".join(message.removeprefix("wandb: WARNING ").split()))
        self.incomplete = True

    error = warning

    def info(self, message: str) -> None:
        """Ignore messages of W&B's client that are no warnings."""

    def _remedy(self) -> str:
        """The command that uploads the files of W&B's client from the run folder."""
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

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        from wandb import Histogram

        logged = {
            name: Histogram(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        self.run.log(logged, step=step)

    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        from wandb import Image

        images = {f"pictures/{name}": Image(str(path)) for name, path in pictures.items()}
        self.run.log(images, step=step)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Call W&B in a thread with a timeout, so that errors and delays do not reach the run."""
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
    """Kill the service process of W&B, which does not answer and which delays the exit."""
    import wandb

    with suppress(Exception):  # these are not part of the public API of W&B
        service = wandb.setup().assert_service()
        service._cleanup()  # type: ignore[misc] # else it is called at the interpreter's exit
        service._proc._process.kill()  # type: ignore[union-attr]
