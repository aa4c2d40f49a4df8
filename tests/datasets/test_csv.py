"""A table that was written is read back as it was, and can be moved with its images."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from datasets.cars196 import cars196
from datasets.csv import csv, write_csv
from datasets.cub200 import cub200
from datasets.digits import digits
from datasets.inshop import inshop
from datasets.omniglot_small import omniglot_small
from datasets.sop import sop
from datasets.table import DatasetError
from tests.trees import write_cars196, write_cub200, write_inshop, write_sop

TREES = [
    (cub200, write_cub200),
    (cars196, write_cars196),
    (sop, write_sop),
    (inshop, write_inshop),
]
Reader = Callable[..., pd.DataFrame]


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(("read", "write"), TREES)
@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_what_is_written_is_read_back(
    read: Reader, write: Callable[[Path], Path], folder: str, tmp_path: Path
) -> None:
    (tmp_path / "data" / folder).mkdir(parents=True)
    table = read(str(write(tmp_path / "data")))
    file = tmp_path / "data" / folder / "table.csv"
    write_csv(table, file)
    same(csv(str(file)), table)


def test_images_inside_the_table_and_inside_archives_too(
    omniglot_root: str, tmp_path: Path
) -> None:
    for table in (digits(), omniglot_small(omniglot_root)):
        write_csv(table, tmp_path / "table.csv")
        same(csv(str(tmp_path / "table.csv")), table)


def test_a_table_moves_with_its_images(cub200_tree: Path) -> None:
    folder = cub200_tree / "CUB_200_2011"
    table = cub200(str(cub200_tree))
    write_csv(table, folder / "birds.csv")
    moved = folder.rename(cub200_tree / "moved")
    expected = table.assign(path=table["path"].str.replace("/CUB_200_2011/", "/moved/"))
    same(csv(str(moved / "birds.csv")), expected)


def test_training_rows_keep_their_streams_and_are_both_without_any(tmp_path: Path) -> None:
    table = digits()
    train = table["split"] == "train"
    table["is_query"] = ~train | (table.index % 3 == 0)
    table["is_gallery"] = ~train | (table.index % 3 == 1)
    write_csv(table, tmp_path / "streams.csv")
    read = csv(str(tmp_path / "streams.csv"))
    neither = train & (table.index % 3 == 2)
    assert (read["is_query"] == table["is_query"] | neither).all()
    assert (read["is_gallery"] == table["is_gallery"] | neither).all()
    table.loc[train, ["is_query", "is_gallery"]] = [True, False]  # as if there were one stream
    write_csv(table, tmp_path / "one.csv")
    assert csv(str(tmp_path / "one.csv")).loc[train, ["is_query", "is_gallery"]].all(axis=None)


def test_a_row_without_label_is_refused_without_splits_too(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,label\n1.png,a\n2.png,\n")
    with pytest.raises(DatasetError, match="has no label in line 3"):
        csv(str(tmp_path / "table.csv"))
