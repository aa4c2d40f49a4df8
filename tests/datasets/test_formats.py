"""Each official layout, written in miniature, becomes the table its authors describe."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from datasets.cars196 import cars196
from datasets.csv import csv
from datasets.cub200 import cub200
from datasets.digits import digits
from datasets.images import Images
from datasets.inshop import inshop
from datasets.omniglot_small import omniglot_small
from datasets.reader import read_image
from datasets.sop import sop
from datasets.table import DatasetError, in_order
from datasets.transforms import small
from tests.trees import (
    CLASSES,
    PER_CLASS,
    SIZE,
    car_names,
    write_cars196,
    write_cars196_annotations,
    write_cars196_devkit,
    write_cub200,
    write_inshop,
    write_sop,
)

CONF = Path(__file__).parents[2] / "conf" / "dataset"
HALF = {"classes": CLASSES // 2, "images": CLASSES // 2 * PER_CLASS}
COLUMNS = ["path", "label", "split", "is_query", "is_gallery", "category"]
LAYOUTS = {
    "cub200 official": (cub200, write_cub200),
    "cub200 2020": (cub200, lambda root: write_cub200(root, "cub200")),
    "cub200 unpacked inside": (cub200, lambda root: write_cub200(root, "cub200/CUB_200_2011")),
    "cars196 folders": (cars196, write_cars196),
    "cars196 capitals": (cars196, lambda root: write_cars196(root, "CARS196")),
    "cars196 annotations": (cars196, write_cars196_annotations),
    "cars196 devkit": (cars196, write_cars196_devkit),
    "sop official": (sop, write_sop),
    "sop 2020": (sop, lambda root: write_sop(root, sorted_out=True)),
    "inshop": (inshop, write_inshop),
    "inshop long name": (
        inshop,
        lambda root: write_inshop(root, "DeepFashion/In-shop Clothes Retrieval Benchmark"),
    ),
    "inshop archives": (inshop, lambda root: write_inshop(root, archives=True)),
}
Reader = Callable[..., pd.DataFrame]


@pytest.mark.parametrize(("read", "write"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_layout_becomes_a_table(
    read: Reader, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    table = read(str(write(tmp_path)), {"train": HALF, "test": HALF})
    assert list(table.columns) == COLUMNS
    assert table.index.equals(pd.RangeIndex(CLASSES * PER_CLASS))
    assert table["path"].is_unique
    assert {read_image(path).size for path in table["path"]} == {SIZE}
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    assert max(train["label"]) < min(test["label"])
    assert (table.groupby("label").size() == PER_CLASS).all()
    assert table[["is_query", "is_gallery"]].all(axis=None) == (read is not inshop)


@pytest.mark.parametrize("write", [write_cars196_annotations, write_cars196_devkit])
def test_cars196_orders_classes_by_the_ids_of_the_authors(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    table = cars196(str(write(tmp_path)))
    names = [label.split(".")[1] for label in sorted(table["label"].unique())]
    assert names == car_names() != sorted(names)


def test_cars196_image_and_label_belong_together(tmp_path: Path) -> None:
    """The writer gives each class a colour; two layouts must agree on which class has which."""
    colours = []
    for write in (write_cars196_annotations, write_cars196_devkit):
        table = cars196(str(write(tmp_path / write.__name__)))
        table["red"] = [np.asarray(read_image(path))[..., 0].mean() for path in table["path"]]
        colours.append(table.groupby("label")["red"].mean())
    assert (colours[0] - colours[1]).abs().max() < 5
    assert np.diff(np.sort(colours[0])).max() > 10


def test_sop_has_numbers_as_labels_and_super_classes(sop_tree: Path) -> None:
    table = sop(str(sop_tree))
    assert in_order(table["label"]) == [str(number) for number in range(1, CLASSES + 1)]
    assert table["category"].tolist()[::PER_CLASS] == ["bicycle", "coffee_maker"] * (CLASSES // 2)


def test_inshop_test_images_are_query_or_gallery(inshop_tree: Path) -> None:
    part = {"classes": CLASSES // 2, "images": CLASSES * PER_CLASS // 4}
    table = inshop(str(inshop_tree), {"train": HALF, "query": part, "gallery": part})
    test = table[table["split"] == "test"]
    assert (test["is_query"] ^ test["is_gallery"]).all()
    assert table[table["split"] == "train"][["is_query", "is_gallery"]].all(axis=None)
    assert set(table["category"]) == {"WOMEN/Dresses", "MEN/Denim"}


def test_hidden_files_and_other_files_are_no_images(cub200_tree: Path) -> None:
    folder = cub200_tree / "CUB_200_2011" / "images" / "001.Bird_H"
    (folder / "._Bird_H_0000.jpg").write_bytes(b"of an archive made on a Mac")
    (folder / "Thumbs.db").write_bytes(b"")
    assert len(cub200(str(cub200_tree))) == CLASSES * PER_CLASS


def test_published_counts_are_those_of_the_issue_of_each_dataset() -> None:
    def counts(name: str) -> dict[str, tuple[int, int]]:
        content = yaml.safe_load((CONF / f"{name}.yaml").read_text())["counts"]
        return {part: (of["classes"], of["images"]) for part, of in content.items()}

    assert counts("cub200") == {"train": (100, 5864), "test": (100, 5924)}
    assert counts("cars196") == {"train": (98, 8054), "test": (98, 8131)}
    assert counts("sop") == {"train": (11318, 59551), "test": (11316, 60502)}
    assert counts("inshop") == {
        "train": (3997, 25882),
        "query": (3985, 14218),
        "gallery": (3985, 12612),
    }


def test_a_wrong_count_names_both_numbers(cub200_tree: Path) -> None:
    counts = {"train": {"classes": 100, "images": 5864}, "test": {"classes": 4, "images": None}}
    with pytest.raises(DatasetError) as error:
        cub200(str(cub200_tree), counts)
    message = str(error.value)
    assert "train has 4 classes, expected 100; train has 16 images, expected 5864" in message
    assert "test has" not in message
    with pytest.raises(DatasetError, match="test has 4 classes, expected 3"):
        cub200(str(cub200_tree), {"test": {"classes": 3}})


@pytest.mark.parametrize("read", [cub200, cars196, sop, inshop])
def test_a_missing_folder_says_where_what_and_how(read: Reader, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as error:
        read(str(tmp_path))
    message = str(error.value)
    assert str(tmp_path) in message  # where it was looked for
    assert "It should hold" in message  # what
    assert "http" in message  # how to get it


@pytest.mark.parametrize("read", [cub200, cars196, sop, inshop])
def test_without_a_data_folder_the_setting_is_named(read: Reader) -> None:
    with pytest.raises(DatasetError, match=r"set DML_DATA or paths\.data="):
        read(None)


@pytest.mark.parametrize(
    ("read", "write", "victim"),
    [
        (sop, write_sop, "Stanford_Online_Products/bicycle_final/111000_2.JPG"),
        (inshop, write_inshop, "inshop/img/MEN/Denim/id_00000002/03_1_front.jpg"),
        (cars196, write_cars196_annotations, "cars196/car_ims/000007.jpg"),
    ],
)
def test_a_listed_image_that_is_not_there_is_named(
    read: Reader, write: Callable[[Path], Path], victim: str, tmp_path: Path
) -> None:
    (write(tmp_path) / victim).unlink()
    with pytest.raises(DatasetError, match=f"1 of {CLASSES * PER_CLASS} images .*{victim}"):
        read(str(tmp_path))


def test_inshop_refuses_a_partition_it_does_not_know(inshop_tree: Path) -> None:
    file = inshop_tree / "inshop" / "list_eval_partition.txt"
    file.write_text(file.read_text().replace("gallery", "galery"))
    with pytest.raises(DatasetError, match="train, query or gallery"):
        inshop(str(inshop_tree))


def test_digits_need_no_file() -> None:
    counts = yaml.safe_load((CONF / "digits.yaml").read_text())["counts"]
    table = digits(counts)
    assert table.groupby("split")["label"].unique().map(sorted).to_dict() == {
        "train": ["0", "1", "2", "3", "4"],
        "test": ["5", "6", "7", "8", "9"],
    }
    first = read_image(table["path"][0])
    assert first.size == (8, 8)
    assert max(pixel for pixel, _, _ in first.get_flattened_data()) == round(15 * 255 / 16)


def test_omniglot_is_read_inside_its_archives(omniglot_root: str) -> None:
    counts = yaml.safe_load((CONF / "omniglot_small.yaml").read_text())["counts"]
    table = omniglot_small(omniglot_root, counts)
    assert (table.groupby("label").size() == 20).all()
    train, test = (set(table["category"][table["split"] == s]) for s in ("train", "test"))
    assert train == {"Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"}
    assert test == {"Japanese_(katakana)", "Sanskrit", "Tagalog"}
    assert read_image(table["path"].iloc[-1]).size == (105, 105)


def test_any_table_survives_a_csv(inshop_tree: Path, tmp_path: Path) -> None:
    table = inshop(str(inshop_tree))
    table.to_csv(tmp_path / "table.csv", index=False)
    pd.testing.assert_frame_equal(csv(str(tmp_path / "table.csv")), table)


def test_images_inside_the_table_survive_a_csv(tmp_path: Path) -> None:
    table = digits()
    table.to_csv(tmp_path / "digits.csv", index=False)
    pd.testing.assert_frame_equal(csv(str(tmp_path / "digits.csv")), table)


def write_csv(folder: Path, *lines: str) -> str:
    (folder / "some.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "some.csv")


def test_a_csv_needs_three_columns_and_names_images_beside_it(cub200_tree: Path) -> None:
    image = "CUB_200_2011/images/001.Bird_H/Bird_H_0000.jpg"
    table = csv(write_csv(cub200_tree, "path,label,split", f"{image},NA,train"))
    assert list(table.columns) == COLUMNS
    assert table.iloc[0].tolist() == [str(cub200_tree / image), "NA", "train", True, True, ""]


def test_empty_flags_are_false_except_in_training_rows(cub200_tree: Path) -> None:
    image = "CUB_200_2011/images/001.Bird_H/Bird_H_0000.jpg"
    rows = [f"{image},1,train,,", f"{image},2,test,True,", f"{image},2,test,0,1"]
    table = csv(write_csv(cub200_tree, "path,label,split,is_query,is_gallery", *rows))
    assert table["is_query"].tolist() == [True, True, False]
    assert table["is_gallery"].tolist() == [True, False, True]


ALIKE = (
    *(["4", "04", "6", "006"], ["1", "1.0"], ["1e3", "1000"], ["true", "True"], ["-0", "0", "+0"]),
    *(["inf", "Infinity"], ["1e400", "2e400"], [str(2**53), str(2**53 + 1), "0.5"]),
    *(["NA", "nan", "None", "null", "-"], [" a", "a"], ["4", "04", "A16"]),
)


@pytest.mark.parametrize("labels", ALIKE, ids=", ".join)
def test_labels_that_are_equal_as_numbers_are_classes_of_their_own(
    cub200_tree: Path, labels: list[str]
) -> None:
    """A user numbered classes 4 and 04, and got one class of both."""
    image = "CUB_200_2011/images/001.Bird_H/Bird_H_0000.jpg"
    rows = [f"{image},{label},train" for label in labels]
    table = csv(write_csv(cub200_tree, "path,label,split", *rows))
    assert table["label"].tolist() == labels
    images = Images(table, small().eval)
    assert [images.class_names[number] for number in images.labels] == labels
    assert len(set(images.labels.tolist())) == len(labels)


def test_one_text_at_the_end_of_a_large_table_leaves_its_numbers_alone(cub200_tree: Path) -> None:
    """A user's table of 65,616 rows and 16 columns was read in two pieces, `4` unequal to `4`."""
    image = "CUB_200_2011/images/001.Bird_H/Bird_H_0000.jpg"
    rows = [f"{image},{number % 10},train" + 13 * ",0" for number in range(2**16 + 79)]
    header = "path,label,split" + "".join(f",x{number}" for number in range(13))
    table = csv(write_csv(cub200_tree, header, *rows, f"{image},A16,train" + 13 * ",0"))
    assert in_order(table["label"]) == [*map(str, range(10)), "A16"]


@pytest.mark.parametrize("content", [b"", "path,label,split\na,b,train\n".encode("utf-16"), b"\0"])
def test_a_file_that_is_no_csv_is_named(content: bytes, tmp_path: Path) -> None:
    """A user saved a table as UTF-16, or emptied it, and was not told which file."""
    (tmp_path / "some.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"/some\.csv (cannot be read|lacks)"):
        csv(str(tmp_path / "some.csv"))


def test_an_index_file_that_was_cut_is_named(sop_tree: Path, inshop_tree: Path) -> None:
    """A user's copy of an official list ended in its header."""
    for read, file in (
        (sop, sop_tree / "Stanford_Online_Products" / "Ebay_test.txt"),
        (inshop, inshop_tree / "inshop" / "list_eval_partition.txt"),
    ):
        file.write_text("\n".join(file.read_text().split("\n")[:1]))
        with pytest.raises(DatasetError, match=str(file)):
            read(str(file.parents[1]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label,split"], "a header and no rows"),
        (["path,label,split", "a.png,1,train,x"], "cannot be read"),
        (["path,split", "a.png,train"], r"lacks the columns \['label'\]"),
        (["path,label,split", "a.png,1,validation"], r"has splits \['validation'\]"),
        (["path,label,split", "a.png,x,train", "b.png,,train"], "no label in line 3"),
        (["path,label,split,is_query", "a.png,1,test,yes"], "'yes' as is_query"),
        (["path,label,split", "a.png,1,test"], "1 of 1 images do not exist, the first is /.*a.png"),
    ],
)
def test_a_csv_that_is_no_dataset_says_why(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        csv(write_csv(tmp_path, *lines))


def test_a_csv_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.csv does not exist"):
        csv(str(tmp_path / "nowhere.csv"))
