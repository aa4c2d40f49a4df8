"""PADSMiner hands its policy the state and the reward, and adapts the odds by its factors."""

import io
import math

import pytest
import torch
from torch import Tensor

from batch_mining.pads import PADSMiner
from batch_mining.parametric import ParametricMiner
from core.distance import DotProduct
from tests.batches import batch
from tests.configured import build_miner

FACTORS = [0.5, 1.0, 2.0, 4.0]
NAMES = ("recall@1", "nmi")


class Scripted:
    """A policy that does as it is told and remembers what it saw."""

    def __init__(self, num_inputs: int, num_bins: int, seed: int) -> None:
        assert (num_bins, seed) == (4, 0)
        self.num_inputs = num_inputs
        self.states: list[list[float]] = []
        self.learnt: list[tuple[float, float, list[float]]] = []

    def act(self, state: Tensor) -> Tensor:
        assert state.shape == (self.num_inputs,)
        self.states.append(state.tolist())
        return torch.tensor(FACTORS)

    def learn(self, reward: Tensor, metric: Tensor, next_state: Tensor) -> None:
        self.learnt.append((float(reward), float(metric), next_state.tolist()))


def scripted(**numbers: object) -> PADSMiner:
    given = {"history": 2, "averages": (1, 3), "num_bins": 4, "distribution": "uniform", **numbers}
    return PADSMiner(NAMES, given.pop("reward", NAMES), Scripted, **given)


def probabilities(miner: PADSMiner) -> list[float]:
    return miner.sampler.log_odds.exp().tolist()


def test_the_odds_are_multiplied_by_the_factors() -> None:
    miner = scripted()
    odds = [1.0] * 4
    for _ in range(3):
        miner.adapt({"recall@1": 0.1, "nmi": 0.2}, 0.0)
        odds = [p * a for p, a in zip(odds, FACTORS, strict=True)]
        assert probabilities(miner) == pytest.approx([p / sum(odds) for p in odds], abs=1e-6)


def test_no_bin_dies() -> None:
    miner = scripted()
    for _ in range(200):
        miner.adapt({"recall@1": 0.1, "nmi": 0.2}, 0.0)
    assert min(probabilities(miner)) == pytest.approx(1e-25, rel=1e-3, abs=0)


def test_the_state_is_history_averages_distribution_and_progress() -> None:
    miner = scripted()
    seen = [(0.1, 0.5), (0.2, 0.6), (0.4, 0.7), (0.7, 0.5)]
    history = {0: [0, 0], 1: [0, 1], 2: [1, 2], 3: [2, 3]}
    recent = {0: [0], 1: [0, 1], 2: [0, 1, 2], 3: [1, 2, 3]}
    for t, (recall, nmi) in enumerate(seen):
        before = [p / sum(probabilities(miner)) for p in probabilities(miner)]
        miner.adapt({"recall@1": recall, "nmi": nmi, "other": 9.0}, t / 4)
        averages = [sum(seen[i][m] for i in recent[t]) / len(recent[t]) for m in (0, 1)]
        expected = [*(x for i in history[t] for x in seen[i]), *seen[t], *averages, *before, t / 4]
        assert miner.policy.states[t] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("reward", [NAMES, ["recall@1"]])
def test_the_reward_is_the_sign_of_the_change(reward: list[str]) -> None:
    miner = scripted(reward=reward)
    seen = [(0.1, 0.5), (0.2, 0.3), (0.2, 0.3), (0.1, 0.9)]
    for recall, nmi in seen:
        miner.adapt({"recall@1": recall, "nmi": nmi}, 0.0)
    both = reward == NAMES
    assert [r for r, _, _ in miner.policy.learnt] == ([-1, 0, 1] if both else [1, 0, -1])
    expected = [0.25, 0.25, 0.5] if both else [0.2, 0.2, 0.1]
    assert [metric for _, metric, _ in miner.policy.learnt] == pytest.approx(expected)
    assert [state for *_, state in miner.policy.learnt] == miner.policy.states[1:]


def test_an_undefined_metric_counts_as_zero() -> None:
    miner = scripted()
    miner.adapt({"recall@1": 0.1, "nmi": math.nan}, 0.0)
    assert miner.policy.states[0][:2] == pytest.approx([0.1, 0.0])


def test_it_draws_like_the_parametric_miner() -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 8)
    miner, plain = build_miner("pads"), ParametricMiner()
    for part, other in zip(miner(embeddings, labels), plain(embeddings, labels), strict=True):
        assert part.equal(other)


def test_the_run_sees_no_parameter() -> None:
    assert list(build_miner("pads").parameters()) == []


def measurement(step: int) -> dict[str, float]:
    names = [*(f"recall@{k}" for k in (1, 2, 4, 8)), "nmi", "dists@intra", "dists@inter"]
    return {name: math.sin(step * (number + 1)) for number, name in enumerate(names)}


def test_a_restored_miner_adapts_as_the_saved_one() -> None:
    saved, restored = build_miner("pads"), build_miner("pads", seed=9)
    for step in range(7):
        saved.adapt(measurement(step), step / 20)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    start = saved.sampler.log_odds.clone()
    for step in range(7, 14):
        for miner in (saved, restored):
            miner.adapt(measurement(step), step / 20)
        assert saved.sampler.log_odds.equal(restored.sampler.log_odds)
    assert not saved.sampler.log_odds.equal(start)


@pytest.mark.parametrize("numbers", [{"reward": ["map"]}, {"reward": []}, {"every": 0}])
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        scripted(**numbers)


def test_the_distance_is_that_of_the_draws() -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 4)
    numbers = {"limits": (-5.0, 0.0), "distance": DotProduct()}
    drawn = scripted(**numbers)(embeddings, labels)
    fixed = ParametricMiner("uniform", num_bins=4, **numbers)(embeddings, labels)
    assert drawn.negatives.equal(fixed.negatives)
    products = embeddings @ embeddings.T
    within = (products >= 0) & (products <= 5)
    possible = (within & (labels[:, None] != labels)).any(dim=1)
    assert possible.sum() > 8
    assert within[drawn.anchors, drawn.negatives].equal(possible)
