"""What the files of a run hold, checked as it is read: a folder may be damaged, or a stranger's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, FiniteFloat, RootModel, ValidationError

from core.errors import in_one_line
from core.files import DamagedFileError
from tracking.metrics_log import Record, record_in
from tracking.run_folder import RESTORE, RunFolder

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast, where built
MOST_VALUES = 100_000  # of a configuration; YAML can repeat a node without end
GROUPS = (  # of settings; no value can stand in their place
    *("backbone", "batchminer", "dataset", "evaluation", "loss", "metric", "optimizer", "paths"),
    *("sampler", "scheduler", "tracker", "trainer", "transform", "validation"),
)

Number = int | FiniteFloat
Value = Number | str | None | list[Number | None] | dict[str, Any]
Reading = dict[str, Value]


class Status(BaseModel):
    """`status.json`."""

    state: str = "new"
    seconds: Number = 0
    pid: int | None = None
    error: str | None = None
    traceback: str | None = None


class Claim(BaseModel):
    """What the run claims to follow, in `environment.json`."""

    claim: str | None = None
    differences: dict[str, Any] = {}


class Environment(BaseModel):
    """`environment.json`."""

    commit: str | None = None
    dirty: bool = False
    protocol: Claim | None = None


class Overrides(BaseModel):
    """`overrides.json`: what was written after `python main.py`."""

    overrides: list[str] = []


class Cost(BaseModel):
    """`cost.json`, and `cost` in `summary.json`."""

    seconds: Number = 0
    images_per_second: Number | None = None
    peak_memory_gib: Number | None = None
    gpu_hours: Number | None = None
    device: str | None = None


class Summary(BaseModel):
    """`summary.json`."""

    last: Reading
    selected: Reading | None
    oracle: Reading
    cost: Cost = Cost()


class Place(BaseModel):
    """Where in the run a line of `metrics.jsonl` was measured."""

    step: int
    epoch: Number


class Values(RootModel[dict[str, Value]]):
    """The measurements of a line of `metrics.jsonl`."""


def read_json(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """The content of a JSON file of a run, which is a `kind`; nothing where there is no file.

    Raises:
        DamagedFileError: the file cannot be read, is no JSON, or holds something else.
    """
    if not path.exists():
        return {}
    content = RunFolder(path.parent).read_json(path)
    valid(content, kind, str(path))
    return content


def read_records(path: Path) -> list[Record]:
    """The whole lines of `metrics.jsonl`; half a last line is one that is being written.

    Raises:
        DamagedFileError: a line is no record; names it by its number, from 1.
    """
    lines = _bytes(path).split(b"\n")[:-1] if path.exists() else []
    return [_record(line, path, number) for number, line in enumerate(lines, start=1)]


def read_config(path: Path) -> dict[str, Any]:
    """`config.yaml` as plain data: nothing that it names is looked up.

    Raises:
        DamagedFileError: the file cannot be read, or is no configuration of a run.
    """
    try:
        content = yaml.load(_bytes(path), LOADER)
        _check_config(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a bad date is a ValueError
        raise DamagedFileError(f"{path} is damaged ({in_one_line(error)}); {RESTORE}") from error
    return dict(content)


def check_config(content: object, place: str) -> None:
    """Check that this is the configuration of a run: names and plain values, no deeper than any.

    Args:
        content: as it was read.
        place: where it was found, for the error.

    Raises:
        DamagedFileError: it is something else.
    """
    try:
        _check_config(content)
    except ValueError as error:
        raise DamagedFileError(f"{place}: {error}") from error


def _check_config(content: object) -> None:
    """The same with a ValueError that gives the reason alone."""
    if not isinstance(content, dict):
        raise ValueError("it holds no configuration")
    for number, (key, value) in enumerate(_nodes(content)):
        if number >= MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        if not isinstance(value, dict | list | str | int | float | None):
            raise ValueError(f"{key} is a {type(value).__name__}, no plain value")
    for key in GROUPS:
        if not isinstance(content.get(key, {}), dict):
            raise ValueError(f"{key} is no group of settings")
    select_on = content.get("evaluation", {}).get("select_on", "val/recall@1")
    if not (isinstance(select_on, str) and all(select_on.partition("/"))):
        raise ValueError(
            f"evaluation.select_on={select_on} is no <split>/<metric>, as val/recall@1"
        )


def valid(content: object, kind: type[BaseModel], place: str) -> None:
    """Check that plain data are a `kind`, number for number and text for text.

    Raises:
        DamagedFileError: they are not; names the place, the key and what it should be.
    """
    try:
        kind.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DamagedFileError(f"{place}: {key} {first['msg']}".replace(":  ", ": ")) from error


def _nodes(content: object) -> Iterator[tuple[str, object]]:
    """Every node under the last of its keys; lazily, for one may hold itself."""
    left: list[tuple[str, object]] = [("", content)]
    while left:
        key, node = left.pop()
        yield key, node
        if isinstance(node, dict):
            left += [(str(name), child) for name, child in node.items()]
        elif isinstance(node, list):
            left += [(key, child) for child in node]


def _record(line: bytes, path: Path, number: int) -> Record:
    record = record_in(line, path, number)
    for kind in (Place, Values):
        valid(record, kind, f"{path}, line {number}")
    return record


def _bytes(path: Path) -> bytes:
    if not path.is_file():  # a pipe would never end
        raise DamagedFileError(f"{path}: is no file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"{path}: cannot be read ({in_one_line(error)})") from error
