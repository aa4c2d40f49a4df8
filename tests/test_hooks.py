"""Whole runs with hooks: what they leave, that they resume, and that others stay as they were."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.trained_run import load_weights
from engine.trainer import Trainer
from scripts.evaluate import main as evaluate
from tests.commands import command
from tests.programs import Server
from tests.run_server import Runs, runs, server  # noqa: F401 - fixtures
from tests.test_main import assert_same, only, records, state
from tracking.console import report
from tracking.run_folder import RunFolder

MINE = '''"""A hook of somebody else's."""

from engine.hooks.hook import STOP, Hook


class StopAt(Hook):
    """Stops a run at a step."""

    def __init__(self, step, file="seen.txt"):
        self.step, self.file, self.calls = step, file, 0

    def after_step(self, context):
        self.calls += 1
        with (context.folder / self.file).open("a") as file:
            file.write(f"{context.step} {self.calls}\\n")
        return STOP if context.step == self.step else None

    def at_end(self, context):
        (context.folder / "ended.txt").write_text(str((context.folder / "summary.json").exists()))

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


class Broken(Hook):
    """Fails at the second step."""

    def after_step(self, context):
        if context.step == 2:
            raise KeyError("no such thing")
'''


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without hooks."""
    return command(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package `my_hooks`, where Python finds it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "my_hooks.py").write_text(MINE)
    monkeypatch.syspath_prepend(folder)
    return folder


def interrupt(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the next run end in the middle of a step."""
    take = Trainer.train

    def train(trainer: Trainer, number: int, batch: object) -> object:
        if number == step:
            monkeypatch.setattr(Trainer, "train", take)
            raise KeyboardInterrupt
        return take(trainer, number, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "train", train)


def test_a_run_without_hooks_has_none_in_its_checkpoint(plain: Path) -> None:
    parts = state(plain)["parts"]
    assert sorted(parts) == ["criterion", "model", "optimizer", "precision", "scheduler"]


def test_the_average_changes_no_step_and_is_evaluated_beside(plain: Path, tmp_path: Path) -> None:
    stored = "trainer.storage_metrics=[test/recall@1,test/ema/recall@1]"
    folder = command(tmp_path, "hooks=[ema]", stored)
    with_average, without = records(folder), records(plain)
    for one, other in zip(with_average, without, strict=True):
        assert {key: one[key] for key in other} == other
    assert with_average[-1]["test/ema/recall@1"] > 0
    parts = state(folder)["parts"]
    assert_same(parts["model"], state(plain)["parts"]["model"])

    best = torch.load(folder / "checkpoints" / "best_test_ema_recall@1.pt", weights_only=True)
    step = next(r["step"] for r in with_average if "test/ema/recall@1" in r)
    assert best["step"] >= step
    evaluate([f"run={folder}/checkpoints/best_test_ema_recall@1.pt", "draw=false", "name=again"])
    again = json.loads((folder / "evaluation" / "again" / "metrics.json").read_text())["metrics"]
    measured = max(r["test/ema/recall@1"] for r in with_average if "test/ema/recall@1" in r)
    assert again["test/recall@1"] == pytest.approx(measured, abs=2e-3)


def test_the_average_is_evaluated_instead(plain: Path, tmp_path: Path) -> None:
    folder = command(tmp_path, "hooks=[ema,export_embeddings]", "hooks.ema.evaluated=instead")
    assert_same(state(folder)["parts"]["model"], state(plain)["parts"]["model"])
    saved = state(folder)["parts"]
    assert_same(saved["evaluated_model"], saved["hooks"]["states"]["hooks.ema"]["model"])
    assert_same(load_weights(folder / "checkpoints" / "last.pt").model, saved["evaluated_model"])
    last = records(folder)[-1]
    assert last.keys() == records(plain)[-1].keys()
    evaluate([f"run={folder}", "draw=false", "name=again"])
    again = json.loads((folder / "evaluation" / "again" / "metrics.json").read_text())["metrics"]
    assert again["test/recall@1"] == pytest.approx(last["test/recall@1"], abs=2e-3)

    with np.load(folder / "embeddings" / "test_4.npz") as file:
        assert file["embeddings"].shape == (896, 128)
        assert file["labels"].shape == file["paths"].shape == (896,)


def test_an_interrupted_run_goes_on_with_the_same_bits(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outside.exists()
    mine = "+hooks.mine={_target_: my_hooks.StopAt, step: 3}"
    chosen = ("hooks=[ema,early_stopping,export_embeddings]", mine, "validation=samples")
    whole = command(tmp_path / "whole", *chosen)
    interrupt(monkeypatch, step=2)
    with pytest.raises(SystemExit):
        command(tmp_path / "broken", *chosen)
    assert (
        json.loads((only(tmp_path / "broken") / "status.json").read_text())["state"] != "finished"
    )
    resumed = command(tmp_path / "broken", *chosen)
    assert records(whole)[-1]["step"] == 3, "the step of the stop is the last one, and evaluated"
    assert "test/recall@1" in records(whole)[-1]
    assert records(resumed) == records(whole)
    assert_same(state(resumed), state(whole))
    assert (resumed / "seen.txt").read_text() == "1 1\n2 2\n3 3\n"
    assert (resumed / "ended.txt").read_text() == "True"
    files = sorted(path.name for path in (whole / "embeddings").iterdir())
    assert files == ["test_3.npz", "test_ema_3.npz", "val_3.npz", "val_ema_3.npz"]
    for name in files:
        assert (whole / "embeddings" / name).read_bytes() == (
            resumed / "embeddings" / name
        ).read_bytes()

    (resumed / "summary.json").unlink()  # as if it was killed after the last checkpoint
    assert records(command(tmp_path / "broken", *chosen)) == records(whole)


def test_an_error_of_a_hook_is_one_line_with_the_traceback(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outside.exists()
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, "+hooks.mine._target_=my_hooks.Broken")
    line = str(ended.value)
    assert "hooks.mine: Broken.after_step failed, KeyError: 'no such thing'" in line
    file = only(tmp_path) / "traceback.txt"
    assert line.endswith(f"traceback: {file}")
    assert "my_hooks.py" in file.read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_early_stopping_is_the_patience_of_the_trainer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = ("optimizer.lr=0", "backbone.batchnorm=frozen", "validation=samples")
    steps = ("trainer.iterations=8", "trainer.evaluate_every_iterations=1")
    by_hook = command(
        tmp_path / "hook", *idle, *steps, "hooks=early_stopping", "hooks.early_stopping.patience=2"
    )
    by_key = command(tmp_path / "key", *idle, *steps, "trainer.patience=2")
    assert records(by_hook)[-1]["step"] == 4
    assert records(by_hook) == records(by_key)
    assert by_hook.parent.name != by_key.parent.name
    for folder, key in ((by_hook, "hooks.early_stopping"), (by_key, "trainer.patience")):
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["stopped"] == {"by": key, "step": 4, "of": 8}
        capsys.readouterr()
        report(RunFolder(folder))
        assert f"stopped: by {key} after 4 of 8 steps\n" in capsys.readouterr().out


def test_a_checkpoint_of_before_there_were_hooks_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run with trainer.patience, which early stopping now serves."""
    chosen = ("validation=samples", "trainer.patience=100")
    whole = command(tmp_path / "whole", *chosen)
    interrupt(monkeypatch, step=4)
    with pytest.raises(SystemExit):
        command(tmp_path / "broken", *chosen)
    last = only(tmp_path / "broken") / "checkpoints" / "last.pt"
    content = torch.load(last, weights_only=True)
    del content["parts"]["hooks"]
    torch.save(content, last)
    resumed = command(tmp_path / "broken", *chosen)
    assert records(resumed) == records(whole)
    assert_same(state(resumed)["parts"]["model"], state(whole)["parts"]["model"])


def test_early_stopping_needs_a_split_to_wait_for(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"early_stopping.patience=900: waits for val/recall@1"):
        command(tmp_path, "hooks=early_stopping", "validation=none")


@pytest.mark.extended
def test_killed_with_an_average_it_ends_the_same(server: Server, tmp_path: Path) -> None:  # noqa: F811
    chosen = ("hooks=[ema]", "trainer.workers=0", "trainer.evaluate_every_iterations=16")
    whole = Runs(server, tmp_path / "whole", tmp_path / "log").finished(*chosen)
    killed = Runs(server, tmp_path / "killed", tmp_path / "log")
    for _ in range(3):
        pid = killed.start(*chosen)
        killed.wait_for_a_record(pid)
        os.kill(pid, signal.SIGKILL)
        assert killed.end().code == -signal.SIGKILL
    resumed = killed.finished(*chosen)
    assert records(resumed) == records(whole)
    assert_same(state(resumed), state(whole))
