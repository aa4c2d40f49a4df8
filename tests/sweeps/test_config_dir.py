"""Sweeps over a user's own configuration files: every job sees what the sweep sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import OmegaConf

from engine.config.check import check
from engine.config.compose import compose_run, composing
from engine.config.protocol import check_claimed_protocol
from engine.config.run_name import CONF
from engine.data.preparation import compose_preparation
from scripts import check_protocol
from sweeps.grid import declared
from sweeps.run_config import arguments
from sweeps.search_space import space_of
from tests.sweeps.test_sweep import ROOT, TINY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A primary configuration, a loss, a search space, an experiment and a group of a user."""
    files = {
        "mine.yaml": "defaults: [config, {override loss: contrastive}, _self_]\nseed: 7\n",
        "loss/mytriplet.yaml": (CONF / "loss" / "triplet.yaml").read_text(),
        "search/mytriplet.yaml": "loss.margin: {low: 0.1, high: 0.3}\n",
        "experiment/mystudy.yaml": "# @package _global_\ndefaults: [{override /loss: mytriplet}]\n",
        "rig/small.yaml": "# @package _global_\ntrainer: {log_every: 3}\n",
    }
    for name, text in files.items():
        (tmp_path / "configs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "configs" / name).write_text(text)
    return tmp_path / "configs"


def test_the_command_of_a_job_holds_all_that_was_said(folder: Path) -> None:
    own = ["hydra.job.name=x", "+hydra.job.env_set.A=1", f"hydra.searchpath=['file://{folder}']"]
    of_the_sweep = ["hydra.launcher.jobs=2", "hydra/sweeper=grid", "hydra.sweep.dir=y"]
    options = [f"--config-dir={folder}", "--config-name=mine"]
    said = [*options, *own, *of_the_sweep, "dataset=digits", "seed=1"]
    with composing(said) as given:
        whole = compose(given.config_name, given.overrides, return_hydra_config=True)
    assert arguments(whole.hydra) == [*options, *own, "dataset=digits", "seed=1"]
    assert compose_run(arguments(whole.hydra)) == compose_run(said)


def test_another_folder_in_the_place_of_conf_reaches_the_jobs(folder: Path) -> None:
    said = [f"--config-path={CONF}/../conf", "seed=1"]
    whole = compose_run(said, return_hydra_config=True)
    assert arguments(whole.hydra)[-1] == "seed=1"
    (folder / "own.yaml").write_text("seed: 3\n")
    said = [f"--config-path={folder}", "--config-name=own"]
    whole = compose_run(said, return_hydra_config=True)
    assert arguments(whole.hydra) == said


def test_the_grid_of_status_takes_what_the_sweep_was_given(folder: Path, tmp_path: Path) -> None:
    said = [f"--config-dir={folder}", "--config-name=mine", "dataset=digits"]
    (run,) = declared(said, tmp_path)
    assert run.path.name == "seed7"
    assert run.path.parent.name.startswith("contrastive-")
    runs = declared([*said, "loss=mytriplet,margin", "seed=0,1"], tmp_path)
    assert [run.path.parent.name.split("-")[0] for run in runs] == ["mytriplet"] * 2 + [
        "margin"
    ] * 2


def test_checks_and_claims_see_a_users_files(folder: Path) -> None:
    overrides = ["experiment=mystudy", "+rig=small", "trainer.epochs=3"]
    with composing([f"--config-dir={folder}", *overrides]) as said:
        config = compose("config", said.overrides)
        check(config, overrides)
        claim = check_claimed_protocol(config, overrides)
    assert config.trainer.log_every == 3
    assert claim is not None
    assert [difference.key for difference in claim.deviations] == ["trainer.epochs"]


def test_commands_that_compose_take_the_same_options(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [f"--config-dir={folder}", "experiment=mystudy", "+rig=small", "dataset=digits"]
    assert check_protocol.main(said) == 1
    assert "dataset" in capsys.readouterr().out
    own, config, name = compose_preparation([said[0], *said[2:], "bits=8"])
    assert (own.bits, config.trainer.log_every, name) == (8, 3, "digits")


def test_a_search_finds_the_space_of_a_users_loss(folder: Path) -> None:
    assert list(space_of("mytriplet", [], [CONF, folder])) == ["loss.margin"]


@pytest.mark.extended
@pytest.mark.parametrize("launcher", ["processes", "basic", "joblib"])
def test_jobs_of_every_launcher_train_what_was_asked(
    launcher: str, folder: Path, tmp_path: Path
) -> None:
    """A user's own files and name: the job is no other, and it is in the folder that is named."""
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    options = [f"--config-dir={folder}", "--config-name=mine"]
    tiny = [word for word in TINY if not word.startswith("loss=")]
    own = [f"hydra/launcher={launcher}", f"paths.runs={tmp_path / 'runs'}", "loss=mytriplet"]
    more = ["trainer.iterations=1", "batchminer=random"]
    done = subprocess.run(
        [sys.executable, "main.py", "-m", *options, *own, *tiny, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "1 finished"
    (run,) = (tmp_path / "runs").glob("digits/mytriplet-random-*/seed7")
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    config = OmegaConf.load(run / "config.yaml")
    assert config.loss._target_ == "criteria.triplet.TripletMargin"
