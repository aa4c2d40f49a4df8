"""A checkpoint is whole or it is not used."""

import random
from pathlib import Path
from pickle import PicklingError

import numpy as np
import pytest
import torch
from torch import nn

from engine.checkpoint import Checkpoints, Position, random_states, restore_random_states


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        model = nn.Linear(1, 1)
        nn.init.constant_(model.weight, step)
        checkpoints.save({"model": model}, Position(step, 10 * step))
    return checkpoints


def restored(checkpoints: Checkpoints) -> tuple[float, Position | None]:
    model = nn.Linear(1, 1)
    position = checkpoints.load({"model": model})
    return model.weight.item(), position


def test_nothing_saved_means_start_at_the_beginning(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path).load({}) is None


def test_the_last_one_is_restored(tmp_path: Path) -> None:
    assert restored(saved(tmp_path, 1, 2, 3)) == (3, Position(3, 30))


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
    assert restored(checkpoints) == (1, Position(1, 10))
    assert damage == "missing" or "is damaged" in caplog.text


def test_a_failed_write_leaves_the_last_one_in_place(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)

    class Unsavable:
        def state_dict(self) -> dict[str, object]:
            return {"function": lambda: None}

    with pytest.raises((AttributeError, PicklingError)):
        checkpoints.save({"model": Unsavable()}, Position(2))  # type: ignore[dict-item]
    assert restored(checkpoints) == (1, Position(1, 10))
    assert sorted(path.name for path in tmp_path.glob("*.pt*")) == ["last.pt"]


def test_random_states_survive_the_round_trip(tmp_path: Path) -> None:
    torch.save(random_states(), tmp_path / "states.pt")

    def draw() -> tuple[float, float, float]:
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    expected = draw()
    restore_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert draw() == expected
