"""Reader of run folders, `<root>/.../<dataset>/<group>/seed<k>/`."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from core.files import DamagedFileError
from engine.config.dataset import dataset_name
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from reporting.directions import directions
from reporting.run import DAMAGED, Run
from sweeps.status import runs_below, status
from tracking.console import READINGS
from tracking.metrics_log import Record
from tracking.run_files import (
    CostFile,
    EnvironmentFile,
    OverridesFile,
    StatusFile,
    SummaryFile,
    read_config,
    read_json,
    read_records,
)
from tracking.run_folder import RunFolder
from tracking.summary import evaluations, summarise

SEED = re.compile(r"seed\d+")


def read_folders(root: Path) -> Iterator[Run]:
    """Every run at or below `root`, finished or not, in the order of their names.

    A run that failed before it wrote its configuration has only the reason. A run with a damaged
    file, or in a folder that does not match its configuration, has the state `damaged` and only
    the reason.
    """
    if not root.is_dir():
        raise UserError(
            f"{root} is not a folder; give a folder of runs or wandb=<entity>/<project>"
        )
    root = root.resolve()
    configured = {config.parent for config in root.glob("**/config.yaml")}
    started = {folder.path for folder in runs_below(root)}
    for path in sorted(configured | started):
        if SEED.fullmatch(path.name):
            yield read_folder(RunFolder(path))


def read_folder(folder: RunFolder) -> Run:
    try:
        return read_whole(folder) if folder.config.exists() else read_refused(folder)
    except DamagedFileError as error:
        return Run(*place_of(folder), state=DAMAGED, error=str(error))


def place_of(folder: RunFolder) -> tuple[str, str, int]:
    """Dataset, group and seed, as the folder is named."""
    dataset, group, seed = folder.path.parts[-3:]
    return dataset, group, int(seed.removeprefix("seed"))


def read_refused(folder: RunFolder) -> Run:
    """A run that ended before it wrote its configuration."""
    found = status(folder)
    if found.state == "finished":
        raise DamagedFileError(f"{folder.config}: is missing")
    return Run(*place_of(folder), state=found.state, error=found.note or None)


def read_whole(folder: RunFolder) -> Run:
    config = read_config(folder.config)
    check_folder(folder, config)
    ended = read_json(folder.status, StatusFile)
    environment = read_json(folder.environment, EnvironmentFile)
    records = read_records(folder.metrics)
    finished, state = folder.finished, folder.state
    summary = read_json(folder.summary, SummaryFile) if finished else unfinished(records, config)
    if finished and summary["last"].get("step") not in {record["step"] for record in records}:
        raise DamagedFileError(
            f"{folder.metrics}: lacks the evaluation that {folder.summary.name} has"
        )
    cost = read_json(folder.cost, CostFile)
    for file in (folder.config, folder.metrics, *([folder.summary] if finished else [])):
        folder.verify(file)  # what is not damaged may still be another
    commit, claim = environment.get("commit"), environment.get("protocol") or {}
    return Run(
        *place_of(folder),
        state="interrupted" if state == "finished" and not finished else state,
        config=config,
        overrides=read_json(folder.overrides, OverridesFile).get("overrides", []),
        readings={name: summary.get(name) for name in READINGS},
        records=records,
        cost=summary.get("cost") or cost or {"seconds": ended.get("seconds")},
        claim=claim.get("claim"),
        deviations=claim.get("differences", {}),
        commit=commit and commit + "+" * bool(environment.get("dirty")),
        error=ended.get("error"),
        traceback=ended.get("traceback"),
    )


def check_folder(folder: RunFolder, config: dict[str, Any]) -> None:
    """Check that a run folder, which may have been renamed or moved, fits its configuration.

    Raises:
        DamagedFileError: its configuration is of another seed, dataset or group.
    """
    dataset, group, seed = folder.path.parts[-3:]
    own = config.get("seed")
    if own is not None and seed != f"seed{own}":
        raise DamagedFileError(
            f"{folder.config}: its seed is {own}; name the folder seed{own} again"
        )
    settings = config.get("dataset", {})
    target = settings.get("_target_")
    expected = datasets().get(dataset, {}).get("_target_", target)
    if target and target != expected and dataset != csv_name(folder, settings):
        raise DamagedFileError(f"{folder.config}: its dataset is {target}, which is not {dataset}")
    name = config.get("group")
    if name and not group.startswith(f"{name}_"):
        raise DamagedFileError(
            f"{folder.config}: its group is {name}, which is not that of {group}"
        )


def csv_name(folder: RunFolder, settings: dict[str, Any]) -> str:
    """The name that a CSV file gives to its dataset; empty for the other datasets."""
    try:
        return dataset_name(settings, choice="")
    except ConfigurationError as error:
        raise DamagedFileError(f"{folder.config}: {error}") from error


@cache
def datasets() -> dict[str, dict[str, Any]]:
    """Dataset -> its settings, of conf/dataset/."""
    files = (CONF / "dataset").glob("*.yaml")
    return {file.stem: yaml.safe_load(file.read_text()) for file in files}


def unfinished(records: list[Record], config: dict[str, Any]) -> dict[str, Any]:
    """The readings so far of a run without a summary."""
    if not evaluations(records):
        return {}
    names = {
        name.split("/", 1)[1] for record in evaluations(records) for name in record if "/" in name
    }
    select_on = config.get("evaluation", {}).get("select_on", "val/recall@1")
    return summarise(records, select_on, directions([config], names))
