"""One run on two processes: it ends, it dies as a whole, and it goes on with another number."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHORT = (
    "dataset=digits",
    "backbone.embedding_dim=16",
    "trainer.workers=0",
    "tracker.mode=disabled",
)


def start(runs: Path, *overrides: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "main.py", f"paths.runs={runs}", *SHORT, *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen(
        [*command, "trainer.accelerator=cpu", "metric=[recall]"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(runs: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"paths.runs={runs}".encode() in arguments:
                found.append(int(entry.name))
    return found


def until(condition: object, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_two_processes_end_in_one_record(tmp_path: Path) -> None:
    process = start(tmp_path, "trainer.devices=2", "trainer.iterations=4", "trainer.log_every=1")
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert said.count("summary.json") == 1
    assert said.count("dataset   digits: ") == 1, "one process prints"
    assert ", 2 processes, 32-true\n" in said
    (folder,) = tmp_path.glob("digits/*/seed0")
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4, 4]
    assert records[-1]["test/num_queries"] == 896  # each image once


def test_a_process_killed_ends_all_and_the_run_goes_on_with_one(tmp_path: Path) -> None:
    endless = ("trainer.iterations=100000", "trainer.checkpoint_every=2")
    process = start(tmp_path, "trainer.devices=2", *endless)
    until(lambda: list(tmp_path.glob("digits/*/seed0/checkpoints/last.pt")))
    children = [pid for pid in processes_of(tmp_path) if pid != process.pid]
    assert children, "there is no second process"
    os.kill(children[0], signal.SIGKILL)
    process.communicate(timeout=180)
    assert process.returncode != 0
    until(lambda: not processes_of(tmp_path))

    (last,) = tmp_path.glob("digits/*/seed0/checkpoints/last.pt")
    group = last.parents[2].name
    resumed = start(tmp_path, "trainer.devices=1", *endless)
    before = last.stat().st_mtime_ns
    until(lambda: last.stat().st_mtime_ns > before)
    resumed.terminate()
    resumed.communicate(timeout=60)
    assert [path.name for path in tmp_path.glob("digits/*")] == [group]
    assert json.loads(last.parents[1].joinpath("status.json").read_text())["state"] != "finished"


def test_a_batch_that_cannot_be_shared_out_is_an_error(tmp_path: Path) -> None:
    process = start(
        tmp_path, "trainer.devices=2", "sampler.batch_size=33", "sampler.samples_per_class=11"
    )
    said = process.communicate(timeout=300)[0]
    assert process.returncode != 0
    assert "the batch size must be a multiple of the 2 devices, got 33" in said


def test_stored_embeddings_are_the_same_in_all_processes(tmp_path: Path) -> None:
    """One process and two plan the same batches from them, in the second epoch, too."""
    frozen = ("backbone.batchnorm=frozen", "trainer.log_every=1", "trainer.iterations=16")
    slow = "optimizer.lr=1e-5"  # rounding errors grow slowly
    sampler = ("sampler=fid_match", "sampler.batch_size=50", "sampler.samples_per_class=10")
    found = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        process = start(folder, f"trainer.devices={devices}", *sampler, *frozen, slow)
        said = process.communicate(timeout=300)[0]
        assert process.returncode == 0, said
        (run,) = folder.glob("digits/*/seed0")
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        parts = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["parts"]
        losses = [record["train/loss"] for record in records if "train/loss" in record]
        found.append((losses, parts["storage"]))
    (losses, stored), (others, other) = found
    assert losses == pytest.approx(others, rel=1e-3)
    assert stored["epoch"] == other["epoch"] == 1
    torch.testing.assert_close(stored["visible"], other["visible"], rtol=0, atol=1e-3)
    torch.testing.assert_close(stored["pending"], other["pending"], rtol=0, atol=1e-3)


STOP_AT_THREE = """
from engine.hooks.hook import STOP, Hook

class StopAtThree(Hook):
    def after_step(self, context):
        with (context.folder / "seen.txt").open("a") as file:
            file.write(f"{context.step}\\n")
        return STOP if context.step == 3 else None
"""


def test_a_hook_of_the_first_process_stops_both(tmp_path: Path) -> None:
    (tmp_path / "my_hooks.py").write_text(STOP_AT_THREE)
    hooks = ("hooks=[ema]", "+hooks.mine._target_=my_hooks.StopAtThree")
    steps = ("trainer.devices=2", "trainer.iterations=100", "trainer.log_every=1")
    process = start(tmp_path, *hooks, *steps, PYTHONPATH=str(tmp_path))
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    (folder,) = tmp_path.glob("digits/*/seed0")
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 3]
    assert records[-1]["test/ema/recall@1"] > 0
    assert (folder / "seen.txt").read_text() == "1\n2\n3\n", "one process calls the hook"
