"""Dataset from a CSV file with the columns path and label."""

from pathlib import Path

import pandas as pd

from core.files import write_text_atomically
from core.ranges import OpenFraction, Seed
from datasets.folders import check_files
from datasets.image_path import is_inline
from datasets.index_file import read_rows
from datasets.random_split import random_queries, split_by_classes
from datasets.table import SPLITS, Counts, DatasetError, Table, check_counts, make_table, read_from

REQUIRED = ("path", "label")
FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False, "": False}


def csv(
    path: str,
    counts: Counts | None = None,
    name: str | None = None,  # noqa: ARG001
    test_fraction: OpenFraction = 0.5,
    query_fraction: OpenFraction | None = None,
    seed: Seed = 0,
) -> Table:
    """CSV dataset: reads the table of a CSV file; `write_csv` writes one.

    Required columns: path and label. Optional: split (train, val or test; some classes are for
    testing if absent), is_query and is_gallery (true/false or 1/0; see `query_fraction` if absent)
    and category. Training rows are both, unless some are queries and others in the gallery: the two
    streams of `method=two_stream`.

    Args:
        path: the CSV file; the image paths in it are relative to its folder.
        counts: expected numbers of classes and images; see `check_counts`.
        name: of the dataset in run folders and results, the name of the file if None; does not
            change the table.
        test_fraction: of the classes, without a column split; see `split_by_classes`.
        query_fraction: of the images of each test class, without is_query and is_gallery; see
            `random_queries`. None makes each image a query and a gallery image.
        seed: of both choices.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise DatasetError(f"{file} does not exist; dataset.path names a CSV file")
    rows = read_rows(file, REQUIRED)
    if "split" not in rows:
        rows["split"] = split_by_classes(rows["label"], test_fraction, seed)
    check_rows(file, rows)
    if query_fraction is not None and not {"is_query", "is_gallery"} & set(rows):
        chosen, test = random_queries(rows["label"], query_fraction, seed), rows["split"] == "test"
        rows["is_query"], rows["is_gallery"] = (~test | chosen).map(str), (~test | ~chosen).map(str)
    is_query, is_gallery = flags(file, rows, "is_query"), flags(file, rows, "is_gallery")
    train = rows["split"] == "train"
    if (is_query & ~is_gallery & train).any() and (is_gallery & ~is_query & train).any():
        train &= ~is_query & ~is_gallery
    table = make_table(
        [name if is_inline(name) else str(file.parent / name) for name in rows["path"]],
        rows["label"],
        rows["split"],
        category=rows.get("category", ""),
        is_query=train | is_query,
        is_gallery=train | is_gallery,
    )
    return check_counts(check_files(read_from(table, file)), counts)


def write_csv(table: Table, file: Path) -> None:
    """Write a table to a CSV file that `csv` reads, also after its folder has been moved."""
    written = with_relative_paths(table, file.parent)
    write_text_atomically(file, written.to_csv(index=False, lineterminator="\n"))


def with_relative_paths(table: Table, folder: Path) -> Table:
    """The table with the paths of images below `folder` relative to it; other paths unchanged."""
    return table.assign(path=table["path"].str.removeprefix(f"{folder.absolute()}/"))


def check_rows(file: Path, rows: pd.DataFrame) -> None:
    """Check that each row has a known split and a label."""
    unknown = sorted(set(rows["split"]) - set(SPLITS))
    if unknown:
        raise DatasetError(f"{file} has splits {unknown}; they must be among {list(SPLITS)}")
    unlabelled = rows.index[rows["label"] == ""]
    if len(unlabelled):
        raise DatasetError(f"{file} has no label in line {unlabelled[0] + 2}")


def flags(file: Path, rows: pd.DataFrame, column: str) -> pd.Series:
    """Boolean values of a column: all true if it is absent, false where it is empty."""
    if column not in rows:
        return pd.Series(True, index=rows.index)
    values = rows[column].str.lower().map(FLAGS)
    if values.isna().any():
        raise DatasetError(f"{file} has {rows[column][values.isna()].iloc[0]!r} as {column}")
    return values.astype(bool)
