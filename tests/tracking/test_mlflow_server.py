"""MLflow's client and a server that fails or hangs after the run has started."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tracking.mlflow_logger import MlflowLogger

pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client

INFO = {"run_id": "r1", "experiment_id": "1", "status": "RUNNING", "artifact_uri": "/nowhere"}
RUN = {"run": {"info": INFO, "data": {}}}
ANSWERS: dict[str, dict[str, Any]] = {
    "experiments/get-by-name": {"experiment": {"experiment_id": "1", "name": "digits"}},
    "runs/create": RUN,
    "runs/get": RUN,
    "runs/update": {"run_info": INFO},
}


class Handler(BaseHTTPRequestHandler):
    """Answers as a tracking server, until it is told to fail or to hang."""

    server: "Store"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        name = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        self.server.asked[name] += 1
        if "metrics" in body:
            if self.server.trouble == "does not answer":
                self.server.released.wait(60)
            if self.server.trouble == "answers 500":
                return self.answer(500, {"error_code": "INTERNAL_ERROR", "message": "told to fail"})
            self.server.metrics += body["metrics"]
        return self.answer(200, ANSWERS.get(name, {}))

    do_GET = do_POST  # noqa: N815

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Store(ThreadingHTTPServer):
    """What clients sent, and how the server misbehaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.metrics: list[dict[str, Any]] = []
        self.trouble, self.released = "", threading.Event()

    def handle_error(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever, daemon=True)
        thread.start()
        yield store
        store.released.set()
        store.shutdown()
        thread.join()


def tracker_of(server: Store, tmp_path: Path, timeout: float) -> MlflowLogger:
    folder = tmp_path / "runs" / "digits" / "margin_1a2b" / "seed3"
    folder.mkdir(parents=True)
    uri = f"http://127.0.0.1:{server.server_port}"
    return MlflowLogger(uri, "digits", timeout, folder=folder, config={"seed": 3})


def test_records_arrive_at_a_server(server: Store, tmp_path: Path) -> None:
    with tracker_of(server, tmp_path, 60) as tracker:
        tracker.log(1, {"epoch": 0.5, "test/recall@1": 0.25, "test/nmi": None})
    assert not tracker.failed
    sent = {metric["key"]: (metric["step"], metric["value"]) for metric in server.metrics}
    assert sent == {"epoch": (1, 0.5), "test/recall_at_1": (1, 0.25)}
    assert not (tmp_path / "runs" / ".mlflow").exists(), "the local store is not needed"


@pytest.mark.parametrize("trouble", ["answers 500", "does not answer"])
def test_a_server_that_fails_after_the_start_delays_nothing_and_is_told_once(
    trouble: str, server: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = tracker_of(server, tmp_path, 60)
    assert not tracker.failed
    tracker.timeout = 1.0
    server.trouble = trouble
    with caplog.at_level(logging.WARNING, "tracking"), tracker:
        while not tracker.failed:
            began = time.monotonic()
            tracker.log(1, {"train/loss": 0.5})
            assert time.monotonic() - began < 0.5, "the run waited"
            time.sleep(0.05)
        asked = server.asked.total()
        tracker.log(2, {"train/loss": 0.25})
        tracker.finish({"last": {}, "selected": None, "oracle": {}})
    (line,) = [record.getMessage() for record in caplog.records if "MLflow" in record.getMessage()]
    reason = (
        "no answer within 1 s" if trouble == "does not answer" else "too many 500 error responses"
    )
    assert line.startswith("MLflow stopped mirroring (")
    assert reason in line
    assert line.endswith("the run folder has everything")
    assert server.asked.total() == asked, "nothing is sent after the failure"


def test_a_server_that_hangs_at_the_end_is_waited_for_no_longer_than_the_timeout(
    server: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tracker_of(server, tmp_path, 60) as tracker:
        tracker.timeout, server.trouble = 0.5, "does not answer"
        tracker.log(1, {"train/loss": 0.5})
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert "MLflow stopped mirroring (no answer within 0.5 s)" in caplog.text
