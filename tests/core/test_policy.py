"""Policy against the gradient of PPO by hand, and on a task that can be learnt."""

import io
import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from core.policy import Policy
from tests.batches import chi_square_p

STATE, NEXT = torch.tensor([1.0, -0.5]), torch.tensor([0.3, 0.8])


def linear(**numbers: object) -> Policy:
    """Without hidden layers: 2 inputs, 2 bins of 3 actions, 7 outputs."""
    return Policy(2, 2, hidden=[], seed=1, **numbers)


def softmax(logits: list[float]) -> list[float]:
    total = sum(map(math.exp, logits))
    return [math.exp(x) / total for x in logits]


def outputs(network: torch.nn.Module, state: Tensor) -> tuple[list[list[float]], float]:
    """Probabilities of the actions of each bin, and the value, from the weights."""
    layer = network[-1]
    values = [
        sum(w * s for w, s in zip(row, state.tolist(), strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]
    return [softmax(values[:3]), softmax(values[3:6])], values[6]


@pytest.mark.parametrize("value_target", ["return", "metric"])
@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_learns_along_the_gradient_of_ppo(reward: float, value_target: str) -> None:
    policy = linear(lr=0.3, ratio=0.1, refresh=3, value_target=value_target)
    assert outputs(policy.older, STATE) == outputs(policy.network, STATE)
    clipped = 0
    for _ in range(8):
        policy.act(STATE)
        _, drawn = policy.last
        now, value = outputs(policy.network, STATE)
        before, _ = outputs(policy.older, STATE)
        returned = reward + 0.99 * outputs(policy.network, NEXT)[1]
        advantage = returned - value
        expected = []
        for k, a in enumerate(drawn[:, 0].tolist()):
            rho = now[k][a] / before[k][a]
            flat = rho > 1.1 if advantage > 0 else rho < 0.9
            clipped += flat
            slope = 0 if flat else -advantage * rho / 2
            expected += [slope * ((a == b) - now[k][b]) for b in range(3)]
        expected.append(value - (0.25 if value_target == "metric" else returned))
        policy.learn(torch.tensor(reward), torch.tensor(0.25), NEXT)
        assert policy.network[-1].bias.grad.tolist() == pytest.approx(expected, abs=1e-5)
        weights = policy.network[-1].weight.grad
        assert torch.allclose(weights, torch.tensor(expected)[:, None] * STATE, atol=1e-5)
    assert clipped, "the bound was in force"


def test_actions_follow_their_probabilities() -> None:
    policy = linear()
    probabilities, _ = outputs(policy.network, STATE)
    drawn = Counter(float(policy.act(STATE)[1]) for _ in range(2000))
    counts = [drawn[float(factor)] for factor in policy.actions]
    assert chi_square_p(counts, probabilities[1]) > 0.001


def test_what_is_rewarded_is_done_more_often() -> None:
    """Bin 0 should shrink and bin 1 should grow."""
    policy = Policy(2, 2, hidden=(16,), discount=0.0, seed=0)
    for _ in range(300):
        factors = policy.act(STATE)
        good = (factors[0] < 1).float() + (factors[1] > 1).float()
        policy.learn(good - 1, good - 1, STATE)
    shares = torch.stack([policy.act(STATE) for _ in range(100)])
    assert (shares[:, 0] < 1).float().mean() > 0.8
    assert (shares[:, 1] > 1).float().mean() > 0.8


def test_a_restored_policy_goes_on_to_the_last_bit() -> None:
    saved, restored = (Policy(2, 2, seed=seed) for seed in (0, 5))

    def advance(policy: Policy, rounds: int) -> list[Tensor]:
        taken = []
        for number in range(rounds):
            taken.append(policy.act(STATE * number))
            policy.learn(torch.tensor((-1.0) ** number), torch.tensor(0.5), NEXT)
        return [*taken, *policy.network.parameters(), *policy.older.parameters()]

    advance(saved, 7)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for one, other in zip(advance(saved, 7), advance(restored, 7), strict=True):
        assert one.equal(other)


def test_it_starts_from_its_seed_and_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    one, twin, other = (Policy(2, 2, seed=seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(before)
    weights = [next(policy.network.parameters()) for policy in (one, twin, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_without_an_action_there_is_nothing_to_learn_from() -> None:
    policy = linear()
    before = outputs(policy.network, STATE)
    policy.learn(torch.tensor(1.0), torch.tensor(1.0), NEXT)
    assert outputs(policy.network, STATE) == before


@pytest.mark.parametrize("numbers", [{"actions": (0.0, 1.0)}, {"value_target": "reward"}])
def test_impossible_settings_are_an_error(numbers: dict[str, object]) -> None:
    (name,) = numbers
    with pytest.raises(ValueError, match=f"^{name} must"):
        Policy(2, 2, **numbers)
