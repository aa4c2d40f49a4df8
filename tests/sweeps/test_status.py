import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.status import main
from sweeps.grid import declared
from sweeps.status import Status, runs_below, seconds_left, status
from tracking.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from tracking.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
with folder.locked(), folder.running():
    print("held", flush=True)
    time.sleep(600)
"""


def write(folder: RunFolder, state: str, step: int, seconds: float, **more: str) -> None:
    """What a run that made `step` of 100 steps leaves."""
    folder.path.mkdir(parents=True)
    folder.write_json(folder.status, {"state": state, **more})
    folder.write_json(folder.plan, {"total_steps": 100})
    folder.write_json(folder.cost, {"seconds": seconds})
    lines = [json.dumps({"step": n}) for n in range(step + 1)]
    folder.metrics.write_text("\n".join(lines) + '\n{"step": 9')  # the next record is half written
    if state == "finished":
        folder.write_json(folder.summary, {})


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A finished, an interrupted, a failed run, and one whose configuration was refused."""
    group = tmp_path / "digits" / "margin-convnet_12345678"
    write(RunFolder(group / "seed0"), "finished", 100, 50.0)
    write(RunFolder(group / "seed1"), "running", 25, 10.0)
    write(RunFolder(group / "seed2"), "failed", 0, 1.0, error="ValueError: bad")
    (group / "seed3").mkdir()
    (group / "seed3" / "output.log").write_text("warning\nerror: no such key\n")
    return tmp_path


def test_states_are_read_from_the_files(runs: Path) -> None:
    found = [status(folder) for folder in runs_below(runs)]
    assert [(run.folder.name, *run[1:]) for run in found] == [
        ("seed0", "finished", 1.0, 50.0, ""),
        ("seed1", "interrupted", 0.25, 10.0, ""),
        ("seed2", "failed", 0.0, 1.0, "ValueError: bad"),
        ("seed3", "failed", 0.0, 0.0, "error: no such key"),
    ]


def test_a_running_run_names_its_process_until_it_dies(runs: Path) -> None:
    path = runs / "digits" / "triplet-convnet_12345678" / "seed0"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        alive = status(RunFolder(path))
        holder.send_signal(signal.SIGKILL)
    assert alive.state == "running"
    assert alive.note.startswith(f"process {holder.pid} on ")
    assert status(RunFolder(path)).state == "interrupted"


def test_the_time_a_running_run_uses_goes_on_between_its_checkpoints(runs: Path) -> None:
    folder = RunFolder(runs / "digits" / "margin-convnet_12345678" / "seed1")
    earlier = time.time() - 100
    os.utime(folder.cost, (earlier, earlier))
    assert status(folder).seconds == 10.0
    with folder.locked():
        assert 110 <= status(folder).seconds < 130


def test_a_clock_that_was_set_back_gives_no_negative_time(runs: Path) -> None:
    """The status of a sweep said "-999990 s used"."""
    folder = RunFolder(runs / "digits" / "margin-convnet_12345678" / "seed1")
    later = time.time() + 1e6
    os.utime(folder.cost, (later, later))
    with folder.locked():
        assert status(folder).seconds == 10.0


@pytest.mark.parametrize("name", ["status.json", "cost.json", "plan.json", "metrics.jsonl"])
def test_a_damaged_file_is_shown_and_hides_no_other_run(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A file of one run was damaged, and no run of the whole tree was shown."""
    path = runs / "digits" / "margin-convnet_12345678" / "seed1" / name
    path.write_text("\0\0\n")
    main([str(runs)])
    said = capsys.readouterr().out
    assert f"{path}" in said
    assert "is damaged" in said
    assert "4 runs: 1 finished, 2 failed, 1 damaged" in said


def test_what_is_left_by_hand() -> None:
    def run(dataset: str, state: str, done: float, seconds: float) -> Status:
        return Status(Path(dataset, "group", "seed0"), state, done, seconds)

    finished = [
        run("a", "finished", 1, 40),
        run("a", "finished", 1, 60),
        run("b", "finished", 1, 9),
    ]
    halfway = run("a", "running", 0.25, 10)
    assert seconds_left(finished) == 0
    assert seconds_left([*finished, halfway]) == 30
    assert seconds_left([*finished, run("a", "missing", 0, 0)]) == 50  # as others of its dataset
    assert seconds_left([*finished, halfway, halfway, run("b", "failed", 0, 3)]) == (60 + 9) / 2
    assert seconds_left([run("a", "running", 0, 3)]) is None


def test_a_grid_names_its_runs_and_the_missing_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ["dataset=digits", "loss=margin,triplet", "batchminer=distance", "seed=0,1"]
    folders = [folder.path for folder in declared(grid, tmp_path)]
    assert [path.parent.name.split("_")[0] for path in folders] == [
        *["margin-distance-convnet"] * 2,
        *["triplet-distance-convnet"] * 2,
    ]
    assert [path.name for path in folders] == ["seed0", "seed1"] * 2
    assert {path.parents[1] for path in folders} == {tmp_path / "digits"}
    write(RunFolder(folders[0]), "finished", 100, 50.0)
    main([str(tmp_path), "--grid", " ".join(grid)])
    *rows, total = capsys.readouterr().out.splitlines()
    assert total == "4 runs: 1 finished, 3 missing; 50 s used, about 2:30 min left"
    named = [row.split()[:2] for row in rows[1:]]
    assert named == [["missing", str(path.relative_to(tmp_path))] for path in folders[1:]]


def test_every_choice_of_a_group_is_a_grid(tmp_path: Path) -> None:
    folders = declared(["loss=glob(m*)"], tmp_path)
    names = {folder.path.parent.name.split("-")[0] for folder in folders}
    assert {"margin", "multisimilarity"} <= names


def test_the_command_shows_what_is_not_finished(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(runs)])
    shown = capsys.readouterr().out
    assert "seed0" not in shown
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == [
        "interrupted",
        "failed",
        "failed",
    ]
    assert "ValueError: bad" in shown
    assert shown.splitlines()[-1].startswith("4 runs: 1 finished, 1 interrupted, 2 failed; 61 s")
    main([str(runs), "--all"])
    assert "seed0" in capsys.readouterr().out


def test_a_folder_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^error: .*does not exist"):
        main([str(tmp_path / "nowhere")])
