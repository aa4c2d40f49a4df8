"""CARS196: the first 98 classes are for training, the other 98 for testing."""

from pathlib import Path
from typing import Any

from scipy.io import loadmat

from datasets.folders import check_files, class_folders, find, images_by_class
from datasets.table import (
    Counts,
    DatasetError,
    Table,
    check_counts,
    make_table,
    read_from,
    split_by_halves,
)

FOLDERS = ("cars196", "CARS196", "stanford_cars")
OBTAIN = (
    "It should hold images/<class>/*.jpg; or cars_annos.mat and car_ims/*.jpg; or devkit/"
    "cars_meta.mat, devkit/cars_train_annos.mat, cars_test_annos_withlabels.mat, cars_train/*.jpg "
    "and cars_test/*.jpg. The authors' page http://ai.stanford.edu/~jkrause/cars/car_dataset.html "
    "no longer serves the archives; mirrors do."
)


def cars196(root: str | None, counts: Counts | None = None) -> Table:
    """CARS196: reads its table; full images, without bounding boxes.

    Classes are in the order of their folders or of the ids in the authors' annotations. The split
    of the authors is not used, because its train and test images are of the same classes.

    Args:
        root: parent of the dataset's folder.
        counts: expected numbers of classes and images; see `check_counts`.
    """
    layouts = {
        "images": images_by_class,
        "cars_annos.mat": from_annotations,
        "devkit/cars_meta.mat": from_devkit,
    }
    found = find(root, FOLDERS, list(layouts), OBTAIN)
    read = next(read for content, read in layouts.items() if content.endswith(found.name))
    paths, labels = read(found)
    table = make_table(paths, labels, split_by_halves(labels))
    return check_counts(check_files(read_from(table, *sources(found))), counts)


def sources(found: Path) -> list[Path]:
    """Files and folders from which a layout is read."""
    if found.is_dir():
        return [found, *class_folders(found)]
    return [found, *annotations_of(found).values()] if found.name == "cars_meta.mat" else [found]


def from_annotations(file: Path) -> tuple[list[str], list[str]]:
    """Paths and labels from the one annotation file that belongs to car_ims.tgz."""
    content = contents(file)
    images = content["annotations"]
    paths = [f"{file.parent}/{path}" for path in images["relative_im_path"]]
    return paths, class_labels(images["class"], content["class_names"])


def from_devkit(meta: Path) -> tuple[list[str], list[str]]:
    """Paths and labels from the two annotation files of cars_train.tgz and cars_test.tgz."""
    folder = meta.parent.parent
    names = contents(meta)["class_names"]
    paths, labels = [], []
    for part, file in annotations_of(meta).items():
        images = contents(file)["annotations"]
        paths += [f"{folder}/{part}/{name}" for name in images["fname"]]
        labels += class_labels(images["class"], names)
    return paths, labels


def annotations_of(meta: Path) -> dict[str, Path]:
    """The annotation file of each image folder."""
    return {
        "cars_train": meta.parent / "cars_train_annos.mat",
        "cars_test": meta.parent.parent / "cars_test_annos_withlabels.mat",
    }


def contents(file: Path) -> dict[str, Any]:
    """Contents of a MATLAB file.

    Raises:
        DatasetError: the file is damaged.
    """
    try:
        return dict(loadmat(file, squeeze_me=True))
    except Exception as error:
        raise DatasetError(f"{file} cannot be read as a MATLAB file: {error}") from error


def class_labels(ids: list[int], names: list[str]) -> list[str]:
    """Class labels such as `007.BMW X3 SUV 2012`, whose three digits keep the order of the ids."""
    return [f"{number:03d}.{names[number - 1]}" for number in ids]
