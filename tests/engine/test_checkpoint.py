"""A checkpoint is whole or it is not used."""

import copy
import random
from contextlib import suppress
from pathlib import Path
from pickle import PicklingError

import numpy as np
import pytest
import torch
from torch import nn

from engine.checkpoint import (
    CheckpointError,
    Checkpoints,
    random_states,
    read_checkpoint,
    restore_random_states,
)
from tracking.metrics_log import MetricsLog


def saved(folder: Path, *steps: int) -> Checkpoints:
    """After each of the steps a record of 12 bytes and a checkpoint, whose weight is the step."""
    records = MetricsLog(folder / "metrics.jsonl")
    checkpoints = Checkpoints(folder, records)
    for step in steps:
        model = nn.Linear(1, 1)
        nn.init.constant_(model.weight, step)
        records.append({"step": step})
        checkpoints.save({"model": model}, step)
    return checkpoints


def restored(checkpoints: Checkpoints) -> tuple[float, int | None]:
    """The weight and the step that a run would go on with."""
    model = nn.Linear(1, 1)
    position = checkpoints.load({"model": model})
    return model.weight.item(), position and position.step


def test_nothing_saved_means_start_at_the_beginning(tmp_path: Path) -> None:
    assert saved(tmp_path).load({}) is None


def test_the_last_one_is_restored(tmp_path: Path) -> None:
    assert restored(saved(tmp_path, 1, 2, 3)) == (3, 3)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "missing"])
def test_a_damaged_one_falls_back_to_the_one_before_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    content = checkpoints.last.read_bytes()
    if damage == "missing":
        checkpoints.last.unlink()
    else:
        middle = content.index(np.float32(2).tobytes())
        flipped = content[:middle] + b"\xff" + content[middle + 1 :]
        checkpoints.last.write_bytes(
            {"cut": content[:-200], "flipped": flipped, "empty": b""}[damage]
        )
    assert restored(checkpoints) == (1, 1)
    assert damage == "missing" or "is damaged" in caplog.text


def test_no_flipped_bit_loads_another_tensor(tmp_path: Path) -> None:
    """A bit of last.pt changed on the disk, 500 times, anywhere in the file."""
    checkpoints = saved(tmp_path, 1)
    content = checkpoints.last.read_bytes()
    rng = random.Random(0)
    loaded = []
    for _ in range(500):
        checkpoints.last.write_bytes(with_flipped_bit(content, rng))
        with suppress(CheckpointError):
            loaded.append(restored(checkpoints))
    assert all(found == (1, 1) for found in loaded)
    assert len(loaded) < 5, "only the length of the checksum is not covered by it"


def test_a_bit_of_an_earlier_version_is_refused_or_harmless(tmp_path: Path) -> None:
    """Before they had a checksum: the directory at the end of the archive raised what it liked."""
    checkpoints = earlier(tmp_path)
    content = checkpoints.last.read_bytes()
    rng = random.Random(0)
    directory = content.index(b"PK\x01\x02")
    for _ in range(300):
        flipped = with_flipped_bit(content[directory:], rng)
        checkpoints.last.write_bytes(content[:directory] + flipped)
        with suppress(CheckpointError):
            read_checkpoint(checkpoints.last)


def with_flipped_bit(content: bytes, rng: random.Random) -> bytes:
    place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def earlier(folder: Path) -> Checkpoints:
    """A checkpoint as it was before it had checksums."""
    checkpoints = saved(folder, 1)
    content = read_checkpoint(checkpoints.last)
    torch.save({**content, "position": content["position"][:2]}, checkpoints.last)
    return checkpoints


def test_a_checkpoint_of_an_earlier_version_is_restored(tmp_path: Path) -> None:
    checkpoints = earlier(tmp_path)
    assert restored(checkpoints) == (1, 1)
    checkpoints.records.truncate(0)
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl ends after 0 of the 12 bytes"):
        restored(checkpoints)


@pytest.mark.parametrize("cut", [1, 71, 73, 95])
def test_a_cut_end_is_no_checkpoint_of_an_earlier_version(tmp_path: Path, cut: int) -> None:
    """The end of the file was lost, the checksum with it."""
    checkpoints = saved(tmp_path, 1)
    checkpoints.last.write_bytes(checkpoints.last.read_bytes()[:-cut])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(checkpoints.last)


@pytest.mark.parametrize("size", [0, 11, 12])
def test_records_of_another_size_are_met_by_an_older_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    """Somebody put back metrics.jsonl as it was after the first step."""
    checkpoints = saved(tmp_path, 1, 2)
    path = checkpoints.records.path
    path.write_bytes(path.read_bytes()[:size])
    if size == 12:
        assert restored(checkpoints) == (1, 1)
        assert f"{path} ends after 12 of the 24 bytes" in caplog.text
    else:
        with pytest.raises(CheckpointError, match=f"{path} ends after 0 of .* force=true"):
            restored(checkpoints)


def test_records_that_changed_are_met_by_an_older_checkpoint(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    path = checkpoints.records.path
    path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    assert restored(checkpoints) == (1, 1)
    path.write_bytes(bytes(24))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl"):
        restored(checkpoints)


def test_a_good_checkpoint_never_gives_way_to_a_bad_one(tmp_path: Path) -> None:
    """last.pt was damaged, and the run went on from previous.pt."""
    checkpoints = saved(tmp_path, 1, 2)
    checkpoints.last.write_bytes(b"")
    restored(checkpoints)
    checkpoints.save({"model": nn.Linear(1, 1)}, 5)
    assert read_checkpoint(checkpoints.previous)["position"][0] == 1
    checkpoints.save({"model": nn.Linear(1, 1)}, 6)
    assert read_checkpoint(checkpoints.previous)["position"][0] == 5


@pytest.mark.parametrize("content", [[1, 2], {}, {"parts": {}, "step": 3}, {"parts": [1]}])
def test_something_else_is_no_checkpoint(tmp_path: Path, content: object) -> None:
    """Somebody copied another file of torch to last.pt, such as a best_*.pt."""
    checkpoints = saved(tmp_path, 1)
    torch.save(content, checkpoints.last)
    with pytest.raises(CheckpointError, match=r"last\.pt is no checkpoint"):
        restored(checkpoints)


def test_a_checkpoint_of_another_run_changes_nothing(tmp_path: Path) -> None:
    """Somebody copied the last.pt of another backbone, or of another loss, into the folder."""

    def parts(width: int, number: int) -> dict[str, nn.Module | torch.optim.Optimizer]:
        layers = [nn.Linear(1, 1), *(nn.Linear(width, 1) for _ in range(number))]
        model = nn.Sequential(*layers)
        return {"model": model, "optimizer": torch.optim.Adam(model.parameters())}

    checkpoints = Checkpoints(tmp_path, MetricsLog(tmp_path / "metrics.jsonl"))
    checkpoints.save(parts(2, 1), 1)
    for mine, reason in (
        (parts(3, 1), r"model: 1\.weight has the shape \(1, 2\) instead of \(1, 3\)"),
        (parts(2, 2), r"model: 2\.bias is missing"),
        (parts(2, 0), r"model: 1\.bias is not of this run"),
        ({"optimizer": parts(2, 0)["optimizer"]}, r"groups of \[4\] parameters instead of \[2\]"),
        ({"criterion": nn.Linear(1, 1)}, "criterion: missing"),
    ):
        before = copy.deepcopy({name: part.state_dict() for name, part in mine.items()})
        with pytest.raises(CheckpointError, match=reason):
            checkpoints.load(mine)
        assert str(before) == str({name: part.state_dict() for name, part in mine.items()})


def test_a_failed_write_leaves_the_last_one_in_place(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)

    class Unsavable:
        def state_dict(self) -> dict[str, object]:
            return {"function": lambda: None}

    with pytest.raises((AttributeError, PicklingError)):
        checkpoints.save({"model": Unsavable()}, 2)  # type: ignore[dict-item]
    assert restored(checkpoints) == (1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "metrics.jsonl"]


def test_random_states_survive_the_round_trip(tmp_path: Path) -> None:
    torch.save(random_states(), tmp_path / "states.pt")

    def draw() -> tuple[float, float, float]:
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    expected = draw()
    restore_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert draw() == expected
