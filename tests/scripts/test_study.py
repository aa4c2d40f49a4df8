"""One command for all runs of a study."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "study.sh"


def study(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With a python that shows what it was given, one argument a line."""
    python = folder / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    return subprocess.run(
        ["sh", str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )


def test_every_run_of_the_study_in_one_sweep(tmp_path: Path) -> None:
    done = study(tmp_path, "roth2020/sop", "seed=0,1,2,3,4", "trainer.precision=bf16-mixed")
    program, multirun, experiments, *others = done.stdout.splitlines()
    assert (program, multirun) == ("main.py", "-m")
    names = experiments.removeprefix("experiment=").split(",")
    assert len(names) == 21
    assert "roth2020/sop/margin_b12_distance" in names
    assert others == ["seed=0,1,2,3,4", "trainer.precision=bf16-mixed"]


def test_a_study_that_does_not_exist(tmp_path: Path) -> None:
    done = study(tmp_path, "roth2020/birds")
    assert done.returncode == 2
    assert "there is no folder conf/experiment/roth2020/birds" in done.stderr


def test_without_arguments_it_explains_itself(tmp_path: Path) -> None:
    done = study(tmp_path)
    assert done.returncode == 2
    assert "sh scripts/study.sh roth2020/cub200 seed=0,1,2,3,4" in done.stdout
