import json
from pathlib import Path

import pytest

from core.files import DamagedFileError
from tracking.metrics_log import MetricsLog


@pytest.fixture
def records(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "run" / "metrics.jsonl")


def test_what_is_appended_is_read_in_order(records: MetricsLog) -> None:
    written = [{"step": s, "test/recall@1": 0.1 * s, "spectrum": [1.0, 0.5]} for s in range(3)]
    for record in written:
        records.append(record)
    assert records.read() == written
    assert MetricsLog(records.path).read() == written
    assert [record["test/recall@1"] for record in records.read()] == [0.0, 0.1, 0.2]


def test_numbers_that_are_not_finite_are_strict_json_null(records: MetricsLog) -> None:
    records.append({"a": float("nan"), "b": [1.0, float("inf")], "c": {"d": float("-inf")}})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    line = json.loads(records.path.read_text(), parse_constant=refuse)
    assert line == {"a": None, "b": [1.0, None], "c": {"d": None}}


@pytest.mark.parametrize("half", [b'{"step": 2, "te', b'{"step": 2}', b"\xc3"])
def test_half_a_line_is_not_read_and_the_next_starts_clean(
    records: MetricsLog, half: bytes
) -> None:
    records.append({"step": 1})
    with records.path.open("ab") as file:
        file.write(half)
    assert records.read() == [{"step": 1}]
    again = MetricsLog(records.path)
    again.append({"step": 2})
    assert again.read() == [{"step": 1}, {"step": 2}]
    assert len(records.path.read_bytes().splitlines()) == 2


def test_truncate_drops_what_came_after_a_size(records: MetricsLog) -> None:
    records.append({"step": 1})
    size = records.size
    before = records.path.read_bytes()
    records.append({"step": 2})
    records.truncate(size)
    assert records.path.read_bytes() == before
    records.truncate(10 * size)  # never grows the file
    assert records.path.read_bytes() == before


def test_no_record_at_all(records: MetricsLog) -> None:
    assert records.read() == []
    assert records.size == 0
    assert not records.read()


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b'{"epoch": 1}', b"\0\0\0", b"\xff"])
def test_a_damaged_line_is_named(records: MetricsLog, line: bytes) -> None:
    """A line of metrics.jsonl was edited, or lost to the disk."""
    records.path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(DamagedFileError, match=r"metrics\.jsonl, line 2, is damaged .*force=true"):
        records.read()


def test_looking_at_records_does_not_change_them(records: MetricsLog) -> None:
    records.path.write_bytes(bytes(100))
    assert MetricsLog(records.path).read() == []
    assert records.path.read_bytes() == bytes(100)
