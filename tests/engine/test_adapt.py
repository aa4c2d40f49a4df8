"""Parts of a criterion hear of the validation split when they asked to, and never too late."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.config.errors import ConfigurationError
from engine.validation_feedback import feedback_loop
from tests.configured import build_loss
from tests.test_main import assert_same, finished, only, records, run, state

METRICS = ["recall@1", "nmi"]


class Listener(nn.Module):
    def __init__(self, every: int, metrics: list[str]) -> None:
        super().__init__()
        self.every, self.metrics = every, metrics
        self.heard: list[tuple[Mapping[str, float], float]] = []

    def adapt(self, metrics: Mapping[str, float], progress: float) -> None:
        self.heard.append((metrics, progress))


def measure(splits: Mapping[str, object]) -> dict[str, float]:
    """Numbers, and in the name of the set what was measured."""
    assert list(splits) == ["val"]
    return {f"{split}/recall@1": 0.5 for split in splits}


def test_each_part_hears_the_metrics_at_its_own_steps() -> None:
    often, rarely = Listener(2, ["recall@1"]), Listener(4, [])
    criterion = nn.Sequential(nn.Linear(1, 1), nn.Sequential(often), rarely)
    splits = {"train": 0, "val": 1, "test": 2}
    adapt = feedback_loop(criterion, splits, measure, METRICS, total_steps=10)
    for step in range(1, 9):
        adapt(step)
    assert often.heard == [({"recall@1": 0.5}, step / 10) for step in (2, 4, 6, 8)]
    assert rarely.heard == [({"recall@1": 0.5}, step / 10) for step in (4, 8)]


def test_nothing_is_measured_when_nobody_listens() -> None:
    def never(_splits: Mapping[str, object]) -> dict[str, float]:
        raise AssertionError

    feedback_loop(build_loss("triplet", "distance"), {"val": 0}, never, METRICS, 10)(5)
    feedback_loop(Listener(4, []), {"val": 0}, never, METRICS, 10)(5)
    feedback_loop(nn.Linear(1, 1), {}, never, METRICS, 10)(5)


def test_the_policy_of_a_miner_is_found_in_its_loss() -> None:
    loss = build_loss("triplet", "pads")
    with pytest.raises(ConfigurationError, match=r"dists@inter, dists@intra, recall@2"):
        feedback_loop(loss, {"val": 0}, measure, METRICS, 10)


def test_without_a_validation_split_there_is_no_listening() -> None:
    with pytest.raises(ConfigurationError, match="validation=samples"):
        feedback_loop(Listener(4, []), {"test": 0}, measure, METRICS, 10)


PADS = (
    "dataset=digits",
    "tracker.mode=disabled",
    "metric=[recall,nmi,dists]",
    "loss=triplet",
    "batchminer=pads",
    "batchminer.every=4",
    "trainer.iterations=20",
    "trainer.evaluate_every_iterations=10",
    "trainer.checkpoint_every=4",
    "trainer.workers=0",
)


def test_a_run_without_a_validation_split_stops_before_it_trains(tmp_path: Path) -> None:
    done = run(tmp_path, *PADS, "validation=none")
    assert done.returncode != 0
    assert done.stderr.startswith("error: PADSMiner learns from a validation split")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.extended
def test_an_interrupted_run_resumes_with_the_same_policy(tmp_path: Path) -> None:
    """Resumed at step 16 of 20, right after an adaptation; that of step 20 is learnt from it."""
    reference = finished(tmp_path / "reference", *PADS, "validation=samples")
    folder = finished(tmp_path / "resumed", *PADS, "validation=samples")
    (folder / "summary.json").unlink()
    (folder / "status.json").write_text(json.dumps({"state": "running"}))
    last = folder / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes()[:-100])
    again = run(tmp_path / "resumed", *PADS, "validation=samples")
    assert again.returncode == 0, again.stderr
    assert "is damaged" in again.stderr
    assert_same(state(reference), state(only(tmp_path / "resumed")))
    assert records(reference) == records(folder)
    content = torch.load(reference / "checkpoints" / "last.pt", weights_only=True)
    policy = content["parts"]["criterion"]["miner._extra_state"]["policy"]
    assert policy["steps"] == 4, "the first of five adaptations has nothing to learn from"
