"""The real W&B client against a server on the loopback address: runs written, synced, read back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from core.errors import UserError
from reporting.readers import wandb_runs
from reporting.readers.run_folders import read_folders
from reporting.readers.wandb_runs import read_wandb
from reporting.run import Run
from scripts.aggregate import main
from tests.wandb_server import StoredRun, WandbServer, serving

ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef01234567"  # planted, of the form of a real one
ROWS = 1200  # more than the 500 of a sampled history and the 1000 of a page
PROJECT = "team/p"


def environment(url: str, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    own = {"WANDB_BASE_URL": url, "WANDB_API_KEY": KEY, "WANDB_X_GRAPHQL_RETRY_MAX": "1"}
    return {**kept, **own, "HOME": str(home), "WANDB_CACHE_DIR": str(home), "WANDB_SILENT": "true"}


def client(server: WandbServer, home: Path, *arguments: str | Path) -> str:
    """A process that uses W&B; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=environment(server.url, home),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wandb")


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Iterator[WandbServer]:
    """A server to which two runs were logged online, one is still running, one was synced."""
    record = "tests.reporting.record_runs"
    with serving(WandbServer()) as server:
        client(
            server,
            folder,
            record,
            folder / "runs",
            "online",
            "margin_1a2b3c4d",
            "0:6,1:5,2:5!",
        )
        client(server, folder, record, folder / "runs", "offline", "triplet_1a2b3c4d", "0:5")
        (log,) = (folder / "runs").glob("digits/triplet*/seed0/wandb/offline-run-*")
        client(server, folder, "wandb", "sync", log)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment(server.url, folder).items():
                patch.setenv(name, value)
            yield server
            import wandb

            wandb.teardown()


@pytest.fixture
def server(recorded: WandbServer) -> Iterator[WandbServer]:
    """The same, well-behaved again after each test."""
    runs = deepcopy(recorded.runs)
    recorded.asked.clear()
    yield recorded
    recorded.runs, recorded.overlap, recorded.repeat = runs, 0, 0
    recorded.fail.clear()
    recorded.spare.clear()
    recorded.slow.clear()


def numbers(run: Run) -> list[dict[str, object]]:
    """The records without the times, which W&B takes itself, and lists, which it cannot give."""
    return [
        {k: v for k, v in record.items() if k != "time" and not isinstance(v, list)}
        for record in run.records
    ]


@pytest.mark.extended
@pytest.mark.usefixtures("server")
def test_what_was_recorded_is_what_comes_back(folder: Path, tmp_path: Path) -> None:
    local = {run.name: run for run in read_folders(folder / "runs")}
    remote = {run.name: run for run in read_wandb(PROJECT, tmp_path, False)}
    assert list(local) == list(remote)
    for name in ("digits/margin_1a2b3c4d/seed0", "digits/margin_1a2b3c4d/seed1"):
        here, there = local[name], remote[name]
        assert numbers(there) == numbers(here)
        assert there.readings["last"] == {
            k: v for k, v in (here.readings["last"] or {}).items() if not isinstance(v, list)
        }
        assert there.readings["selected"] is None
        assert (there.cost, there.commit) == (here.cost, here.commit)
        assert there.overrides == here.overrides == ["loss.margin=0.2", "group='a b'"]
        assert there.config["loss"] == here.config["loss"]
    assert remote["digits/margin_1a2b3c4d/seed2"].state == "running"


def add_long(server: WandbServer) -> None:
    """A finished run of `ROWS` rows, as if it had been recorded."""
    long = deepcopy(server.runs["digits_triplet_1a2b3c4d_s0"])
    long.name, long.group = "digits_long_1a2b3c4d_s0", "long_1a2b3c4d"
    steps = range(1, ROWS + 1)
    long.history = [{"_step": s, "epoch": s / 10, "train/loss": 1 / s} for s in steps]
    server.runs = {long.name: long}


@pytest.mark.extended
@pytest.mark.parametrize("trouble", ["none", "pages overlap", "one error 500 in the middle"])
def test_a_long_history_arrives_whole(trouble: str, server: WandbServer, tmp_path: Path) -> None:
    add_long(server)
    server.overlap = 7 if trouble == "pages overlap" else 0
    server.fail["HistoryPage"] = int(trouble == "one error 500 in the middle")
    server.spare["HistoryPage"] = 1
    (run,) = read_wandb(PROJECT, tmp_path, False)
    assert [record["step"] for record in run.records] == list(range(1, ROWS + 1))
    assert run.records[-1]["train/loss"] == 1 / ROWS
    assert run.state == "finished"
    assert server.asked["HistoryPage"] == 2 + (trouble == "one error 500 in the middle"), (
        "two pages"
    )


@pytest.mark.extended
@pytest.mark.parametrize(
    ("trouble", "pages"),
    [("none", 2), ("pages overlap", 3), ("one error 500 in the middle", 2)],
)
def test_every_page_of_runs_arrives_and_each_run_counts_once(
    trouble: str,
    pages: int,
    server: WandbServer,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wandb_runs, "PER_PAGE", 2)
    server.repeat = int(trouble == "pages overlap")
    server.fail["Runs"] = failures = int(trouble == "one error 500 in the middle")
    server.spare["Runs"] = 1
    names = [run.name for run in read_wandb(PROJECT, tmp_path, False)]
    assert names == [run.name for run in read_folders(folder / "runs")]
    assert server.asked["Runs"] == pages + failures
    assert server.asked["RunParquetHistory"] == len(names) == 4


@pytest.mark.extended
def test_a_synced_offline_run_is_like_any_other(
    server: WandbServer, folder: Path, tmp_path: Path
) -> None:
    stored = server.runs["digits_triplet_1a2b3c4d_s0"]
    assert stored.state == "finished"
    (run,) = [run for run in read_wandb(PROJECT, tmp_path, False) if "triplet" in run.group]
    (local,) = [run for run in read_folders(folder / "runs") if "triplet" in run.group]
    assert numbers(run) == numbers(local)


@pytest.mark.extended
def test_the_table_is_the_same_and_the_second_time_offline(
    server: WandbServer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--metrics",
        "recall@1",
        "nmi",
        "--allow-missing",
        "--cost",
        "--cache",
        str(tmp_path),
    ]
    main([str(folder / "runs"), *options])
    expected = capsys.readouterr()
    assert "| margin | **55.5** ± 7.8 (n=2) |" in expected.out
    assert "left out: digits/margin_1a2b3c4d/seed2 (running)" in expected.err
    for asked in (True, False):
        server.asked.clear()
        main([f"wandb={PROJECT}", *options])
        assert capsys.readouterr() == expected
        assert bool(server.asked["Runs"]) is asked
        server.fail["Runs"] = 10**6  # a call that asks would fail
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]


@pytest.mark.extended
def test_a_run_that_goes_on_is_an_error_that_names_it(server: WandbServer, tmp_path: Path) -> None:
    server.runs = {name: run for name, run in server.runs.items() if "margin" in name}
    with pytest.raises(SystemExit, match=r"missing digits/margin_1a2b3c4d/seed2 \(running\)"):
        main([f"wandb={PROJECT}", "--cache", str(tmp_path)])


@pytest.mark.extended
@pytest.mark.parametrize("trouble", ["error 500", "error 500 on the second page", "time-out"])
def test_a_server_that_stays_away_is_one_line_and_what_arrived_is_kept(
    trouble: str, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(server.runs)
    late = server.runs.pop(names[-1])
    list(read_wandb(PROJECT, tmp_path, False))
    server.runs[names[-1]] = late
    if trouble == "error 500":
        server.fail["HistoryPage"] = 10**6
    elif trouble == "error 500 on the second page":
        monkeypatch.setattr(wandb_runs, "PER_PAGE", 2)
        server.fail["Runs"] = 10**6
        server.spare["Runs"] = 1
        server.asked.clear()
    else:
        server.slow["HistoryPage"] = 20
        monkeypatch.setattr(wandb_runs, "PATIENCE", 5)  # enough for the listing
    with pytest.raises(UserError, match=f"stopped answering .* {len(names) - 1} runs of team/p"):
        list(read_wandb(PROJECT, tmp_path, refresh=True))
    server.fail.clear()
    server.slow.clear()
    server.asked.clear()
    assert len(list(read_wandb(PROJECT, tmp_path, refresh=True))) == len(names)
    assert server.asked["RunParquetHistory"] == 1, "only the run that was missing is downloaded"


@pytest.mark.extended
def test_a_history_with_a_hole_is_not_called_finished(server: WandbServer, tmp_path: Path) -> None:
    server.lose = 1  # rows that the server counts and does not give
    runs = [run for run in read_wandb(PROJECT, tmp_path, False) if run.seed == 0]
    server.lose = 0
    assert runs[0].state == "incomplete: 7 of 8 rows"


@pytest.mark.extended
def test_runs_of_others_are_left_out(
    server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.runs["foreign"] = StoredRun("foreign", "p", state="finished", job_type="training")
    evaluation = deepcopy(server.runs["digits_triplet_1a2b3c4d_s0"])
    evaluation.name, evaluation.job_type = "evaluation", "evaluation"
    server.runs["evaluation"] = evaluation
    names = [run.name for run in read_wandb(PROJECT, tmp_path, False)]
    assert len(names) == 4
    assert "left out, no training of this project: foreign, evaluation" in capsys.readouterr().err


@pytest.mark.extended
def test_a_project_of_a_stranger_is_data(
    server: WandbServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user tabulates a project whose runs name other code, other folders and no numbers."""
    cache, marker = tmp_path / "cache", tmp_path / "executed"
    honest = server.runs["digits_margin_1a2b3c4d_s0"]
    code = {"_target_": "sympy.sympify", "a": f"open({str(marker)!r}, 'w')"}
    changes: dict[str, dict[str, object]] = {
        "evil_s0": {"config": honest.config | {"metric": {"recall@1": code}, "loss": code}},
        "group_s0": {"group": "../../../out"},
        "runs": {},
        "text_s0": {"history": [{"_step": 1, "epoch": "one", "test/recall@1": 0.5}]},
        "huge_s0": {"history": [{"_step": 1, "epoch": 1.0, "test/recall@1": 10**30}]},
        "shape_s0": {"config": honest.config | {"backbone": [1]}},
        "select_s0": {"config": honest.config | {"evaluation": {"select_on": "recall@1"}}},
    }
    server.runs = {"digits_margin_1a2b3c4d_s0": honest}
    for name, change in changes.items():
        own = deepcopy(honest)
        own.name, own.group = name, name
        vars(own).update(change)
        server.runs[name] = own
    main([f"wandb={PROJECT}", "--metrics", "recall@1", "--cache", str(cache)])
    told = capsys.readouterr()
    assert not marker.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["cache"]
    assert "| margin | " in told.out
    assert "| evil_s0 | " in told.out
    for name in ("runs", "text_s0", "shape_s0", "select_s0"):
        assert name not in told.out
        (line,) = [line for line in told.err.splitlines() if name in line]
        assert line.startswith("left out")
