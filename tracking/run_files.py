"""Run files: reads the files of a run and checks their fields and types."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, FiniteFloat, RootModel, ValidationError

from core.errors import in_one_line
from core.files import DamagedFileError
from tracking.metrics_log import Record, parse_record
from tracking.renamed_targets import with_new_targets
from tracking.run_folder import RESTORE, RunFolder

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast
MAX_VALUES = 100_000  # of a configuration; YAML aliases can repeat a node endlessly
GROUPS = (  # groups of settings; each holds keys, never a single value
    *("backbone", "batchminer", "dataset", "evaluation", "loss", "metric", "optimizer", "paths"),
    *("sampler", "scheduler", "tracker", "trainer", "transform", "validation"),
)

Number = int | FiniteFloat
Value = Number | str | None | list[Number | None] | dict[str, Any]
Reading = dict[str, Value]


class StatusFile(BaseModel):
    """Fields of `status.json`."""

    state: str = "new"
    seconds: Number = 0
    pid: int | None = None
    error: str | None = None
    traceback: str | None = None


class ClaimRecord(BaseModel):
    """Fields of `protocol` in `environment.json`: the study that the run claims to follow."""

    claim: str | None = None
    differences: dict[str, Any] = {}


class EnvironmentFile(BaseModel):
    """Fields of `environment.json`."""

    commit: str | None = None
    dirty: bool = False
    protocol: ClaimRecord | None = None


class OverridesFile(BaseModel):
    """Fields of `overrides.json`: the arguments of `python main.py`."""

    overrides: list[str] = []


class CostFile(BaseModel):
    """Fields of `cost.json`, and of `cost` in `summary.json`."""

    seconds: Number = 0
    images_per_second: Number | None = None
    peak_memory_gib: Number | None = None
    gpu_hours: Number | None = None
    device: str | None = None


class SummaryFile(BaseModel):
    """Fields of `summary.json`."""

    last: Reading
    selected: Reading | None
    oracle: Reading
    cost: CostFile = CostFile()


class RecordPosition(BaseModel):
    """Step and epoch of a line of `metrics.jsonl`."""

    step: int
    epoch: Number


class RecordValues(RootModel[dict[str, Value]]):
    """The measurements of a line of `metrics.jsonl`."""


def read_json(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """The content of a JSON file of a run with the fields of `kind`; empty if it is missing.

    Raises:
        DamagedFileError: the file cannot be read, is no JSON, or has other fields.
    """
    if not path.exists():
        return {}
    content = RunFolder(path.parent).read_json(path)
    check_fields(content, kind, str(path))
    return content


def read_records(path: Path) -> list[Record]:
    """The records in the complete lines of `metrics.jsonl`; the last line may be incomplete.

    Raises:
        DamagedFileError: a line holds no record; gives its number, from 1.
    """
    lines = _bytes(path).split(b"\n")[:-1] if path.exists() else []
    return [_record(line, path, number) for number, line in enumerate(lines, start=1)]


def read_config(path: Path) -> dict[str, Any]:
    """`config.yaml` as plain data, without importing anything that it names.

    Raises:
        DamagedFileError: the file cannot be read, or is no configuration of a run.
    """
    try:
        content = yaml.load(_bytes(path), LOADER)
        _check_config(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a bad date is a ValueError
        raise DamagedFileError(f"{path} is damaged ({in_one_line(error)}); {RESTORE}") from error
    return dict(with_new_targets(content))


def check_config(content: object, place: str) -> None:
    """Check that plain data are the configuration of a run.

    Args:
        content: the data.
        place: file or page of the data, for the message.

    Raises:
        DamagedFileError: the data are no configuration.
    """
    try:
        _check_config(content)
    except ValueError as error:
        raise DamagedFileError(f"{place}: {error}") from error


def _check_config(content: object) -> None:
    """Check a configuration as `check_config` does; raises a ValueError with the reason only."""
    if not isinstance(content, dict):
        raise ValueError("it holds no configuration")
    for number, (key, value) in enumerate(_nodes(content)):
        if number >= MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values")
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


def check_fields(content: object, kind: type[BaseModel], place: str) -> None:
    """Check that plain data have the fields of `kind`, without converting types.

    Raises:
        DamagedFileError: a field is wrong; names place, key and expected type.
    """
    try:
        kind.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DamagedFileError(f"{place}: {key} {first['msg']}".replace(":  ", ": ")) from error


def _nodes(content: object) -> Iterator[tuple[str, object]]:
    """Every node with its key; a generator, as a node may contain itself."""
    left: list[tuple[str, object]] = [("", content)]
    while left:
        key, node = left.pop()
        yield key, node
        if isinstance(node, dict):
            left += [(str(name), child) for name, child in node.items()]
        elif isinstance(node, list):
            left += [(key, child) for child in node]


def _record(line: bytes, path: Path, number: int) -> Record:
    record = parse_record(line, path, number)
    for kind in (RecordPosition, RecordValues):
        check_fields(record, kind, f"{path}, line {number}")
    return record


def _bytes(path: Path) -> bytes:
    if not path.is_file():  # reading a pipe would never end
        raise DamagedFileError(f"{path}: is not a file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"{path}: cannot be read ({in_one_line(error)})") from error
