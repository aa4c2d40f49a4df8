"""Failed starts are listed and removed; whatever else lies below the folder stays."""

import io
from pathlib import Path

import pytest

from scripts.status import main
from sweeps.failed_starts import failed_starts, remove
from sweeps.status import runs_below
from tests.run_folders import write_run
from tracking.run_folder import RunFolder

MEASURED = {"test/recall@1": 0.5}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two failed starts, and runs that failed later, are finished, interrupted or are damaged."""
    write_run(tmp_path, "cub200/margin_00000000/seed0", MEASURED)
    write_run(tmp_path, "cub200/margin_00000000/seed1", error="no such file")
    write_run(tmp_path, "cub200/margin_00000000/seed2", MEASURED, error="the loss is nan")
    saved = write_run(tmp_path, "cub200/margin_00000000/seed3", error="killed")
    saved.checkpoints.mkdir()
    (saved.checkpoints / "last.pt").write_bytes(b"weights")
    interrupted = write_run(tmp_path, "cub200/margin_00000000/seed4", error="once")
    interrupted.write_json(interrupted.status, {"state": "interrupted"})
    damaged = write_run(tmp_path, "cub200/margin_00000000/seed5", error="once")
    damaged.metrics.write_text("\0\n")
    refused = tmp_path / "sop" / "triplet_00000001" / "seed0"
    refused.mkdir(parents=True)
    (refused / "output.log").write_text("error: no such key\n")
    return tmp_path


def names(runs: Path) -> list[str]:
    return sorted(str(path.relative_to(runs)) for path in runs.glob("*/*/seed*"))


def test_a_failed_start_has_neither_an_evaluation_nor_a_checkpoint(runs: Path) -> None:
    found = [str(folder.path.relative_to(runs)) for folder in failed_starts(runs_below(runs))]
    assert found == ["cub200/margin_00000000/seed1", "sop/triplet_00000001/seed0"]


def test_they_are_removed_with_the_folders_that_they_leave_empty(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(runs)
    main([str(runs), "--clean", "--yes"])
    said = capsys.readouterr().out
    assert "no such file" in said, "the reason"
    assert "error: no such key" in said
    assert said.splitlines()[-1] == "2 of 2 folders are removed"
    gone = {"cub200/margin_00000000/seed1", "sop/triplet_00000001/seed0"}
    assert names(runs) == [name for name in before if name not in gone]
    assert not (runs / "sop").exists()
    main([str(runs), "--clean", "--yes"])
    assert capsys.readouterr().out == "no run failed before its first evaluation\n"


@pytest.mark.parametrize(
    ("answer", "left"), [("y\n", 5), ("yes\n", 5), ("n\n", 7), ("\n", 7), ("", 7)]
)
def test_it_asks_before(
    answer: str, left: int, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    main([str(runs), "--clean"])
    assert len(names(runs)) == left


def test_a_run_that_a_process_writes_is_never_removed(runs: Path) -> None:
    folder = RunFolder(runs / "cub200" / "margin_00000000" / "seed1")
    with folder.locked():
        assert folder.path not in [one.path for one in failed_starts(runs_below(runs))]
        assert not remove(RunFolder(folder.path))
    assert folder.config.exists()


def test_a_run_that_began_again_after_the_question_is_not_removed(runs: Path) -> None:
    folder = RunFolder(runs / "cub200" / "margin_00000000" / "seed1")
    folder.write_json(folder.status, {"state": "interrupted"})
    assert not remove(folder)
    assert folder.config.exists()


def test_yes_alone_is_refused(runs: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(runs), "--yes"])
