"""CUB-200-2011, birds: the first 100 classes are for training, the other 100 for testing."""

from datasets.folders import class_folders, find, images_by_class
from datasets.table import Counts, Table, check_counts, make_table, read_from, split_by_halves

FOLDERS = ("cub200", "CUB_200_2011", "cub200/CUB_200_2011")
OBTAIN = (
    "It should hold images/001.Black_footed_Albatross/*.jpg and so on: unpack CUB_200_2011.tgz "
    "of https://www.vision.caltech.edu/datasets/cub_200_2011 there."
)


def cub200(root: str | None, counts: Counts | None = None) -> Table:
    """CUB-200-2011: reads its table; full images, without bounding boxes.

    Args:
        root: parent of the dataset's folder.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    images = find(root, FOLDERS, ["images"], OBTAIN)
    paths, labels = images_by_class(images)
    table = make_table(paths, labels, split_by_halves(labels))
    return check_counts(read_from(table, images, *class_folders(images)), counts)
