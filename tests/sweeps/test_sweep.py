"""A whole sweep through the real command: a crash, a kill, the same again, twice at once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from engine.config.run_name import CONF
from sweeps.grid import expanded
from sweeps.run_config import run_folder
from tracking.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
TINY = (
    "dataset=digits",
    "metric=[recall]",
    "sampler=random",
    "sampler.batch_size=10",
    "loss=softmax",
    "tracker.mode=disabled",
    "trainer.workers=0",
)


def start(runs: Path, *overrides: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "main.py", "-m", f"paths.runs={runs}", *TINY, *overrides],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    """Its exit code, and what it said on standard error."""
    _, said = process.communicate(timeout=500)
    return process.returncode, said.splitlines()


def folder_of(runs: Path, *overrides: str) -> RunFolder:
    """Where a run will be."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = compose(
            "config", overrides=[f"paths.runs={runs}", *TINY, *overrides], return_hydra_config=True
        )
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    return run_folder(config, whole.hydra.runtime.choices)


def kill_once_running(folder: RunFolder, sweep: "subprocess.Popen[str]") -> None:
    while not folder.status.exists():
        assert sweep.poll() is None, "the sweep ended before"
        time.sleep(0.02)
    os.kill(json.loads(folder.status.read_text())["pid"], signal.SIGKILL)


@pytest.mark.extended
def test_a_crash_and_a_kill_cost_two_of_twelve_runs_until_the_same_command_twice_at_once(
    tmp_path: Path,
) -> None:
    grid = ("seed=0,1,2,3,4,5", "trainer.iterations=1,2", "hydra.launcher.jobs=2")
    crashing = folder_of(tmp_path, "seed=1", "trainer.iterations=2")
    crashing.path.mkdir(parents=True)
    crashing.checkpoints.write_text("a file where a folder must be")
    killed = folder_of(tmp_path, "seed=2", "trainer.iterations=1")

    sweep = start(tmp_path, *grid)
    kill_once_running(killed, sweep)
    code, said = ended(sweep)
    assert code == 1
    assert said[-1].startswith("error: 2 of 12 runs did not finish")
    table = said[said.index("10 finished, 2 failed") + 2 : -1]
    assert [line.split()[0] for line in table] == [str(crashing.path), str(killed.path)]
    assert "File exists" in table[0]
    assert "killed by SIGKILL" in table[1]
    assert crashing.state == "failed"
    assert killed.state == "running"
    assert killed.lock_owner is None, "nobody runs it: interrupted"

    crashing.checkpoints.unlink()
    both = [ended(sweep) for sweep in [start(tmp_path, *grid) for _ in range(2)]]
    assert [code for code, _ in both] == [0, 0], both
    finished = [re.search(r"(\d+) finished", said[-1]) for _, said in both]
    assert sum(int(found[1]) for found in finished if found) == 2, "whoever waits has it skipped"
    folders = [RunFolder(path) for path in tmp_path.glob("digits/*/*")]
    assert len(folders) == 12
    for folder in folders:
        steps = OmegaConf.load(folder.config).trainer.iterations
        assert json.loads(folder.cost.read_text())["images"] == 10 * steps, "over all processes"


def test_the_ready_sweep_is_every_loss_with_five_seeds() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        chosen = ["hydra/sweeper=omniglot"]
        whole = compose("config", overrides=chosen, return_hydra_config=True).hydra
        params = [f"{key}={value}" for key, value in whole.sweeper.params.items()]
        jobs = expanded(params, GlobalHydra.instance().config_loader())
    assert whole.launcher["_target_"] == "hydra_plugins.processes.Processes"
    losses = {f"loss={path.stem}" for path in CONF.glob("loss/*.yaml")}
    assert {loss for _, loss, _ in jobs} == losses
    assert len(jobs) == 5 * len(losses)
    assert {dataset for dataset, _, _ in jobs} == {"dataset=omniglot_small"}
