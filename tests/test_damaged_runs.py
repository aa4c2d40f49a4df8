"""Files of a run that were damaged or exchanged: one line, or the result of the whole run.

The command runs in this process, on a run of four steps that stops in the third.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import UserError
from engine.run_arguments import run_and_config
from engine.trained_run import load_backbone, load_weights
from sweeps.status import status
from tests.commands import command
from tests.test_main import assert_same, only, records, state
from tracking.run_folder import RunFolder
from tracking.run_logger import RunLogger

CASES = 40
Start = Callable[[Path], Path]


class Killed(BaseException):
    """Ends a run in the middle."""


def error_of(runs: Path) -> str:
    """The one line with which the command ends."""
    with pytest.raises(SystemExit) as ended:
        command(runs)
    said = str(ended.value.code)
    assert said.startswith("error: "), said
    assert "\n" not in said
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return command(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evaluated after two steps, with a checkpoint of each, and a record of the third."""
    runs = tmp_path_factory.mktemp("stopped")
    record = RunLogger.record

    def until_the_third(run: RunLogger, step: int, epoch: float, values: dict[str, Any]) -> None:
        record(run, step, epoch, values)
        if step == 3:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLogger, "record", until_the_third)
        with pytest.raises(Killed):
            command(runs)
    return only(runs)


@pytest.fixture
def copied(tmp_path: Path) -> Start:
    """Puts a copy of a run below the folder where the command will look for it."""

    def copy(run: Path, runs: Path = tmp_path) -> Path:
        shutil.rmtree(runs)
        return Path(shutil.copytree(run, runs / Path(*run.parts[-3:])))

    return copy


def assert_ended_alike(whole: Path, folder: Path) -> None:
    assert_same(state(whole)["parts"], state(folder)["parts"])
    assert records(whole) == records(folder)
    assert readings(whole) == readings(folder)


def readings(folder: Path) -> dict[str, Any]:
    """The summary without what a clock says."""
    summary = json.loads((folder / "summary.json").read_text())
    times = ("cost",)
    return {name: value for name, value in summary.items() if name not in times}


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def flipped(content: bytes) -> bytes:
    middle = content.index(b'"train/loss": ') + 20
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [None, zeroed, flipped])
def test_damaged_records_stop_the_run_until_they_are_back(
    whole: Path, stopped: Path, copied: Start, damage: Callable[[bytes], bytes] | None
) -> None:
    """After a crash of the machine metrics.jsonl was missing, shorter, or full of zeros."""
    folder = copied(stopped)
    runs, file = folder.parents[2], folder / "metrics.jsonl"
    before = file.read_bytes()
    file.unlink() if damage is None else file.write_bytes(damage(before))
    there = None if damage is None else file.read_bytes()
    said = error_of(runs)
    assert str(file) in said
    assert "force=true" in said
    assert there in (None, file.read_bytes()), "what is left of it stays as it is"
    file.write_bytes(before)
    command(runs)
    assert_ended_alike(whole, folder)


def test_records_that_end_before_the_last_checkpoint_are_met_by_the_one_before(
    whole: Path, stopped: Path, copied: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup brought back metrics.jsonl as it was some steps ago."""
    folder = copied(stopped)
    file = folder / "metrics.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:1]))
    command(folder.parents[2])
    assert "metrics.jsonl ends after" in caplog.text
    assert "falling back to previous.pt" in caplog.text
    assert_ended_alike(whole, folder)


@pytest.mark.parametrize("foreign", ["best_test_recall@1.pt", "another"])
def test_a_foreign_checkpoint_is_named_and_the_one_before_is_used(
    whole: Path, stopped: Path, copied: Start, caplog: pytest.LogCaptureFixture, foreign: str
) -> None:
    """Somebody copied another file to last.pt."""
    folder = copied(stopped)
    last = folder / "checkpoints" / "last.pt"
    if foreign == "another":
        content = torch.load(last, weights_only=True)
        name = next(iter(content["parts"]["model"]))
        content["parts"]["model"][name] = torch.zeros(2, 3)
        torch.save(content, last)
    else:
        shutil.copy(folder / "checkpoints" / foreign, last)
    bad = last.read_bytes()
    command(folder.parents[2])
    assert str(last) in caplog.text
    assert foreign != "another" or "has the shape (2, 3) instead of" in caplog.text
    assert_ended_alike(whole, folder)

    folder = copied(stopped)
    last.write_bytes(bad)
    last.with_name("previous.pt").unlink()
    said = error_of(folder.parents[2])
    assert str(last) in said
    assert "force=true" in said


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("summary.json", "", "makes it again from metrics.jsonl"),
        ("summary.json", '{"last": {"test/recall@1": 1.0}}', "makes it again from metrics.jsonl"),
        ("cost.json", "", "count time from here"),
        ("cost.json", "[]", "count time from here"),
        ("cost.json", '{"seconds": -999990}', "seconds is -999990"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(
    whole: Path, copied: Start, name: str, content: str, advice: str
) -> None:
    """The disk was full, or somebody edited a file, before the same command was given again."""
    folder = copied(whole)
    if name == "cost.json":
        (folder / "summary.json").unlink()
    (folder / name).write_text(content)
    said = error_of(folder.parents[2])
    assert str(folder / name) in said
    assert advice in said
    (folder / name).unlink()
    command(folder.parents[2])
    assert_ended_alike(whole, folder)


@pytest.mark.parametrize("content", ["", "[]", '"finished"', '{"state": 5}', "[" * 99999])
def test_a_damaged_status_is_written_again(
    whole: Path, copied: Start, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """After a crash of the machine status.json was empty."""
    folder = copied(whole)
    (folder / "status.json").write_text(content)
    command(folder.parents[2])
    assert content == '{"state": 5}' or "status.json is damaged" in caplog.text
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert_ended_alike(whole, folder)


def test_what_killed_writes_left_is_removed_by_the_next_start(
    whole: Path, stopped: Path, copied: Start
) -> None:
    """A run was killed while it wrote, again and again, and every time a checkpoint stayed."""
    folder = copied(stopped)
    names = ("checkpoints/.last.pt.a1b2c3d4", "checkpoints/.best_val_recall@1.pt.x_y_z_12")
    for name in (*names, ".cost.json.abcdefgh", ".summary.json.12345678"):
        (folder / name).write_bytes(b"half")
    command(folder.parents[2])
    assert_ended_alike(whole, folder)
    hidden = [path.name for path in folder.rglob(".*")]
    assert hidden == [".lock"]


def test_the_status_of_a_refused_value_says_what_the_terminal_says(tmp_path: Path) -> None:
    """A value was refused by the constructor of the loss, and the status spoke of `full_key`."""
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, "batchminer=distance", "batchminer.lower_cutoff=1.5")
    said = str(ended.value.code).removeprefix("error: ")
    assert "full_key" not in said
    kept = json.loads((only(tmp_path) / "status.json").read_text())["error"]
    assert kept.partition(": ")[2] == said


def damages(rng: random.Random, files: list[Path]) -> Iterator[tuple[str, Path, bytes]]:
    """One file, and what will be in it: cut, emptied, flipped in some bits, or another one's."""
    for kind in ("cut", "emptied", "zeroed", "flipped", "swapped"):
        file = rng.choice(files)
        content = bytearray(file.read_bytes())
        if kind == "cut":
            content = content[: rng.randrange(len(content) + 1)]
        elif kind == "emptied":
            content = bytearray()
        elif kind == "zeroed":
            start = rng.randrange(len(content) + 1)
            content[start:] = bytes(len(content) - start)
        elif kind == "flipped":
            for _ in range(rng.randint(1, 3)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            content = bytearray(rng.choice(files).read_bytes())
        yield kind, file, bytes(content)


@pytest.mark.extended
def test_no_damage_gives_another_number(whole: Path, stopped: Path, copied: Start) -> None:
    """Any one file of a run was cut, emptied, flipped in some bits or exchanged."""
    rng = random.Random(0)
    wrong = []
    for case in range(CASES // 5):
        source = (whole, stopped)[case % 2]
        files = sorted(path for path in source.rglob("*") if path.is_file())
        for kind, file, content in damages(rng, files):
            folder = copied(source)
            (folder / file.relative_to(source)).write_bytes(content)
            try:
                if source is whole:  # its configuration has a checksum
                    look(folder)
                command(folder.parents[2])
                assert readings(whole) == readings(folder)
                assert source is whole or records(whole) == records(folder)
            except SystemExit as ended:
                said = str(ended.code)
                if not said.startswith("error: ") or "\n" in said or str(folder) not in said:
                    wrong.append((kind, file.name, said))
            except Exception as error:
                wrong.append((kind, file.name, repr(error)))
    assert wrong == []


def look(folder: Path) -> None:
    """What other commands do with a run: they show its state and take its backbone."""
    status(RunFolder(folder))
    with suppress(UserError):
        trained, config = run_and_config([f"run={folder}"])
        load_backbone(config, load_weights(trained.checkpoint))
