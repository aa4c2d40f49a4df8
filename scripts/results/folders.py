"""Runs read from their folders: `<root>/.../<dataset>/<group>/seed<k>/`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from core.errors import UserError
from scripts.results.directions import directions
from scripts.results.run import Run
from tracking.records import Record
from tracking.report import READINGS
from tracking.run_folder import RunFolder
from tracking.summary import evaluations, summarise

SEED = re.compile(r"seed\d+")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, ten times as fast, where built


def read_folders(root: Path) -> Iterator[Run]:
    """Every run at or below `root`, finished or not, in the order of their names."""
    if not root.is_dir():
        raise UserError(f"{root} is no folder; give a folder of runs or wandb=<entity>/<project>")
    for config in sorted(root.resolve().glob("**/config.yaml")):
        folder = config.parent
        if SEED.fullmatch(folder.name):
            yield read_folder(RunFolder(folder))


def read_folder(folder: RunFolder) -> Run:
    dataset, group, seed = folder.path.parts[-3:]
    config = yaml.load(folder.config.read_text(), LOADER)
    status, environment = (content(file) for file in (folder.status, folder.environment))
    records = read_records(folder.metrics)
    summary = content(folder.summary) if folder.finished else unfinished(records, config)
    commit, claim = environment.get("commit"), environment.get("protocol") or {}
    return Run(
        dataset=dataset,
        group=group,
        seed=int(seed.removeprefix("seed")),
        state=folder.state,
        config=config,
        readings={name: summary.get(name) for name in READINGS},
        records=records,
        cost=summary.get("cost") or content(folder.cost) or {"seconds": status.get("seconds")},
        claim=claim.get("claim"),
        departures=claim.get("differences", {}),
        commit=commit and commit + "+" * bool(environment.get("dirty")),
        error=status.get("error"),
        traceback=status.get("traceback"),
    )


def content(file: Path) -> dict[str, Any]:
    """Of a JSON file; nothing where there is none."""
    return dict(json.loads(file.read_text())) if file.exists() else {}


def read_records(file: Path) -> list[Record]:
    """The whole lines; a run that is being written is left as it is."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def unfinished(records: list[Record], config: dict[str, Any]) -> dict[str, Any]:
    """The readings so far of a run without a summary."""
    if not evaluations(records):
        return {}
    names = {
        name.split("/", 1)[1] for record in evaluations(records) for name in record if "/" in name
    }
    select_on = config.get("evaluation", {}).get("select_on", "val/recall@1")
    return summarise(records, select_on, directions(config, names))
