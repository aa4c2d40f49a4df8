"""A server on the loopback address that speaks the part of W&B's API its real client uses.

It keeps what clients send, and gives it out again: a run is made by `UpsertBucket`, its history and
summary arrive at `file_stream`, its files by PUT; `Api().runs` lists it and `HistoryPage` reads it.
Anything else gets an empty answer. It can be told to fail, to be slow and to repeat itself.
"""

import gzip
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "team"
FEATURES = ("PROJECT_INTERNAL_ID", "EXPAND_DEFINED_METRIC_GLOBS")


@dataclass
class StoredRun:
    """What a client told about one run."""

    name: str
    project: str
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    state: str = "running"
    group: str | None = None
    job_type: str | None = None
    display_name: str | None = None
    tags: list[str] = field(default_factory=list)
    commit: str | None = None

    @property
    def last_step(self) -> int:
        return max((row["_step"] for row in self.history), default=-1)


class WandbServer:
    """The store, and how it misbehaves.

    Attributes:
        runs: what clients made, by id.
        asked: how often each operation was.
        fail: operation -> how many more times it answers 500.
        spare: operation -> answers that it gives before it begins to fail.
        slow: operation -> seconds before every answer.
        overlap: rows that every page of history repeats from the one before.
        repeat: runs that every page of runs repeats from the one before.
        lose: rows at the end of every history that it counts and never gives.
    """

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.asked: Counter[str] = Counter()
        self.fail: dict[str, int] = {}
        self.slow: dict[str, float] = {}
        self.spare: dict[str, int] = {}
        self.overlap = 0
        self.repeat = 0
        self.lose = 0
        self.url = ""

    def graphql(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        answer = getattr(self, f"answer_{operation}", None)
        return answer(given) if answer else {}

    def answer_RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.runs.get(given["name"])
        found = run and {
            "id": run.name,
            "name": run.name,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.display_name,
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
            "eventsTail": "[]",
            "config": json.dumps(run.config),
            "tags": run.tags,
            "notes": None,
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {"id": "p", "name": given["project"], **OWNER, "bucket": found}}

    def answer_UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], StoredRun(given["name"], given["project"]))
        run.state = "running"
        run.config = json.loads(given["config"]) if given["config"] else run.config
        run.group, run.job_type = given["groupName"] or run.group, given["jobType"] or run.job_type
        run.display_name = given["displayName"] or run.display_name
        run.tags, run.commit = given["tags"] or run.tags, given["commit"] or run.commit
        bucket = {
            "id": run.name,
            "name": run.name,
            "displayName": run.display_name,
            "description": None,
            "config": json.dumps(run.config),
            "sweepName": None,
            "project": {"id": "p", "name": run.project, **OWNER},
            "historyLineCount": len(run.history),
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def answer_CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        urls = [f"{self.url}/upload/{given['run']}/{name}" for name in given["files"]]
        files = [{"name": n, "uploadUrl": u} for n, u in zip(given["files"], urls, strict=True)]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def answer_ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        features = [{"name": name, "isEnabled": True} for name in FEATURES]
        return {"serverInfo": {"features": features}}

    def answer_Viewer(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        return {
            "viewer": {"id": "u", "entity": ENTITY, "username": "u", "flags": "{}", "teams": teams}
        }

    def answer_GetDefaultEntity(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"viewer": {"id": "u", "entity": ENTITY}}

    def answer_Runs(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """A page of the runs of a project; the cursor is the index of the next one."""
        runs = [run for run in self.runs.values() if run.project == given["project"]]
        first = max(int(given["cursor"] or 0) - self.repeat, 0)
        page = list(enumerate(runs))[first : first + given["perPage"]]
        edges = [{"node": shown(run), "cursor": str(index + 1)} for index, run in page]
        end = first + len(page)
        info = {"endCursor": str(end), "hasNextPage": end < len(runs)}
        listing = {"edges": edges, "pageInfo": info}
        project = {"internalId": "1", "runCount": len(runs), "readOnly": False, "runs": listing}
        return {"project": project}

    def answer_Run(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"run": shown(self.runs[given["name"]])}}

    def answer_RunHistoryKeys(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        last = self.runs[given["name"]].last_step
        return {"project": {"run": {"historyKeys": {"lastStep": last}}}}

    def answer_RunParquetHistory(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}

    def answer_HistoryPage(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        low, high = given["minStep"] - self.overlap, given["maxStep"]
        history = self.runs[given["run"]].history
        given_out = history[: len(history) - self.lose]
        rows = [row for row in given_out if low <= row["_step"] < high]
        return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}

    def stream(self, name: str, told: dict[str, Any]) -> dict[str, Any]:
        """History, summary and the end of a run."""
        run = self.runs[name]
        for file, part in told.get("files", {}).items():
            lines = [json.loads(line) for line in part["content"] if line.startswith("{")]
            if file == "wandb-history.jsonl":
                run.history[part["offset"] :] = lines
            elif file == "wandb-summary.json":
                run.summary = lines[-1]
        if told.get("complete"):
            run.state = "finished" if told.get("exitcode") == 0 else "failed"
        return {"limits": {}}


OWNER = {"entity": {"id": "e", "name": ENTITY}}


def shown(run: StoredRun) -> dict[str, Any]:
    """A run as a listing has it."""
    return {
        "projectId": "1",
        "id": run.name,
        "name": run.name,
        "displayName": run.display_name,
        "tags": run.tags,
        "sweepName": None,
        "state": run.state,
        "group": run.group,
        "jobType": run.job_type,
        "commit": run.commit,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00Z",
        "heartbeatAt": "2026-01-01T00:00:00Z",
        "description": None,
        "notes": None,
        "historyLineCount": len(run.history),
        "user": {"name": "u", "username": "u"},
        "config": json.dumps(run.config),
        "summaryMetrics": json.dumps(run.summary),
        "systemMetrics": "{}",
        "historyKeys": {"lastStep": run.last_step},
    }


def operation_of(query: dict[str, Any]) -> str | None:
    """The name of a GraphQL query or mutation."""
    found = re.search(r"(?:query|mutation)\s+(\w+)", query.get("query", ""))
    return found[1] if found else None


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of the store, which is `wandb` of the server."""

    protocol_version = "HTTP/1.1"
    server: "Quiet"

    def do_POST(self) -> None:
        wandb = self.server.wandb
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        stream = re.fullmatch(r"/files/.*/([^/]+)/file_stream", self.path)
        query = json.loads(body) if self.path == "/graphql" else {}
        operation = "file_stream" if stream else operation_of(query) or self.path
        wandb.asked[operation] += 1
        time.sleep(wandb.slow.get(operation, 0))
        if wandb.fail.get(operation, 0) > 0 and wandb.asked[operation] > wandb.spare.get(
            operation, 0
        ):
            wandb.fail[operation] -= 1
            return self.answer(500, {"error": "told to fail"})
        if stream:
            content = wandb.stream(stream[1], json.loads(body))
        else:
            content = {"data": wandb.graphql(operation, query.get("variables") or {})}
        return self.answer(200, content)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, _, name, *file = self.path.split("/")
        self.server.wandb.runs[name].files["/".join(file)] = body
        self.answer(200, {})

    def do_GET(self) -> None:
        self.answer(404, {})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Quiet(ThreadingHTTPServer):
    """A client that gives up is nothing to write about."""

    daemon_threads = True
    wandb: WandbServer

    def handle_error(self, *_: object) -> None: ...


@contextmanager
def serving(server: WandbServer) -> Iterator[WandbServer]:
    """The server, while it answers at `server.url`."""
    with Quiet(("127.0.0.1", 0), Handler) as http:
        http.wandb = server
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
