"""CUB-200-2011, birds: the first 100 classes train, the other 100 test."""

from datasets.folders import find, images_by_class
from datasets.table import Counts, Table, check_counts, make_table, split_by_halves

FOLDERS = ("cub200", "CUB_200_2011", "cub200/CUB_200_2011")
OBTAIN = (
    "It should hold images/001.Black_footed_Albatross/*.jpg and so on: unpack CUB_200_2011.tgz "
    "of https://www.vision.caltech.edu/datasets/cub_200_2011 there."
)


def cub200(root: str | None, counts: Counts | None = None) -> Table:
    """The table of CUB-200-2011; full images, no bounding boxes.

    Args:
        root: parent of the dataset's folder.
        counts: numbers of classes and images to insist on; see `check_counts`.
    """
    paths, labels = images_by_class(find(root, FOLDERS, ["images"], OBTAIN))
    return check_counts(make_table(paths, labels, split_by_halves(labels)), counts)
