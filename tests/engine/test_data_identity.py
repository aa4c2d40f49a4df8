"""A run is shown and goes on with the data that it was trained on, and with no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from datasets.csv import csv
from datasets.cub200 import cub200
from datasets.digits import digits
from datasets.inshop import inshop
from datasets.omniglot_small import omniglot_small
from datasets.sop import sop
from datasets.table import Table
from datasets.validation import classes
from engine.config.dataset import data_root, dataset_name
from engine.config.errors import ConfigurationError
from engine.config.run_name import group_name
from engine.data.identity import ChangedDataError, check_same_data, record_or_check_data
from sweeps.job import Job
from tests.engine.test_configuration import CHOICES, composed
from tests.trees import write_image
from tracking.data_files import same_files
from tracking.run_folder import RunFolder

HEADER = "path,label,split"
ROWS = [f"img/{name}.png,{name},{'train' if name < 4 else 'test'}" for name in range(8)]


def write_table(folder: Path, *rows: str) -> Path:
    for name in range(8):
        write_image(folder / f"img/{name}.png", name)
    (folder / "t.csv").write_text("\n".join([HEADER, *(rows or ROWS)]) + "\n")
    return folder / "t.csv"


def trained(file: Path, run: Path) -> RunFolder:
    """A run that was trained on the table and has a checkpoint."""
    folder = RunFolder(run, file.parent)
    folder.checkpoints.mkdir(parents=True)
    record_or_check_data(folder, csv(str(file)), first=True)
    (folder.checkpoints / "last.pt").touch()
    return folder


def test_the_same_files_need_not_be_read(tmp_path: Path) -> None:
    folder = trained(write_table(tmp_path / "data"), tmp_path / "run")
    assert same_files(folder)
    assert same_files(RunFolder(tmp_path / "another"))


CHANGES = {
    "label of 1 of 8 images, the first is img/7.png: it was '7' and is '6'": (
        *ROWS[:7],
        "img/7.png,6,test",
    ),
    "split of 1 of 8 images, the first is img/3.png: it was 'train' and is 'test'": (
        *ROWS[:3],
        "img/3.png,3,test",
        *ROWS[4:],
    ),
    "2 images are gone, the first is img/6.png": ROWS[:6],
    "another order": ROWS[::-1],
}


@pytest.mark.parametrize(("said", "rows"), CHANGES.items())
def test_another_table_is_refused_with_what_changed(
    said: str, rows: list[str], tmp_path: Path
) -> None:
    """A user edited the CSV file and gave the same command: the old table was shown, exit 0."""
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    write_table(tmp_path / "data", *rows)
    assert not same_files(folder)
    for look in (check_same_data, lambda *of: record_or_check_data(*of, first=True)):
        with pytest.raises(ChangedDataError, match=said) as raised:
            look(folder, csv(str(file)))
        assert "force=true" in str(raised.value)
        assert "\n" not in str(raised.value)
    write_table(tmp_path / "data")
    check_same_data(folder, csv(str(file)))
    assert same_files(folder), "restored"


def test_another_image_of_the_same_name_is_refused(tmp_path: Path) -> None:
    """A user exchanged the images and kept their names."""
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    (file.parent / "img/3.png").write_bytes(b"another image")
    assert not same_files(folder)
    with pytest.raises(ChangedDataError, match=r"bytes of 1 of 8 images.*img/3\.png.*is '13'"):
        check_same_data(folder, csv(str(file)))


def test_an_image_that_stopped_the_run_may_be_repaired(tmp_path: Path) -> None:
    """A user gave the command again after replacing the image that could not be read."""
    file = write_table(tmp_path / "data")
    (file.parent / "img/3.png").write_bytes(b"no image")
    folder = trained(file, tmp_path / "run")
    write_table(tmp_path / "data")
    folder.failure = f"DatasetError: cannot read the image {file.parent}/img/3.png: cut"
    record_or_check_data(folder, csv(str(file)), first=True)
    assert same_files(folder)


def test_a_copy_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    """A user copied the data to another disk, where all times are new."""
    file = write_table(tmp_path / "data")
    trained(file, tmp_path / "run")
    copied = tmp_path / "elsewhere"
    shutil.copytree(file.parent, copied, copy_function=shutil.copyfile)
    folder = RunFolder(tmp_path / "run", copied)
    assert not same_files(folder), "times differ, so that the table decides"
    check_same_data(folder, csv(str(copied / "t.csv")))
    assert same_files(folder), "which is remembered"


def test_a_csv_is_compared_by_its_bytes(tmp_path: Path) -> None:
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    os.utime(file, (0, 0))
    assert same_files(folder)
    with file.open("a") as more:
        more.write("\n")
    assert not same_files(folder)
    check_same_data(folder, csv(str(file)))


def test_two_folders_with_a_table_of_one_name_are_two_data_sets(tmp_path: Path) -> None:
    """A user gave dataset.path=t.csv in two folders, with one paths.runs."""
    trained(write_table(tmp_path / "one"), tmp_path / "run")
    other = write_table(tmp_path / "two", *ROWS[:7], "img/7.png,other,test")
    folder = RunFolder(tmp_path / "run", other.parent)
    assert not same_files(folder)
    with pytest.raises(ChangedDataError, match="it was '7' and is 'other'"):
        check_same_data(folder, csv(str(other)))


def test_results_are_shown_where_the_data_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A user looks at a finished run on a laptop without the images."""
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    shutil.rmtree(file.parent)
    assert same_files(folder)
    assert "not compared" in caplog.text


def test_a_run_that_has_no_checkpoint_begins_with_the_data_of_now(tmp_path: Path) -> None:
    """A user stopped a run in its first seconds, mended the table, and gave the command again."""
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    (folder.checkpoints / "last.pt").unlink()
    write_table(tmp_path / "data", *ROWS[:7])
    record_or_check_data(folder, csv(str(file)), first=True)
    assert same_files(folder)
    assert json.loads(folder.data.read_text())["images"] == 7


def test_runs_of_before_are_shown_and_go_on(tmp_path: Path) -> None:
    """A user's run was recorded before runs recorded their data."""
    folder = trained(write_table(tmp_path / "data"), tmp_path / "run")
    folder.data.unlink()
    folder.table.unlink()
    assert same_files(folder)
    record_or_check_data(folder, csv(str(tmp_path / "data" / "t.csv")), first=True)
    assert folder.data.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"sources": 3}', b"\xff\x00"])
@pytest.mark.parametrize("name", ["data.json", "table.csv.gz"])
def test_a_damaged_record_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    """A user's disk damaged what a run had recorded of its data."""
    file = write_table(tmp_path / "data")
    folder = trained(file, tmp_path / "run")
    (folder.path / name).write_bytes(content)
    assert not same_files(folder)
    with pytest.raises(ChangedDataError, match=r"table\.csv\.gz or data\.json is damaged"):
        check_same_data(folder, csv(str(file)))


def official(read: str, root: Path) -> tuple[Table, Path]:
    """The table of a dataset in its official layout, and a file that it is listed in."""
    if read == "sop":
        return sop(str(root)), root / "Stanford_Online_Products" / "Ebay_test.txt"
    return inshop(str(root)), root / "inshop" / "list_eval_partition.txt"


@pytest.mark.parametrize("read", ["sop", "inshop"])
def test_the_lists_of_an_official_dataset_are_compared(
    read: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue(f"{read}_tree")
    table, file = official(read, root)
    folder = RunFolder(tmp_path / "run", root)
    folder.path.mkdir()
    record_or_check_data(folder, classes(table, 0.3, shuffle=True, seed=0), first=True)
    assert same_files(folder)
    file.write_text(file.read_text().replace("8", "9", 1))
    assert not same_files(folder)


def test_a_new_image_in_a_folder_of_a_class_is_noticed(cub200_tree: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", cub200_tree)
    folder.checkpoints.mkdir(parents=True)
    record_or_check_data(folder, cub200(str(cub200_tree)), first=True)
    (folder.checkpoints / "last.pt").touch()
    assert same_files(folder)
    write_image(cub200_tree / "CUB_200_2011/images/001.Bird_H/new.jpg", 0)
    assert not same_files(folder)
    with pytest.raises(ChangedDataError, match=r"1 images are new, .*001\.Bird_H/new\.jpg"):
        check_same_data(folder, cub200(str(cub200_tree)))


def test_images_inside_the_table_are_recorded_by_their_hash(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", tmp_path)
    folder.path.mkdir()
    record_or_check_data(folder, digits(), first=True)
    assert same_files(folder)
    assert folder.table.stat().st_size < 50_000


def test_a_sweep_does_not_skip_a_run_of_other_data(tmp_path: Path) -> None:
    """A user edited the table and gave the command of the sweep again."""
    folder = trained(write_table(tmp_path / "data"), tmp_path / "run")
    with folder.running():
        folder.write_json(folder.summary, {})
    assert Job([], folder).done_before
    write_table(tmp_path / "data", *ROWS[:7])
    assert not Job([], folder).done_before


def test_a_finished_run_is_compared_without_torch() -> None:
    code = "import main, sys; print({'torch', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (("dataset=csv", "dataset.path=some/mine.csv"), "mine"),
        (("dataset=csv", "dataset.path=some/mine.csv", "dataset.name=birds"), "birds"),
        (("dataset=cub200",), "cub200"),
    ],
)
def test_a_dataset_has_a_name(overrides: tuple[str, ...], name: str) -> None:
    """A user's two CSV files were both called csv, and were ranked against each other."""
    choice = overrides[0].partition("=")[2]
    assert dataset_name(composed(*overrides).dataset, choice) == name


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "' '", "/abs", "a\\\\b"])
def test_a_name_of_a_dataset_stays_below_its_parent(name: str) -> None:
    """A user's name of a dataset would have put the run outside paths.runs."""
    config = composed("dataset=csv", "dataset.path=t.csv", f"dataset.name={name}")
    with pytest.raises(ConfigurationError, match=r"dataset\.name="):
        dataset_name(config.dataset, "csv")


def test_the_name_of_a_dataset_leaves_the_group_as_it_was() -> None:
    """A user goes on with a run of runs/csv/, of before datasets had names: dataset.name=csv."""
    now = composed("dataset=csv", "dataset.path=some.csv")
    named = composed("dataset=csv", "dataset.path=some.csv", "dataset.name=csv")
    before = now.copy()
    OmegaConf.set_struct(before, False)
    before.dataset.pop("name")
    assert group_name(now, CHOICES) == group_name(named, CHOICES) == group_name(before, CHOICES)


def test_the_folder_that_may_move() -> None:
    assert data_root(composed("dataset=csv", "dataset.path=/a/b/t.csv")) == Path("/a/b")
    assert data_root(composed("dataset=cub200", "paths.data=/data")) == Path("/data")


def test_the_embedded_copy_is_the_data_of_a_run_that_read_its_own(
    omniglot_root: str, tmp_path: Path
) -> None:
    """A user trained on a copy below DML_DATA, and goes on without it."""
    shutil.copytree(Path(omniglot_root) / "omniglot", tmp_path / "data" / "omniglot")
    before, after = (
        composed("dataset=omniglot_small", f"paths.data={data}")
        for data in (tmp_path / "data", tmp_path)
    )
    assert group_name(before, CHOICES) == group_name(after, CHOICES)
    folder = RunFolder(tmp_path / "run", data_root(before))
    folder.checkpoints.mkdir(parents=True)
    record_or_check_data(folder, omniglot_small(before.dataset.root), first=True)
    (folder.checkpoints / "last.pt").touch()
    check_same_data(RunFolder(folder.path, data_root(after)), omniglot_small(after.dataset.root))
    folder = RunFolder(folder.path, data_root(after))
    assert same_files(folder)
