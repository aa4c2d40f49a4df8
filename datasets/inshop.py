"""DeepFashion In-shop Clothes Retrieval, where a test image is either a query or in the gallery."""

from pathlib import Path

import pandas as pd

from datasets.folders import check_files, find
from datasets.index_file import read_rows
from datasets.table import Counts, DatasetError, Table, check_counts, make_table, read_from

FOLDERS = (
    "inshop",
    "In-shop",
    "In-shop Clothes Retrieval Benchmark",
    "DeepFashion/In-shop Clothes Retrieval Benchmark",
)
OBTAIN = (
    "It should hold list_eval_partition.txt (or Eval/list_eval_partition.txt) and "
    "img/WOMEN/Dresses/id_00000002/*.jpg and so on (or Img/img/...): request the In-shop Clothes "
    "Retrieval Benchmark at http://mmlab.ie.cuhk.edu.hk/projects/DeepFashion.html."
)
COLUMNS = ["image_name", "item_id", "evaluation_status"]


def inshop(root: str | None, counts: Counts | None = None) -> Table:
    """In-Shop: reads its table; the kind of garment (`WOMEN/Dresses`) is the category.

    Args:
        root: parent of the dataset's folder.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    file = find(root, FOLDERS, ["list_eval_partition.txt", "Eval/list_eval_partition.txt"], OBTAIN)
    folder = file.parent.parent if file.parent.name == "Eval" else file.parent
    images = folder / "Img" if (folder / "Img" / "img").is_dir() else folder
    rows = read_partition(file)
    status = rows["evaluation_status"]
    train = status == "train"
    table = make_table(
        f"{images}/" + rows["image_name"],
        rows["item_id"],
        train.map({True: "train", False: "test"}),
        category=rows["image_name"].str.split("/").str[1:3].str.join("/"),
        is_query=train | (status == "query"),
        is_gallery=train | (status == "gallery"),
    )
    return check_counts(check_files(read_from(table, file)), counts)


def read_partition(file: Path) -> pd.DataFrame:
    """Read list_eval_partition.txt: the number of images, a header, one space-padded line each."""
    rows = read_rows(file, COLUMNS, separator=r"\s+", skipped=1)
    unknown = set(rows["evaluation_status"]) - {"train", "query", "gallery"}
    if unknown:
        raise DatasetError(
            f"{file} has {sorted(unknown)} as evaluation_status, not train, query or gallery"
        )
    return rows
