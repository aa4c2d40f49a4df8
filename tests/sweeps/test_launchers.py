"""Launchers of others, each for real on this machine; requirements-sweep.txt installs them."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=8"],
    "ray": [
        *("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"),
        "+hydra.launcher.ray.init.include_dashboard=false",
    ],
}


def command(runs: Path, launcher: str, *overrides: str) -> list[str]:
    plugin = f"hydra_{launcher}_launcher"
    if find_spec(launcher) is None or not find_spec("hydra_plugins." + plugin):
        pytest.skip(f"{launcher} or {plugin} is not installed: requirements-sweep.txt")
    return [
        *(sys.executable, "main.py", "-m", *LAUNCHERS[launcher], f"paths.runs={runs}"),
        *("dataset=digits", "metric=[recall]", "sampler=random", "loss=softmax"),
        *("tracker.mode=disabled", "trainer.workers=0", *overrides),
    ]


def environment(home: Path) -> dict[str, str]:
    """Ray reports its use to its makers unless told not to, and writes a token into the home."""
    own = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(home)}
    return {**os.environ, **own}


@pytest.mark.extended
@pytest.mark.parametrize("launcher", ["joblib", "ray"])
def test_a_failed_run_costs_no_other(launcher: str, tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, launcher, "trainer.iterations=1", "optimizer.lr=-1,1e-3"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    said = done.stderr.splitlines()
    assert done.returncode == 1, done.stderr
    assert "1 failed, 1 finished" in said
    assert said[-2].rstrip().endswith("Invalid learning rate: -1")
    assert said[-1].startswith("error: 1 of 2 runs did not finish")
    states = [json.loads(path.read_text())["state"] for path in tmp_path.glob("*/*/*/status.json")]
    assert states == ["finished"], "the other was refused before it began"


@pytest.mark.extended
def test_a_preempted_job_of_submitit_is_queued_again_and_resumes(tmp_path: Path) -> None:
    """The signal is the one with which SLURM announces that the time is up; one run fails, too."""
    overrides = ("trainer.iterations=100", "trainer.checkpoint_every=10", "trainer.log_every=10")
    with subprocess.Popen(
        command(tmp_path, "submitit", *overrides, "optimizer.lr=-1,1e-3"),
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    ) as sweep:
        while not (saved := list(tmp_path.glob("*/*/*/checkpoints/last.pt"))):
            assert sweep.poll() is None, "the sweep ended before"
            time.sleep(0.05)
        folder = saved[0].parents[1]
        worker = json.loads((folder / "status.json").read_text())["pid"]
        os.kill(parent(worker), signal.SIGUSR2)
        _, said = sweep.communicate(timeout=500)
    assert sweep.returncode == 1
    assert "1 failed, 1 finished" in said
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert json.loads((folder / "status.json").read_text())["pid"] != worker
    logs = [path.read_text() for path in tmp_path.glob(".multirun/*/.submitit/*/*_0_log.err")]
    assert any("Caught signal SIGUSR2" in log for log in logs)


def parent(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))
