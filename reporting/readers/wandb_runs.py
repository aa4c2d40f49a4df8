"""Runs downloaded from Weights & Biases, kept as Parquet so that a second call is offline.

`<cache>/<entity>/<project>/` holds one file per run, the history with the rest of the run in its
metadata, and `runs.parquet`, the listing, written last: where it is, nothing is asked of W&B.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import UserError
from core.files import DamagedFileError, write_atomically
from engine.config.names import check_name
from reporting.readers.run_folders import unfinished
from reporting.run import DAMAGED, Run
from tracking.console import READINGS
from tracking.metrics_log import Record
from tracking.renamed_targets import with_new_targets
from tracking.run_files import Number, check_config, check_fields

LISTING = "runs.parquet"
TIMEOUT = 60  # seconds that one request may take
PATIENCE = 600  # seconds for the listing, and for the history of one run, retries included
PER_PAGE = 100  # runs per request
PROJECT = re.compile(r"[\w-][\w. -]*/[\w-][\w. -]*")
UNUSABLE = (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException)  # of an answer

T = TypeVar("T")


class Rest(BaseModel):
    """What a download has besides the history."""

    version: str
    dataset: str
    group: str
    seed: int
    state: str
    config: dict[str, Any]
    summary: dict[str, Number | str]
    commit: str | None


def read_wandb(project: str, cache: Path, refresh: bool) -> Iterator[Run]:
    """The trainings that `tracking.wandb_logger` made in a project, in the order of their names.

    Args:
        project: `<entity>/<project>`.
        cache: parent of the downloads.
        refresh: ask W&B again; only runs that changed since are downloaded.

    Raises:
        UserError: W&B does not answer; what has arrived is kept, the same call goes on from there.
            Or `project` is none.
    """
    if not PROJECT.fullmatch(project):
        raise UserError(f"wandb={project}: must be <entity>/<project>")
    folder = cache / project
    if refresh or not (folder / LISTING).exists():
        download(project, folder)
    try:
        names = sorted(map(str, pd.read_parquet(folder / LISTING)["id"]))
    except (OSError, *UNUSABLE) as error:
        raise UserError(f"{folder / LISTING} is damaged; --refresh downloads it again") from error
    for name in names:
        file = file_of(folder, name)
        try:
            yield stored(file)
        except DamagedFileError as error:
            yield Run(project, name, 0, state=DAMAGED, error=str(error))


def download(project: str, folder: Path) -> None:
    """Bring every run of the project to the folder, then write the listing."""
    folder.mkdir(parents=True, exist_ok=True)
    arrived = []
    try:
        for run in within(PATIENCE, lambda: listed(project)):
            version = f"{run.state} {run.history_line_count} {run.heartbeat}"
            file = file_of(folder, run.id)
            if not (file.exists() and kept_version(file) == version):
                rows = within(PATIENCE, run.rows)
                try:
                    store(file, run, version, rows)
                except UNUSABLE as error:
                    print(f"left out, {run.id} is no run: {one_line(error)}", file=sys.stderr)
                    continue
            arrived.append(run.id)
    except Exception as error:  # the client raises errors of its own, of requests, of its service
        reason = one_line(error)
        kept = len(list(folder.glob("*.parquet"))) - (folder / LISTING).exists()
        raise UserError(
            f"W&B stopped answering ({reason}); {kept} runs of {project} are in {folder}, "
            "the same command goes on from there"
        ) from error
    frame = pd.DataFrame({"id": arrived})
    write_atomically(folder / LISTING, frame.to_parquet)


def file_of(folder: Path, run: str) -> Path:
    """Where the run of that id is kept."""
    check_name("id of a run", run)
    return folder / f"{run}.parquet"


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


class Listed:
    """A run as the listing of a project has it, and its history on demand."""

    def __init__(self, run: Any) -> None:  # noqa: ANN401
        attributes = run._attrs
        self.run, self.id, self.state = run, str(run.id), str(run.state)
        self.history_line_count = int(attributes.get("historyLineCount") or 0)
        self.heartbeat = attributes.get("heartbeatAt")
        self.commit, self.group = attributes.get("commit"), attributes.get("group")
        self.job_type, self.tags = attributes.get("jobType"), list(attributes.get("tags") or [])
        self.config, self.summary = dict(run.config), plain(dict(run.summary))

    @property
    def ours(self) -> bool:
        """Whether it is a training that our mirror made: it has a group, a dataset and a seed."""
        named = bool(self.job_type == "training" and self.group and self.tags)
        return named and isinstance(self.config.get("seed"), int) and self.id != Path(LISTING).stem

    def rows(self) -> list[Mapping[str, Any]]:
        """The whole history as it arrives, whatever the pages repeat."""
        return list(self.run.scan_history(use_cache=False))


def listed(project: str) -> list[Listed]:
    """The training runs of a project, each once; others are counted on the screen."""
    import wandb

    api = wandb.Api(timeout=TIMEOUT)
    runs = api.runs(project, per_page=PER_PAGE, order="+created_at", lazy=False)
    found = {str(run.id): Listed(run) for run in runs}
    foreign = [name for name, run in found.items() if not run.ours]
    if foreign:
        print(f"left out, no training of this project: {', '.join(foreign)}", file=sys.stderr)
    return [run for run in found.values() if run.ours]


def within(seconds: float, action: Callable[[], T]) -> T:
    """What `action` returns or raises; a TimeoutError if it takes longer, left in a thread."""
    results: list[T] = []
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            results.append(action())
        except Exception as error:
            errors.append(error)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return results[0]


def records(rows: Iterable[Mapping[str, Any]]) -> list[Record]:
    """A step once, in order."""
    by_step = {int(row["_step"]): row for row in rows}
    return [record(step, by_step[step]) for step in sorted(by_step)]


def record(step: int, row: Mapping[str, Any]) -> Record:
    """A row of W&B under our names; histograms, which are no numbers, stay there."""
    place = {"step": step, "epoch": float(row.get("epoch", 0)), "time": row.get("_timestamp")}
    return place | {k: v for k, v in row.items() if "/" in k and isinstance(v, float | int)}


def plain(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in summary.items() if isinstance(v, float | int | str)}


def store(file: Path, run: Listed, version: str, history: list[Mapping[str, Any]]) -> None:
    """Write one run; a finished one whose history has not all arrived is not called finished."""
    rows = records(history)
    state, whole = run.state, len(rows) >= run.history_line_count
    if state == "finished" and not whole:
        state = f"incomplete: {len(rows)} of {run.history_line_count} rows"
    rest = {
        "version": version if whole else "",
        "dataset": run.tags[0],
        "group": run.group,
        "seed": run.config["seed"],
        "state": state,
        "config": run.config,
        "summary": run.summary,
        "commit": run.summary.get("commit", run.commit),
    }
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    table = table.replace_schema_metadata({"run": json.dumps(rest)})
    write_atomically(file, lambda opened: pq.write_table(table, opened))


def kept_version(file: Path) -> str:
    """Of a download; none of one that is damaged."""
    try:
        return str(rest_of(pq.read_schema(file), file)["version"])
    except (DamagedFileError, OSError, *UNUSABLE):
        return ""


def rest_of(schema: pa.Schema, file: Path) -> dict[str, Any]:
    rest = json.loads(schema.metadata[b"run"])
    check_fields(rest, Rest, str(file))
    check_config(rest["config"], str(file))
    return {**rest, "config": with_new_targets(rest["config"])}


def stored(file: Path) -> Run:
    """The run of a downloaded file.

    Raises:
        DamagedFileError: it is none.
    """
    try:
        table = pq.read_table(file)
        rest = rest_of(table.schema, file)
    except (OSError, *UNUSABLE) as error:
        raise DamagedFileError(
            f"{file}: cannot be read ({one_line(error)}); --refresh downloads it again"
        ) from error
    rows = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
    summary, config = rest["summary"], rest["config"]
    readings = {name: below(summary, name) or None for name in READINGS}
    if not readings["last"]:
        readings = {**readings, **unfinished(rows, config)}
    return Run(
        dataset=rest["dataset"],
        group=rest["group"],
        seed=rest["seed"],
        state=rest["state"],
        config=config,
        overrides=overrides_in(summary),
        readings={name: readings.get(name) for name in READINGS},
        records=rows,
        cost=below(summary, "cost"),
        claim=summary.get("claim"),
        commit=rest["commit"],
    )


def overrides_in(summary: Mapping[str, Any]) -> list[str]:
    """The overrides that the run recorded; none of an older run, or where they are no list."""
    try:
        return TypeAdapter(list[str]).validate_json(str(summary.get("overrides", "[]")))
    except ValidationError:
        return []


def below(summary: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`last/test/nmi` -> `test/nmi`, of the names below `last`."""
    prefix = f"{name}/"
    return {k.removeprefix(prefix): v for k, v in summary.items() if k.startswith(prefix)}
