import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.wandb_server import WandbServer, serving
from tracking import background_tracker
from tracking.wandb_logger import WandbLogger

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef01234567"  # planted, of the form of a real one
RUN = """
import sys
from pathlib import Path
from tracking.wandb_logger import WandbLogger
folder = Path(sys.argv[1]); folder.mkdir(parents=True)
with WandbLogger(sys.argv[2], "p", None, float(sys.argv[3]), folder=folder, config={"a": 1}) as m:
    m.log(1, {"epoch": 0, "test/recall@1": 0.5, "test/rho_spectrum@0": [0.5, 0.3, 0.2]})
    m.finish({"last": {"test/recall@1": 0.5}, "selected": None, "oracle": {"test/recall@1": 0.5}})
print("the run went on, mirrored:", not m.failed)
"""


def run(folder: Path, mode: str, timeout: float, **environment: str) -> str:
    """What a process with a mirror prints; its home is a folder of the test."""
    home = folder.parents[3] / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), mode, str(timeout)],
        cwd=ROOT,
        env={**kept, "HOME": str(home), "WANDB_API_KEY": KEY, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "digits" / "margin_1a2b" / "seed3"


def test_offline_mirrors_into_the_run_folder_and_keeps_no_key(folder: Path, tmp_path: Path) -> None:
    output = run(folder, "offline", 60)
    assert "mirrored: True" in output
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    content = log.read_bytes()
    for part in (b"margin_1a2b_s3", b"digits_margin_1a2b_s3", b"test/recall@1", b"histogram"):
        assert part in content
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in output


class Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def broken_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.extended
def test_a_server_that_fails_is_said_once_and_stops_nothing(
    folder: Path, broken_server: str
) -> None:
    output = run(folder, "online", 3, WANDB_BASE_URL=broken_server)
    assert "the run went on, mirrored: False" in output
    assert output.count("W&B stopped mirroring") == 1
    assert KEY not in output


MIDDLE = """
import os, signal, sys
from pathlib import Path
from tracking.wandb_logger import WandbLogger
from engine.third_party_warnings import capture_warnings
capture_warnings()
folder = Path(sys.argv[1]); folder.mkdir(parents=True)
with WandbLogger("online", "p", "team", 60, folder=folder, config={}) as mirror:
    print("started", flush=True)
    mirror.timeout = 3
    sys.stdin.readline()
    if sys.argv[2] == "hangs":
        os.kill(__import__("wandb").setup().assert_service()._proc._process.pid, signal.SIGSTOP)
    mirror.log(1, {"epoch": 0, "test/recall@1": 0.5})
"""


@pytest.mark.extended
@pytest.mark.parametrize("trouble", ["answers 500", "does not answer", "hangs"])
def test_a_client_that_fails_after_it_started_is_told_with_what_to_do(
    trouble: str, folder: Path, tmp_path: Path
) -> None:
    """The server fails or hangs, or W&B's own process hangs, in the middle of a run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    with serving(WandbServer()) as server:
        own = {"HOME": str(tmp_path), "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        with subprocess.Popen(
            [sys.executable, "-c", MIDDLE, str(folder), trouble],
            cwd=ROOT,
            env={**kept, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            server.fail["file_stream"] = 10**6 * (trouble == "answers 500")
            server.slow["file_stream"] = 60.0 * (trouble == "does not answer")
            _, said = process.communicate("\n", timeout=60)
    assert process.returncode == 0, said
    (last,) = [line for line in said.splitlines() if "to upload it: " in line]
    assert last.startswith("W&B stopped mirroring")
    assert f"wandb sync {folder}/wandb/run-" in last
    assert said.splitlines()[-1] == last
    assert KEY not in said


RESUMED = """
import sys
from pathlib import Path
from tracking.wandb_logger import WandbLogger
folder = Path(sys.argv[1]); folder.mkdir(parents=True, exist_ok=True)
def record(step, name="train/loss"):
    return {"step": step, "epoch": 0, "time": 1.0, name: step / 8}
def log(mirror, step, name="train/loss"):
    mirror.log(step, {"epoch": 0, name: step / 8})
mirror = WandbLogger(sys.argv[2], "p", "team", 30, folder=folder, config={"seed": 3})
if sys.argv[3] == "first":
    mirror.resume([])
    try:
        with mirror:
            for step in range(1, 5):
                log(mirror, step)
            raise KeyboardInterrupt  # before the evaluation of step 4
    except KeyboardInterrupt:
        pass
else:
    with mirror:
        mirror.resume([record(step) for step in (1, 2)])
        for step in range(3, 7):
            log(mirror, step)
            if step == 4:
                log(mirror, step, "test/recall@1")
        mirror.finish({"last": {}, "selected": None, "oracle": {}})
assert not mirror.failed
"""


@pytest.mark.extended
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_run_that_resumes_continues_its_page_with_every_step_once(
    mode: str, folder: Path, tmp_path: Path
) -> None:
    """The first process is interrupted at step 4; the checkpoint is of step 2."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    with serving(WandbServer()) as server:
        own = {"HOME": str(tmp_path), "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        said = ""
        for process in ("first", "second"):
            command = [sys.executable, "-c", RESUMED, str(folder), mode, process]
            said += client(command, {**kept, **own})
        if mode == "offline":
            (log,) = folder.glob("wandb/offline-run-*")
            client(
                [str(Path(sys.executable).with_name("wandb")), "sync", str(log)], {**kept, **own}
            )
        (page,) = server.runs.values()
    assert said == ""
    assert [row["_step"] for row in page.history] == [1, 2, 3, 4, 5, 6]
    assert [row["train/loss"] for row in page.history] == [step / 8 for step in range(1, 7)]
    assert [row["_step"] for row in page.history if "test/recall@1" in row] == [4]


def client(command: list[str], environment: dict[str, str]) -> str:
    """What a process that logs to W&B prints."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class FakeRun:
    """Stands for the client: remembers calls, fails or hangs where told."""

    def __init__(self, failing: str = "", hanging: str = "") -> None:
        self.failing, self.hanging = failing, hanging
        self.calls: list[tuple[str, Any]] = []
        self.released = threading.Event()
        self.dir = "/runs/wandb/run-1/files"
        self.starting_step = 0
        self.summary = SimpleNamespace(update=lambda values: self.call("summary", values))

    def call(self, name: str, values: object) -> None:
        self.calls.append((name, values))
        if name == self.failing:
            raise RuntimeError(f"no {name} today")
        if name == self.hanging:
            self.released.wait(60)

    def log(self, values: object, step: int) -> None:
        self.call("log", (step, values))

    def finish(self, exit_code: int) -> None:
        self.call("finish", exit_code)


def mirror_of(fake: FakeRun, folder: Path, monkeypatch: pytest.MonkeyPatch) -> WandbLogger:
    def init(self: WandbLogger, **options: object) -> None:
        fake.call("init", options)
        self.run = fake

    monkeypatch.setattr(WandbLogger, "_init", init)
    return WandbLogger("offline", "p", None, 60, folder=folder, config={})


def exercise(mirror: WandbLogger) -> None:
    with mirror:
        mirror.log(7, {"train/loss": 1.0})
        mirror.log(8, {"train/loss": 2.0})
        mirror.calls.wait(60)  # a failure is noticed when the run logs something again
        mirror.finish({"last": {"test/nmi": 0.5, "step": 8}, "selected": None, "oracle": {}})


def test_names_steps_and_readings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRun()
    exercise(mirror_of(fake, folder, monkeypatch))
    (_, options), *calls = fake.calls
    assert options["id"] == "digits_margin_1a2b_s3"
    assert (options["name"], options["group"]) == ("margin_1a2b_s3", "margin_1a2b")
    assert options["resume"] == "allow"
    assert options["dir"] == str(folder)
    assert calls == [
        ("log", (7, {"train/loss": 1.0})),
        ("log", (8, {"train/loss": 2.0})),
        ("summary", {"last/test/nmi": 0.5, "last/step": 8, "folder": str(folder)}),
        ("finish", 0),
    ]


@pytest.mark.parametrize("call", ["init", "log", "summary", "finish"])
def test_any_failure_is_said_once_and_ends_the_mirror(
    call: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeRun(failing=call)
    with caplog.at_level(logging.WARNING):
        exercise(mirror_of(fake, folder, monkeypatch))
    remedy = "" if call == "init" else "; to upload it: wandb sync /runs/wandb/run-1"
    said = [f"W&B stopped mirroring (no {call} today); the run folder has everything{remedy}"]
    if call == "log":  # the end of the run says so again
        said.append(f"W&B lacks a part of this run{remedy}")
    assert [record.getMessage() for record in caplog.records] == said
    assert fake.calls[-1][0] == call


def test_a_client_that_hangs_is_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeRun(hanging="finish")
    mirror = mirror_of(fake, folder, monkeypatch)
    mirror.timeout = 0.2
    ended: list[bool] = []
    monkeypatch.setattr(WandbLogger, "_abandon", lambda _: ended.append(True))
    with caplog.at_level(logging.WARNING):
        exercise(mirror)
    fake.released.set()
    assert "no answer within 0.2 s" in caplog.text
    assert ended, "the interpreter would wait for it"


def test_an_interrupted_run_gives_the_client_a_moment_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = mirror_of(FakeRun(), folder, monkeypatch)
    with pytest.raises(KeyboardInterrupt), mirror:
        raise KeyboardInterrupt
    assert mirror.timeout == background_tracker.INTERRUPT_TIMEOUT


def test_a_run_that_failed_is_shown_as_failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRun()
    with pytest.raises(ValueError, match="broken"), mirror_of(fake, folder, monkeypatch):
        raise ValueError("broken")
    assert fake.calls[-1] == ("finish", 1)


def test_a_missing_client_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with caplog.at_level(logging.WARNING):
        exercise(WandbLogger("offline", "p", None, 60, folder=folder, config={}))
    assert len(caplog.records) == 1


def test_disabled_never_touches_the_client(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    exercise(WandbLogger("disabled", "p", None, 60, folder=folder, config={}))
    assert caplog.records == []


def test_an_unknown_mode_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match="online, offline or disabled, got on"):
        WandbLogger("on", "p", None, 60, folder=folder, config={})


def test_a_run_that_starts_afresh_while_w_and_b_has_it_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeRun()
    fake.starting_step = 9
    with mirror_of(fake, folder, monkeypatch) as mirror:
        mirror.resume([])
        mirror.log(8, {"train/loss": 1.0})
        mirror.log(9, {"train/loss": 2.0})
    has = "W&B has this run up to step 8, and keeps that; delete its page there"
    assert [record.getMessage() for record in caplog.records] == [f"{has} to log the run afresh"]
    assert fake.calls[1:] == [("log", (9, {"train/loss": 2.0})), ("finish", 0)]


def test_an_evaluation_has_a_page_of_its_own_with_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRun()
    mirror_of(fake, folder, monkeypatch)
    picture = tmp_path / "curve.png"
    Image.new("RGB", (2, 2)).save(picture)
    with WandbLogger("offline", "p", None, 60, folder=folder, config={}, name="test_last") as page:
        page.log(7, {"test/nmi": 0.5})
        page.log_images(7, {"curve": picture})
    (_, own), (_, options), *_, (_, (step, shown)), _ = fake.calls
    assert (own["id"], own["job_type"]) == ("digits_margin_1a2b_s3", "training")
    assert options["id"] == "digits_margin_1a2b_s3_test_last"
    assert (options["group"], options["job_type"]) == ("margin_1a2b", "evaluation")
    assert step == 7
    assert list(shown) == ["pictures/curve"]


def test_a_picture_that_is_missing_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = mirror_of(FakeRun(), folder, monkeypatch)
    with mirror:
        mirror.log_images(7, {"curve": folder / "nowhere.png"})
    assert mirror.failed
    assert "W&B stopped mirroring" in caplog.text
