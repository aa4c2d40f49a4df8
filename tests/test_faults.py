"""Real faults of whole runs: each ends with one line, and the same command with the same bits."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from datasets.csv import write_csv
from datasets.digits import digits
from datasets.reader import read_image
from tests.faulty import STEP
from tests.programs import Server
from tests.run_server import Ended, Runs, children
from tests.run_server import runs as runs
from tests.run_server import server as server
from tests.test_main import assert_same, only, records, state

KILLS = 20


@pytest.fixture(scope="module")
def reference(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run without workers."""
    folder = tmp_path_factory.mktemp("reference")
    return Runs(server, folder / "runs", folder / "log").finished("trainer.workers=0")


def assert_ended_alike(reference: Path, folder: Path) -> None:
    assert_same(state(reference), state(folder))
    assert records(reference) == records(folder)


def assert_one_line(ended: Ended, *parts: str) -> None:
    assert ended.code == 1, ended.said
    (line,) = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in ended.said
    for part in parts:
        assert part in line


@pytest.mark.extended
def test_killed_twenty_times_it_ends_the_same(reference: Path, runs: Runs) -> None:
    rng = random.Random(0)
    killed = done = 0
    while killed < KILLS:
        pid = runs.start("trainer.workers=1")
        runs.wait_for_a_record(pid)
        time.sleep(rng.uniform(0, 0.1))
        with suppress(ProcessLookupError):  # done before the signal
            os.kill(pid, signal.SIGKILL)
        code, said = runs.end()
        if code == 0:
            only(runs.folder).rename(runs.folder.parent / f"done{done}")
            done += 1
        else:
            assert code == -signal.SIGKILL, said
            killed += 1
    folder = runs.finished("trainer.workers=1")
    assert_ended_alike(reference, folder)
    spent, paid = (json.loads((run / "cost.json").read_text()) for run in (reference, folder))
    assert paid["seconds"] > spent["train_seconds"], "killed processes cost, too"


def test_a_file_that_cannot_grow_is_named_and_the_run_goes_on(reference: Path, runs: Runs) -> None:
    runs.start("trainer.workers=0", limit=2**20)
    assert_one_line(runs.end(), "last.pt: File too large", "the same command again")
    folder = only(runs.folder)
    assert not list(folder.glob("checkpoints/*")), "no half file stays"
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    assert_ended_alike(reference, runs.finished("trainer.workers=0"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(path)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(ballast: Path) -> None:
    """Let the file take all that is left on its disk."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(2**12)):
            pass


def test_a_disk_that_is_full_loses_nothing(reference: Path, runs: Runs, disk: Path) -> None:
    runs.folder = disk / "runs"
    pid = runs.start("trainer.workers=0")
    runs.wait_for_a_record(pid)
    fill(disk / "ballast")
    assert_one_line(runs.end(), "No space left on device", "free space")
    (disk / "ballast").unlink()
    assert_ended_alike(reference, runs.finished("trainer.workers=0"))


def test_a_disk_that_only_reads_is_said_before_any_work(runs: Runs, disk: Path) -> None:
    runs.folder = disk / "runs"
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    runs.start("trainer.workers=0")
    assert_one_line(runs.end(), "Read-only file system", str(disk))


def test_a_worker_that_dies_ends_the_run_with_advice(reference: Path, runs: Runs) -> None:
    pid = runs.start("trainer.workers=2")
    runs.wait_for_a_record(pid)
    workers = children(pid)
    os.kill(workers[0], signal.SIGKILL)
    assert_one_line(runs.end(), "DataLoader worker", "fewer trainer.workers")
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{worker}/exe").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker stays behind"
        time.sleep(0.1)
    assert_ended_alike(reference, runs.finished("trainer.workers=0"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The digits as files of their own, and the table that names them."""
    rows = digits()
    (tmp_path / "images").mkdir()
    files = [tmp_path / "images" / f"{number}.png" for number in range(len(rows))]
    for path, file in zip(rows["path"], files, strict=True):
        read_image(path).save(file)
    write_csv(rows.assign(path=list(map(str, files))), tmp_path / "digits.csv")
    return tmp_path / "digits.csv"


def test_an_image_that_becomes_unreadable_is_named(runs: Runs, table: Path) -> None:
    small = (*("transform=small", "backbone=convnet", "validation=none", "sampler=few_classes"),)
    rows = ("dataset=csv", f"dataset.path={table}", *small, "trainer.workers=1")
    reference = runs.finished(*rows).rename(table.parent / "reference")
    pid = runs.start(*rows)
    runs.wait_for_a_record(pid)
    images = {file: file.read_bytes() for file in (table.parent / "images").iterdir()}
    for file in images:
        file.write_bytes(b"no image any more")
    assert_one_line(runs.end(), "cannot read the image", f"{table.parent}/images/")
    for file, content in images.items():
        file.write_bytes(content)
    assert_ended_alike(reference, runs.finished(*rows))


def test_a_run_is_neither_shown_nor_resumed_with_another_table(runs: Runs, table: Path) -> None:
    """A user edited a label in the CSV file, and gave the command again."""
    small = ("transform=small", "backbone=convnet", "validation=none", "sampler=few_classes")
    rows = ("dataset=csv", f"dataset.path={table}", *small, "trainer.workers=0")
    folder = runs.finished(*rows, "trainer.iterations=2")
    assert folder.parents[1].name == "digits", "the name of the file"
    whole = table.read_text()
    table.write_text(whole.replace("images/1.png,1,", "images/1.png,2,"))
    refused = ("label of 1 of 1,797 images", "images/1.png: it was '1' and is '2'", "force=true")
    runs.start(*rows, "trainer.iterations=2")
    assert_one_line(runs.end(), *refused)
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    (folder / "summary.json").unlink()
    runs.start(*rows, "trainer.iterations=2")
    assert_one_line(runs.end(), *refused)
    runs.finished(*rows, "trainer.iterations=2", "force=true")


def test_a_gradient_that_is_not_finite_reaches_no_checkpoint(runs: Runs) -> None:
    """The step is one with a checkpoint; the last one is that of two steps before."""
    runs.start("loss=contrastive", "loss._target_=tests.faulty.Spoiled", "trainer.workers=0")
    assert_one_line(runs.end(), f"step {STEP}: the norm of the gradient is nan", "optimizer.lr")
    saved = state(only(runs.folder))
    assert saved["position"] == STEP - 2
    weights = saved["parts"]["model"].values()
    assert all(tensor.isfinite().all() for tensor in weights if tensor.is_floating_point())


def test_memory_that_runs_out_names_the_options(runs: Runs) -> None:
    runs.start("loss=contrastive", "loss._target_=tests.faulty.Hungry", "trainer.workers=0")
    options = ("trainer.chunk_size", "evaluation.batch_size", "bf16-mixed", "sampler.batch_size")
    assert_one_line(runs.end(), "Tried to allocate 2.00 GiB", *options)
    assert json.loads((only(runs.folder) / "status.json").read_text())["state"] == "failed"


def test_a_run_whose_mirror_cannot_be_reached_goes_on(reference: Path, runs: Runs) -> None:
    nowhere = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
    mirrored = ("trainer.workers=0", "tracker.mode=online", "tracker.timeout=1")
    assert_ended_alike(reference, runs.finished(*mirrored, **nowhere))
    assert runs.log.read_text().count("W&B stopped mirroring") == 1
