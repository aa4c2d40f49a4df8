"""Stanford Online Products: 22 634 products of 12 super-classes, split by the authors."""

from pathlib import Path

import pandas as pd

from datasets.folders import check_files, find
from datasets.index_file import read_rows
from datasets.table import Counts, Table, check_counts, make_table, read_from

FOLDERS = ("online_products", "Stanford_Online_Products")
COLUMNS = ("image_id", "class_id", "super_class_id", "path")
OBTAIN = (
    "It should hold Ebay_train.txt, Ebay_test.txt and bicycle_final/*.JPG and so on, or the same "
    "sorted into Info_Files and images: unpack Stanford_Online_Products.zip of "
    "https://cvgl.stanford.edu/projects/lifted_struct there."
)


def sop(root: str | None, counts: Counts | None = None) -> Table:
    """Stanford Online Products: reads its table; the super-class is the category.

    Args:
        root: parent of the dataset's folder.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    files = {split: find_list(root, split) for split in ("train", "test")}
    table = pd.concat([read_split(*item) for item in files.items()], ignore_index=True)
    return check_counts(check_files(read_from(table, *files.values())), counts)


def find_list(root: str | None, split: str) -> Path:
    name = f"Ebay_{split}.txt"
    return find(root, FOLDERS, [f"Info_Files/{name}", name], OBTAIN)


def read_split(split: str, file: Path) -> Table:
    """Read Ebay_<split>.txt: a header, then `image_id class_id super_class_id path` per line."""
    in_info_files = file.parent.name == "Info_Files"
    images = file.parent.parent / "images" if in_info_files else file.parent
    rows = read_rows(file, COLUMNS, separator=" ")
    category = rows["path"].str.partition("/")[0].str.removesuffix("_final")
    return make_table(f"{images}/" + rows["path"], rows["class_id"], split, category=category)
