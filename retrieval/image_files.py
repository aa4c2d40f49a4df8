"""Image files of an index and of its queries, with their labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.data.image_files import SUFFIXES, read_image_files


class ImageFile(NamedTuple):
    """Image file: its absolute path, and its label, empty if unknown."""

    path: str
    label: str


def image_files(sources: Sequence[str]) -> list[ImageFile]:
    """The images that are named, those below folders and those of CSV files, each once.

    Labels are those of `engine.data.image_files.read_image_files`; an image that is named by itself
    has none.

    Raises:
        DatasetError: a path does not exist, or a folder has no image.
    """
    found: dict[str, ImageFile] = {}
    for source in sources:
        path = Path(source).expanduser().absolute()
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            found.setdefault(str(path), ImageFile(str(path), ""))
            continue
        table = read_image_files(source)
        labels = table["label"].astype(object).where(table["label"].notna(), "")
        for name, label in zip(table["path"], labels, strict=True):
            found.setdefault(name, ImageFile(name, str(label)))
    return list(found.values())
