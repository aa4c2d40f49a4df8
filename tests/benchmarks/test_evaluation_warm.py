"""The warm table has every implementation, with its first call, its warm calls and its imports."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.evaluation import TIMED
from scripts.benchmark import main


@pytest.mark.extended
def test_the_table_tells_warm_calls_from_the_first_one(tmp_path: Path) -> None:
    main(["evaluation_warm", "--sizes", "tiny", "--rounds", "3", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "evaluation_warm_cpu.csv").set_index("implementation")
    assert sorted(table.index) == sorted(TIMED)
    assert (table["rounds"] == 3).all()
    ours = table.loc["our retrieval metrics"]
    assert ours["first_seconds"] >= ours["warm_seconds_min"] > 0
    assert (ours[["compile_seconds", "import_cpu_seconds"]] > 0).all()
