import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.files import DamagedFileError
from tracking.cost import Cost

Clock = Callable[[float], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`clock(s)` lets s seconds pass."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def passed(seconds: float) -> None:
        now[0] += seconds

    return passed


def test_a_run_of_two_processes_costs_what_both_took(tmp_path: Path, clock: Clock) -> None:
    def process() -> Cost:
        return Cost(tmp_path / "cost.json", torch.device("cpu"), "a processor")

    first = process()
    clock(3)  # reads the dataset
    first.save()
    clock(10)
    first.trained(100)
    clock(5)
    first.evaluated()
    clock(0.5)  # writes a checkpoint
    first.save()
    clock(1000)  # killed, and nobody notices

    second = process()
    clock(4)
    second.save()
    clock(30)
    second.trained(500)
    cost = second.save()
    assert cost.pop("peak_memory_gib") > 0.01
    assert cost == {
        "seconds": 52.5,
        "train_seconds": 40.0,
        "evaluation_seconds": 5.0,
        "images_per_second": 15.0,
        "device": "a processor",
        "gpu_hours": 0.0,
    }


def test_a_gpu_is_paid_by_the_hour_it_was_held(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 * 2**30)
    cost = Cost(tmp_path / "cost.json", torch.device("cuda"), "a GPU", devices=2)
    clock(900)
    cost.evaluated()
    clock(900)
    paid = cost.save()
    assert paid["gpu_hours"] == 1.0
    assert paid["seconds"] == 1800
    assert paid["peak_memory_gib"] == 3.0
    assert paid["images_per_second"] is None  # nothing was trained


def test_memory_is_the_largest_of_all_processes(tmp_path: Path) -> None:
    path = tmp_path / "cost.json"
    Cost(path, torch.device("cpu"), "").save()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peak_memory_gib": 99.0}))
    assert Cost(path, torch.device("cpu"), "").save()["peak_memory_gib"] == 99.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ('{"seconds": -999990.0}', "seconds is -999990.0"),
        ('{"images": "many"}', "images is 'many'"),
        ('{"gpu_hours": NaN}', "gpu_hours is nan"),
        ('{"train_seconds": true}', "train_seconds is True"),
    ],
)
def test_what_is_no_cost_is_named(tmp_path: Path, content: str, reason: str) -> None:
    """The clock was set back, or the disk was full, and the totals were wrong without a word."""
    path = tmp_path / "cost.json"
    path.write_text(content)
    with pytest.raises(DamagedFileError, match=f"{path} is damaged .*{reason}.*delete it"):
        Cost(path, torch.device("cpu"), "")
