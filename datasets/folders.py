"""Folders of a dataset: finds them, lists their images and checks that all images exist."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from datasets.image_path import is_inline, split_archive
from datasets.reader import members
from datasets.table import DatasetError, Table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def find(root: str | None, folders: Sequence[str], contents: Sequence[str], obtain: str) -> Path:
    """Find the first `root`/folder/content that exists, as an absolute path.

    Args:
        root: parent folder of the datasets; None if it is not configured.
        folders: accepted names of the dataset's folder.
        contents: files or folders that identify a layout; one of them must exist.
        obtain: what the folder should hold and how to get it, which ends the error message.
    """
    if root is None:
        raise DatasetError("no folder of datasets is named: set DML_DATA or paths.data=<folder>")
    parent = Path(root).expanduser().absolute()
    candidates = [parent / folder / content for folder in folders for content in contents]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise DatasetError(f"none of {', '.join(map(str, candidates))} exists. {obtain}")


def images_by_class(folder: Path) -> tuple[list[str], list[str]]:
    """Paths and labels of `folder`/<class>/<image>, both sorted by name."""
    paths, labels = [], []
    for inner in class_folders(folder):
        for path in sorted(entry.path for entry in os.scandir(inner) if is_image(entry)):
            paths.append(path)
            labels.append(inner.name)
    return paths, labels


def class_folders(folder: Path) -> list[Path]:
    """Folders in a folder, sorted by name."""
    return [folder / name for name in sorted(e.name for e in os.scandir(folder) if e.is_dir())]


def is_image(entry: "os.DirEntry[str]") -> bool:
    """Whether a file is an image; a hidden one, such as `._0001.jpg` in some archives, is not."""
    return entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith(".")


def check_files(table: Table) -> Table:
    """Check that all images of a table exist and return it; lists each folder once."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for path in table["path"]:
        if not is_inline(path):
            folder, name = split_archive(path) or os.path.split(path)
            wanted[folder].append(name)
    missing = []
    for folder, names in wanted.items():
        there = names_in(Path(folder))
        missing += [f"{folder}/{name}" for name in names if name not in there]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(table)} images do not exist, the first is {missing[0]}"
        )
    return table


def names_in(folder: Path) -> set[str]:
    """Names in a folder or of the members of an archive; none if it does not exist."""
    if folder.is_dir():
        return {entry.name for entry in os.scandir(folder)}
    if folder.is_file():
        return set(members(folder))
    return set()
