"""The benchmark of starts: what a command takes, and a command that does not do what it should."""

import math
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.start import STARTS, Start, measure, summary
from scripts.benchmark import main


def test_a_command_is_measured_in_cpu_seconds(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done')"
    measured = measure(Start(("-c", burn), "done"), tmp_path, timeout=60)
    assert measured.failure == ""
    assert measured.cpu_seconds == pytest.approx(0.45, abs=0.15)


@pytest.mark.parametrize(
    ("code", "timeout", "failure"),
    [
        ("print('other')", 60, "other"),
        ("", 60, "it printed nothing"),
        ("import time; time.sleep(60)", 1, "not done after 1 s"),
    ],
)
def test_a_command_that_fails_is_a_result(
    tmp_path: Path, code: str, timeout: int, failure: str
) -> None:
    measured = measure(Start(("-c", code), "done"), tmp_path, timeout)
    assert measured.cpu_seconds is None
    assert measured.failure == failure


def test_the_table_has_the_commands_that_were_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.start.STARTS", STARTS | {"finished run": STARTS["help"]})
    main(["start", "--starts", "wrong choice", "help", "--rounds", "1", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "start.csv")
    assert list(table["side"]) == ["wrong choice", "help"]
    assert (table["cpu_seconds_median"] > 0).all()
    assert table["failure"].isna().all()


def test_the_summary_is_relative_to_importing_torch() -> None:
    table = pd.DataFrame({"side": ["import torch", "help"], "cpu_seconds_median": [1.5, 0.3]})
    assert summary(table).splitlines()[-1] == "| help | 0.30 | 0.20 |"
    assert math.isnan(float(summary(table[1:]).splitlines()[-1].split("|")[-2]))
