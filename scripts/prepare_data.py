"""Check a dataset, fetch it if asked to:  python -m scripts.prepare_data dataset=cub200

    dataset=<name> [download=true] [out=<folder>] [bits=16] [paths.data=<folder>] [other key=value]

Reads every image, counts, looks for test images that are in the training split too, and writes
<dataset>.csv, a table that `dataset=csv` reads, and <dataset>.json, all that was found. Fails if
numbers differ or an image cannot be read. conf/prepare_data.yaml has the keys of its own, all
others are those of a run; docs/data.md explains what is found.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any

from annotated_types import Ge, Le
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.table import Table as Grid
from torch.utils.data import DataLoader

from core.files import write_text_atomically
from datasets.csv import with_relative_paths, write_csv
from datasets.image_path import is_inline
from datasets.preparation.audit import audit
from datasets.preparation.fingerprint import Fingerprint, Fingerprints
from datasets.table import DatasetError, Table
from engine.config.check import check
from engine.config.compose import compose_run, composing
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.names import Text
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from engine.data.acquisition import read_or_download
from engine.data.loader import worker_count
from engine.progress import progress_bar, spinner

SAID = {
    "unreadable": "images that cannot be read",
    "exact_duplicates": "test images that are the same file as a training image",
    "near_duplicates": "other test images that look like a training image",
}


@dataclass(frozen=True)
class Own:
    """conf/prepare_data.yaml."""

    download: bool
    out: Text | None
    bits: Annotated[int, Ge(0), Le(256)]


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        raise SystemExit(__doc__)
    with user_errors_as_one_line():
        prepare(arguments)


def prepare(arguments: Sequence[str]) -> None:
    own, config, name = read(arguments)
    root = config.paths.data
    table = read_or_download(config.dataset, name, root, download=own.download)
    folder = Path(own.out).expanduser().absolute() if own.out else folder_of(table, root)
    make_writable(folder)
    counts = instantiate(config.dataset.get("counts"), _convert_="all")

    fingerprints = read_all(table["path"].tolist(), worker_count(config.trainer.workers))
    with spinner("comparing"):
        named = with_relative_paths(table, folder)
        found = audit(named, fingerprints, counts, own.bits)
    write_csv(table, folder / f"{name}.csv")
    content = {"dataset": name, "folder": str(folder), "bits": own.bits, "expected": counts} | found
    summary = folder / f"{name}.json"
    write_text_atomically(summary, json.dumps(content, indent=2) + "\n")
    report(found)
    print(folder / f"{name}.csv", summary, sep="\n")
    insist(found)


def read(arguments: Sequence[str]) -> tuple[DictConfig, DictConfig, str]:
    """The keys of conf/prepare_data.yaml, the run that all others compose, its dataset's name."""
    own = OmegaConf.load(CONF / "prepare_data.yaml")
    assert isinstance(own, DictConfig)
    with composing(arguments) as options:
        others = []
        for override in OverridesParser.create().parse_overrides(options.overrides):
            if override.key_or_group in own and not (override.is_add() or override.is_delete()):
                OmegaConf.update(own, override.key_or_group, override.value())
            else:
                others.append(str(override.input_line))
        check_arguments("", Own, resolved_content(own))
        named = f"--config-name={options.config_name}"
        config = compose_run([named, *others], return_hydra_config=True)
        with open_dict(config):
            name = config.pop("hydra").runtime.choices["dataset"]
        check(config, others)
    return own, config, name


def folder_of(table: Table, root: str | None) -> Path:
    """The dataset's own folder: where its images are, one step below the parent of all datasets."""
    first = next((path for path in table["path"] if not is_inline(path)), "")
    parent = Path(root or "").expanduser().absolute()
    if root is None or not first.startswith(f"{parent}/"):
        raise ConfigurationError("no folder of paths.data has its images: name one, out=<folder>")
    return parent / Path(first).relative_to(parent).parts[0]


def make_writable(folder: Path) -> None:
    """Before all images are read: a folder that cannot be written is known at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(f"{error}; name another folder, out=<folder>") from error


def read_all(paths: Sequence[str], workers: int) -> list[Fingerprint]:
    loader = DataLoader(
        Fingerprints(paths),
        batch_size=64,
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=None,
    )
    return list(progress_bar(chain.from_iterable(loader), len(paths), "reading images"))


def report(found: Mapping[str, Any]) -> None:
    grid = Grid("split", "classes", "images", box=None, header_style="bold")
    for part, numbers in found["counts"].items():
        grid.add_row(part, f"{numbers['classes']:,}", f"{numbers['images']:,}")
    console = Console()
    console.print(grid)
    for kind, said in SAID.items():
        console.print(f"{said}: {len(found[kind]):,}", highlight=False)


def insist(found: Mapping[str, Any]) -> None:
    """End with an error if this is not the published dataset, or not all of it can be read."""
    wrong = list(found["differences"])
    if unreadable := found["unreadable"]:
        first = unreadable[0]
        wrong.append(
            f"{len(unreadable)} images cannot be read, the first is {first['path']}: "
            f"{first['problem']}"
        )
    if wrong:
        raise DatasetError("; ".join(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
