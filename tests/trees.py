"""Writers of miniature datasets in the layouts of the official archives.

Each image is a patch of its class's own colour with some noise, so that a network can tell the
classes apart. The functions return the folder to give as `paths.data`; the dataset's published
counts do not hold for them (dataset.counts=null).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

CLASSES = 8  # half of them train
PER_CLASS = 4
SIZE = (40, 32)  # width, height in pixels


def write_image(path: Path, label: int) -> None:
    """A JPEG or PNG of class `label`; every path has its own noise."""
    rng = np.random.default_rng([label, *path.name.encode()])
    colour = np.random.default_rng(label).integers(40, 216, 3)
    pixels = colour + rng.integers(-40, 40, (SIZE[1], SIZE[0], 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_class_folders(folder: Path, names: Iterable[str]) -> None:
    """folder/<class>/<image>.jpg."""
    for label, name in enumerate(names):
        for image in range(PER_CLASS):
            write_image(folder / name / f"{name.split('.')[-1]}_{image:04d}.jpg", label)


def write_cub200(root: Path, folder: str = "CUB_200_2011") -> Path:
    """As CUB_200_2011.tgz unpacks; folder="cub200" is the layout of the public code of 2020."""
    names = [f"{label + 1:03d}.Bird_{'HGFEDCBA'[label]}" for label in range(CLASSES)]
    write_class_folders(root / folder / "images", names)
    (root / folder / "images.txt").write_text("1 001.Bird_H/Bird_H_0000.jpg\n")
    return root


def car_names() -> list[str]:
    """Class names in the order of their ids, which is not the alphabetical one."""
    return [f"{'BADCFEHG'[label]} Sedan 2012" for label in range(CLASSES)]


def write_cars196(root: Path, folder: str = "cars196") -> Path:
    """One folder per class, sorted by name."""
    write_class_folders(root / folder / "images", sorted(car_names()))
    return root


def annotations(names: list[str], labels: list[int], field: str) -> np.ndarray:
    """What the authors' .mat files hold, as an array of structs."""
    fields = [(field, object), ("bbox_x1", object), ("class", object), ("test", object)]
    rows = [(name, 1, label + 1, 0) for name, label in zip(names, labels, strict=True)]
    return np.array(rows, dtype=fields)


def write_cars196_annotations(root: Path) -> Path:
    """car_ims.tgz and cars_annos.mat: images in no order, classes by id."""
    labels = np.random.default_rng(0).permutation(np.repeat(range(CLASSES), PER_CLASS)).tolist()
    names = [f"car_ims/{number:06d}.jpg" for number in range(1, len(labels) + 1)]
    for name, label in zip(names, labels, strict=True):
        write_image(root / "cars196" / name, label)
    content = {
        "annotations": annotations(names, labels, "relative_im_path"),
        "class_names": np.array(car_names(), dtype=object),
    }
    savemat(root / "cars196" / "cars_annos.mat", content)
    return root


def write_cars196_devkit(root: Path) -> Path:
    """cars_train.tgz, cars_test.tgz and car_devkit.tgz: every class in both parts."""
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    files = {
        "cars_train": folder / "devkit" / "cars_train_annos.mat",
        "cars_test": folder / "cars_test_annos_withlabels.mat",
    }
    labels = np.repeat(range(CLASSES), PER_CLASS // 2).tolist()
    names = [f"{number:05d}.jpg" for number in range(1, len(labels) + 1)]
    for part, file in files.items():
        for name, label in zip(names, labels, strict=True):
            write_image(folder / part / name, label)
        savemat(file, {"annotations": annotations(names, labels, "fname")})
    meta = {"class_names": np.array(car_names(), dtype=object)}
    savemat(folder / "devkit" / "cars_meta.mat", meta)
    return root


def write_sop(root: Path, sorted_out: bool = False) -> Path:
    """As Stanford_Online_Products.zip unpacks; `sorted_out` is the layout of the code of 2020."""
    folder = root / ("online_products" if sorted_out else "Stanford_Online_Products")
    images = folder / "images" if sorted_out else folder
    texts = folder / "Info_Files" if sorted_out else folder
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for label in range(CLASSES):
        split = "train" if label < CLASSES // 2 else "test"
        kind, name = label % 2 + 1, ("bicycle", "coffee_maker")[label % 2]
        for image in range(PER_CLASS):
            path = f"{name}_final/{111000 + label}_{image}.JPG"
            write_image(images / path, label)
            number = label * PER_CLASS + image + 1
            lines[split].append(f"{number} {label + 1} {kind} {path}")
    texts.mkdir(exist_ok=True)
    for split, rows in lines.items():
        header = "image_id class_id super_class_id path"
        (texts / f"Ebay_{split}.txt").write_text("\n".join([header, *rows]) + "\n")
    return root


def write_inshop(root: Path, folder: str = "inshop", archives: bool = False) -> Path:
    """The benchmark's layout; `archives` keeps the folders Eval and Img that the archives have."""
    base = root / folder
    images, texts = (base / "Img", base / "Eval") if archives else (base, base)
    lines = []
    for label in range(CLASSES):
        item, kind = f"id_{label + 1:08d}", ("WOMEN/Dresses", "MEN/Denim")[label % 2]
        for image in range(PER_CLASS):
            path = f"img/{kind}/{item}/{image + 1:02d}_1_front.jpg"
            write_image(images / path, label)
            part = "train" if label < CLASSES // 2 else ("query" if image % 2 else "gallery")
            lines.append(f"{path:<70}{item:<12}{part}")
    texts.mkdir(exist_ok=True)
    header = [str(len(lines)), "image_name item_id evaluation_status"]
    (texts / "list_eval_partition.txt").write_text("\n".join([*header, *lines]) + "\n")
    return root
