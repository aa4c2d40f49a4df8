"""Preparation of a dataset: reads every image, audits the table, writes it as CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Le
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch.utils.data import DataLoader

from core.files import write_text_atomically
from datasets.csv import with_relative_paths, write_csv
from datasets.image_path import is_inline
from datasets.preparation.audit import audit
from datasets.preparation.fingerprint import Fingerprint, Fingerprints
from datasets.table import DatasetError, Table
from engine.config.check import check
from engine.config.compose import compose_run, composing
from engine.config.errors import ConfigurationError
from engine.config.names import Text
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from engine.data.acquisition import read_or_download
from engine.data.loader import worker_count
from engine.progress import progress_bar, spinner


@dataclass(frozen=True)
class PreparationSettings:
    """Settings of conf/prepare_data.yaml."""

    download: bool
    out: Text | None
    bits: Annotated[int, Ge(0), Le(256)]


class Preparation(NamedTuple):
    """Result: what the audit found, and the two files that were written."""

    found: dict[str, Any]
    table: Path
    summary: Path


def prepare(arguments: Sequence[str]) -> Preparation:
    """Reads, audits and writes the dataset that the arguments name, and downloads it if asked to.

    Raises:
        UserError: an argument is wrong, the dataset is missing, or a folder cannot be written.
    """
    own, config, name = compose_preparation(arguments)
    root = config.paths.data
    table = read_or_download(config.dataset, name, root, download=own.download)
    folder = Path(own.out).expanduser().absolute() if own.out else dataset_folder(table, root)
    check_writable(folder)
    counts = instantiate(config.dataset.get("counts"), _convert_="all")

    fingerprints = read_fingerprints(table["path"].tolist(), worker_count(config.trainer.workers))
    with spinner("comparing"):
        named = with_relative_paths(table, folder)
        found = audit(named, fingerprints, counts, own.bits)
    write_csv(table, folder / f"{name}.csv")
    content = {"dataset": name, "folder": str(folder), "bits": own.bits, "expected": counts} | found
    summary = folder / f"{name}.json"
    write_text_atomically(summary, json.dumps(content, indent=2) + "\n")
    return Preparation(found, folder / f"{name}.csv", summary)


def compose_preparation(arguments: Sequence[str]) -> tuple[DictConfig, DictConfig, str]:
    """Settings of conf/prepare_data.yaml, the run that the other arguments compose, its dataset."""
    own = OmegaConf.load(CONF / "prepare_data.yaml")
    assert isinstance(own, DictConfig)
    with composing(arguments) as options:
        others = []
        for override in OverridesParser.create().parse_overrides(options.overrides):
            if override.key_or_group in own and not (override.is_add() or override.is_delete()):
                OmegaConf.update(own, override.key_or_group, override.value())
            else:
                others.append(str(override.input_line))
        check_arguments("", PreparationSettings, resolved_content(own))
        named = f"--config-name={options.config_name}"
        config = compose_run([named, *others], return_hydra_config=True)
        with open_dict(config):
            name = config.pop("hydra").runtime.choices["dataset"]
        check(config, others)
    return own, config, name


def dataset_folder(table: Table, root: str | None) -> Path:
    """Folder of the dataset, one level below the folder of all datasets."""
    first = next((path for path in table["path"] if not is_inline(path)), "")
    parent = Path(root or "").expanduser().absolute()
    if root is None or not first.startswith(f"{parent}/"):
        raise ConfigurationError("no folder of paths.data has its images: name one, out=<folder>")
    return parent / Path(first).relative_to(parent).parts[0]


def check_writable(folder: Path) -> None:
    """Creates the folder; fails before any image is read if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"{error}; name another folder, out=<folder>") from error


def read_fingerprints(paths: Sequence[str], workers: int) -> list[Fingerprint]:
    """Fingerprints of all images, read by worker processes."""
    loader = DataLoader(
        Fingerprints(paths),
        batch_size=64,
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=None,
    )
    return list(progress_bar(chain.from_iterable(loader), len(paths), "reading images"))


def fail_if_wrong(found: Mapping[str, Any]) -> None:
    """Raises a DatasetError if counts differ from the published ones, or an image is unreadable."""
    wrong = list(found["differences"])
    if unreadable := found["unreadable"]:
        first = unreadable[0]
        wrong.append(
            f"{len(unreadable)} images cannot be read, the first is {first['path']}: "
            f"{first['problem']}"
        )
    if wrong:
        raise DatasetError("; ".join(wrong))
