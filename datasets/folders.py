"""Where a dataset lies on disk: finding its folder, listing its images, missing none."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from datasets.image_path import is_inline, split_archive
from datasets.reader import members
from datasets.table import DatasetError, Table

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def find(root: str | None, folders: Sequence[str], contents: Sequence[str], obtain: str) -> Path:
    """The first `root`/folder/content that exists, as an absolute path.

    Args:
        root: parent folder of the datasets; None if the user named none.
        folders: accepted names of the dataset's folder.
        contents: files or folders that give a layout away; one of them must lie there.
        obtain: what the folder should hold and how to get it.
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
    """Every folder in a folder, sorted by name."""
    return [folder / name for name in sorted(e.name for e in os.scandir(folder) if e.is_dir())]


def is_image(entry: "os.DirEntry[str]") -> bool:
    """Hidden files are no images: some archives carry a `._0001.jpg` beside `0001.jpg`."""
    return entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith(".")


def check_files(table: Table) -> Table:
    """Returns the table if all its images exist; lists each folder once, opens no image."""
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
    """Names in a folder, or the members of an archive; nothing if there is neither."""
    if folder.is_dir():
        return {entry.name for entry in os.scandir(folder)}
    if folder.is_file():
        return set(members(folder))
    return set()
