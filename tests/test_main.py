"""Whole runs through the real command: the same twice, killed and resumed, on every dataset."""

import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.programs import run_command

ROOT = Path(__file__).parent.parent
SMALL = ("dataset=digits", "metric=[recall]", "tracker.mode=disabled", "trainer.workers=1")
STEPS = ("trainer.iterations=120", "trainer.log_every=3", "trainer.checkpoint_every=4")
TIMES = ("time", "train/images_per_second")
KEY = "0123456789abcdef0123456789abcdef01234567"


def run(runs: Path, *overrides: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_command("main.py", f"paths.runs={runs}", *overrides, **variables)


def finished(runs: Path, *overrides: str, **variables: str) -> Path:
    """The folder of the one run below `runs`, after it has finished."""
    done = run(runs, *overrides, **variables)
    assert done.returncode == 0, done.stderr
    folder = only(runs)
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert done.stdout.splitlines()[-1] == str(folder / "summary.json")
    return folder


def only(runs: Path) -> Path:
    (folder,) = runs.glob("*/*/seed*")
    return folder


def records(folder: Path) -> list[dict[str, Any]]:
    """Every record without what a clock says."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def state(folder: Path) -> dict[str, Any]:
    """The last checkpoint without the size of the records, in which a clock has its say."""
    content: dict[str, Any] = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    return {**content, "position": content["position"][0]}


def assert_same(one: object, other: object) -> None:
    """Equal to the last bit, all the way down."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert one.equal(other)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    return finished(tmp_path_factory.mktemp("reference"), *SMALL, *STEPS)


def test_the_same_command_twice_gives_the_same_bits(reference: Path, tmp_path: Path) -> None:
    """The second time in a fresh interpreter, as a user starts it."""
    command = [sys.executable, "main.py", f"paths.runs={tmp_path}", *SMALL, *STEPS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "trainer.workers=0"], cwd=ROOT, env=environment, check=True)
    other = only(tmp_path)
    assert other.name == reference.name
    assert other.parent.name == reference.parent.name, "workers are not part of the name"
    assert_same(state(reference)["parts"], state(other)["parts"])
    assert records(reference) == records(other)


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(
    reference: Path, tmp_path: Path
) -> None:
    folder = finished(tmp_path, *SMALL, *STEPS)
    (folder / "summary.json").unlink()
    (folder / "status.json").write_text('{"state": "running"}')
    last = folder / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    again = run(tmp_path, *SMALL, *STEPS)
    assert again.returncode == 0, again.stderr
    assert "is damaged" in again.stderr
    assert_same(state(reference), state(folder))
    assert records(reference) == records(folder)


def test_a_finished_run_is_skipped_unless_forced(tmp_path: Path) -> None:
    few = (*SMALL, "trainer.iterations=2")
    folder = finished(tmp_path, *few)
    before = (folder / "metrics.jsonl").stat().st_mtime_ns
    finished(tmp_path, *few)
    assert (folder / "metrics.jsonl").stat().st_mtime_ns == before
    finished(tmp_path, *few, "force=true")
    assert (folder / "metrics.jsonl").stat().st_mtime_ns > before


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, *STEPS, "optimizer.lr=1e30")
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert re.search(r"step \d+", done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    status = json.loads((only(tmp_path) / "status.json").read_text())
    assert status["state"] == "failed"
    assert "Traceback" in status["traceback"]


def test_no_file_of_a_run_holds_the_key(tmp_path: Path) -> None:
    overrides = [*SMALL, "tracker.mode=offline", "trainer.iterations=2"]
    folder = finished(tmp_path, *overrides, WANDB_API_KEY=KEY)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert list(folder.rglob("*.wandb")), "W&B wrote its offline run"
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


TREES = {
    "cub200": "cub200_tree",
    "cars196": "cars196_tree",
    "sop": "sop_tree",
    "inshop": "inshop_tree",
}


@pytest.mark.extended
@pytest.mark.parametrize(
    ("dataset", "backbone"), list(zip(TREES, ["resnet50", "bninception"] * 2, strict=True))
)
def test_official_layouts_train_and_evaluate(
    dataset: str, backbone: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    tree = request.getfixturevalue(TREES[dataset])
    folder = finished(
        tmp_path / "runs",
        f"dataset={dataset}",
        f"paths.data={tree}",
        f"backbone={backbone}",
        "backbone.pretrained=false",
        "dataset.counts=null",
        "sampler.batch_size=8",
        "trainer.iterations=2",
        "trainer.workers=0",
        "transform.crop=64",
        "transform.resize=72",
        "tracker.mode=disabled",
    )
    last = json.loads((folder / "summary.json").read_text())["last"]
    assert last["step"] == 2
    assert 0 <= last["test/recall@1"] <= 1
    assert last["test/num_queries"] > 0
    assert all(math.isfinite(r["train/loss"]) for r in records(folder) if "train/loss" in r)


@pytest.mark.extended
def test_the_first_run_learns_what_it_has_not_seen(tmp_path: Path) -> None:
    """The commands of `make run`, with a third of its epochs, where no data folder is named."""
    said = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    last = []
    for number, line in enumerate(re.findall(r"main\.py (.+)", said)):
        few = ("tracker.mode=disabled", *(["trainer.epochs=6"] if number else []))
        runs = tmp_path / str(number)
        folder = finished(runs, *shlex.split(line), *few, "paths.data=null")
        last.append(json.loads((folder / "summary.json").read_text())["last"])
    untrained, trained = last
    assert untrained["test/recall@1"] < 0.4
    assert trained["test/recall@1"] > 0.65
    assert trained["test/num_queries"] == 2120


def test_a_run_without_gain_ends_early_and_stays_ended(tmp_path: Path) -> None:
    """Evaluated every 10 steps, and nothing changes: nothing is gained after step 10."""
    idle = ("optimizer.lr=0", "backbone.batchnorm=frozen")
    steps = (*idle, "trainer.evaluate_every_iterations=10", "trainer.patience=20")
    folder = finished(tmp_path, *SMALL, *STEPS, *steps)
    assert records(folder)[-1]["step"] == 40
    (folder / "summary.json").unlink()
    assert finished(tmp_path, *SMALL, *STEPS, *steps) == folder
    assert records(folder)[-1]["step"] == 40, "killed after its last step, it must not go on"


def test_patience_needs_something_to_wait_for(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, *STEPS, "trainer.patience=20", "validation=none")
    assert done.returncode
    assert (
        "trainer.patience=20: waits for val/recall@1, and the run has no such split" in done.stderr
    )


def test_a_run_remembers_where_it_leaves_the_study_that_it_claims(tmp_path: Path) -> None:
    claim = ("protocol=roth2020/cub200", "loss=triplet", "trainer.iterations=3")
    here = ("backbone=convnet", "transform=small", "sampler=few_classes")
    done = run(tmp_path, *claim, *SMALL, *here)
    assert done.returncode == 0, done.stderr
    assert "what differs from protocol=roth2020/cub200" in done.stderr
    recorded = json.loads((only(tmp_path) / "environment.json").read_text())["protocol"]
    assert recorded["claim"] == "protocol=roth2020/cub200"
    assert recorded["differences"]["dataset"] == {"protocol": "cub200", "run": "digits"}
    assert "loss" not in recorded["differences"]
