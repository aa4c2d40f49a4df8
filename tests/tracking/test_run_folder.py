import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from core.files import DamagedFileError
from engine.config.error_line import user_errors_as_one_line
from tracking.run_folder import RunFolder, RunLockedError

ROOT = Path(__file__).parents[2]
HOLDER = """
import os, sys, time
from pathlib import Path
from tracking.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
with folder.locked(), folder.running():
    if os.fork() == 0:  # a worker that outlives its parent, and must not keep the run
        print(os.getpid(), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "digits" / "margin" / "seed0")


def test_a_run_is_new_then_running_then_finished(folder: RunFolder) -> None:
    assert (folder.state, folder.finished) == ("new", False)
    with folder.locked(), folder.running():
        assert (folder.state, folder.finished) == ("running", False)
        folder.write_json(folder.summary, {"last": 1})
        assert not folder.finished
    assert (folder.state, folder.finished) == ("finished", True)


def test_without_a_summary_nothing_is_finished(folder: RunFolder) -> None:
    with folder.locked(), folder.running():
        pass
    assert not folder.finished


def test_a_failure_is_explained_as_on_the_terminal(folder: RunFolder) -> None:
    user_errors_as_one_line = folder.running(lambda _: "what it means")
    with pytest.raises(ValueError, match="full_key"), folder.locked(), user_errors_as_one_line:
        raise ValueError("Error in call to target, full_key: loss")
    assert json.loads(folder.status.read_text())["error"] == "ValueError: what it means"


def test_an_interrupted_run_says_so(folder: RunFolder) -> None:
    with pytest.raises(KeyboardInterrupt), folder.locked(), folder.running():
        raise KeyboardInterrupt
    assert folder.state == "interrupted"
    assert "error" not in json.loads(folder.status.read_text())


def test_a_failure_is_kept_with_its_traceback(folder: RunFolder) -> None:
    error = ValueError("too\nbad")
    with pytest.raises(ValueError, match="too"), folder.locked(), folder.running():
        raise error
    status = json.loads(folder.status.read_text())
    assert status["state"] == "failed"
    assert status["error"].startswith(type(error).__name__)
    assert "\n" not in status["error"]
    assert "test_a_failure_is_kept_with_its_traceback" in status["traceback"]


def test_a_second_process_is_refused_until_the_first_is_dead(folder: RunFolder) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        worker = int(holder.stdout.readline())
        try:
            with pytest.raises(RunLockedError, match=f"written by process {holder.pid} on "):
                folder.locked().__enter__()
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    assert folder.state == "running"  # nobody could write otherwise
    os.kill(worker, 0)  # is alive
    with folder.locked():
        assert f"process {os.getpid()} on " in (folder.path / ".lock").read_text()
    os.kill(worker, signal.SIGKILL)
    with folder.locked():
        pass  # released by leaving, too


def test_a_run_that_is_held_ends_a_process_with_a_code_of_its_own(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with folder.locked():
        assert folder.lock_owner == f"process {os.getpid()} on {socket.gethostname()}"
        with (
            pytest.raises(SystemExit) as ended,
            user_errors_as_one_line(),
            RunFolder(folder.path).locked(),
        ):
            pass
    assert ended.value.code == 75
    assert capsys.readouterr().err.startswith("error: ")
    assert folder.lock_owner is None


def test_whoever_only_looks_at_the_lock_is_in_nobodys_way(folder: RunFolder) -> None:
    """A look takes the lock for an instant; whoever wants it tries again."""
    folder.path.mkdir(parents=True)
    with (folder.path / ".lock").open("a+") as look:
        fcntl.flock(look, fcntl.LOCK_EX)
        Timer(0.05, lambda: fcntl.flock(look, fcntl.LOCK_UN)).start()
        with folder.locked():
            pass


def test_clearing_leaves_the_lock_alone(folder: RunFolder) -> None:
    with folder.locked():
        folder.checkpoints.mkdir()
        (folder.checkpoints / "last.pt").write_text("x")
        folder.config.write_text("x")
        folder.clear()
        assert [path.name for path in folder.path.iterdir()] == [".lock"]


def test_json_is_strict_and_replaced_whole(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    folder.write_json(folder.summary, {"last": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write_json(folder.summary, {"last": float("nan")})
    assert json.loads(folder.summary.read_text()) == {"last": 1}
    assert [path.name for path in folder.path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "summary.json"])
def test_a_finished_run_knows_its_files(folder: RunFolder, name: str) -> None:
    """A digit of a result changed on the disk."""
    file = folder.path / name
    with folder.locked(), folder.running():
        file.write_text('{"last": 0.95}\n')
    folder.verify(file)
    file.write_text('{"last": 0.96}\n')
    with pytest.raises(DamagedFileError, match=f"{file} is not what the run wrote; "):
        folder.verify(file)
    folder.write_json(folder.status, {"state": "finished"})
    folder.verify(file)  # of an earlier version, which knew no checksums


def test_a_lock_that_holds_no_text_is_still_a_lock(folder: RunFolder) -> None:
    with folder.locked():
        (folder.path / ".lock").write_bytes(b"\xff\xfe")
        assert folder.lock_owner
