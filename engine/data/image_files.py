"""Table of image files to embed: one, those of a folder, or of a CSV file with the column path."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from datasets.csv import flags
from datasets.folders import check_files
from datasets.image_path import is_inline
from datasets.index_file import read_rows
from datasets.table import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FLAGS = ("is_query", "is_gallery")


def image_files(sources: Sequence[str]) -> pd.DataFrame:
    """The images of several sources, each once, with the columns path and label; "" if unknown.

    Raises:
        DatasetError: see `read_image_files`.
    """
    tables = [read_image_files(source)[["path", "label"]].astype(object) for source in sources]
    images = pd.concat(tables).drop_duplicates("path", ignore_index=True)
    return images.where(images.notna(), "")


def read_image_files(source: str, must_exist: bool = True) -> pd.DataFrame:
    """The images of a source, with the columns path, absolute, and label.

    | source   | images                           | label                                        |
    |----------|----------------------------------|----------------------------------------------|
    | folder   | in it and all folders below,     | the folder that holds the image; missing for |
    |          | sorted by path                   | images of the source folder itself           |
    | CSV file | its column `path`, relative to   | its column `label`, missing where it is      |
    |          | the folder of the file           | empty; all other columns are kept            |
    | image    | itself                           | missing                                      |

    Args:
        source: the folder, the CSV file or the image.
        must_exist: whether each image of a CSV file must exist.

    Raises:
        DatasetError: there is no such source, it has no image, names one twice or a missing one.
    """
    path = Path(source).expanduser().absolute()
    if path.is_dir():
        return images_of_folder(path)
    if not path.is_file():
        raise DatasetError(
            f"{path} does not exist; images= names a folder of images or a CSV file, or an image"
        )
    if path.suffix.lower() in SUFFIXES:
        return pd.DataFrame({"path": [str(path)], "label": [None]})
    table = images_of_csv(path)
    return check_files(table) if must_exist else table


def images_of_folder(folder: Path) -> pd.DataFrame:
    """The images in a folder and below; hidden files and folders are left out."""
    paths = sorted(image_paths(folder))
    if not paths:
        raise DatasetError(f"{folder} has no images ({', '.join(SUFFIXES)}) in it or below")
    check_text(paths)
    parents = [os.path.split(path)[0] for path in paths]
    labels = [None if parent == str(folder) else os.path.split(parent)[1] for parent in parents]
    return pd.DataFrame({"path": paths, "label": labels})


def image_paths(folder: Path) -> Iterator[str]:
    """Paths of the images in a folder and below; follows links, each folder once."""
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = [] if real in seen else [n for n in folders if not n.startswith(".")]
        if real not in seen:
            yield from (os.path.join(parent, name) for name in files if is_image(name))  # noqa: PTH118
        seen.add(real)


def is_image(name: str) -> bool:
    """Whether a file is an image by its name, and not hidden."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def images_of_csv(file: Path) -> pd.DataFrame:
    """The rows of a CSV file, each image once."""
    rows = read_rows(file, ("path",))
    paths = [p if is_inline(p) else str(file.parent / Path(p).expanduser()) for p in rows["path"]]
    labels = rows["label"].replace("", None) if "label" in rows else None
    others = rows.drop(columns=["path", "label"], errors="ignore")
    given = {name: flags(file, rows, name) for name in FLAGS if name in rows}
    table = pd.DataFrame({"path": paths, "label": labels}).join(others.assign(**given))
    if "embedding" in table:
        raise DatasetError(f"{file} has a column embedding, which this command writes; rename it")
    check_no_duplicates(str(file), table["path"])
    return table


def check_text(paths: Sequence[str]) -> None:
    """Check that the names of files are text in UTF-8, as Parquet stores them.

    Raises:
        DatasetError: names the first that is not.
    """
    for path in paths:
        if not path.isascii() and os.fsencode(path).decode(errors="replace") != path:
            raise DatasetError(f"the name of {path!r} is not UTF-8; rename the file")


def check_no_duplicates(source: str, paths: pd.Series) -> None:
    """Check that each image occurs once.

    Raises:
        DatasetError: names the first that does not, and how many there are.
    """
    again = paths[paths.duplicated()]
    if len(again):
        first = str(again.iloc[0])[:200]
        raise DatasetError(
            f"{source} names {len(again)} images more than once, the first is {first}; "
            "name each image once"
        )
