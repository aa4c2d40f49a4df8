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
