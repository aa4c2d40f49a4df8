"""Policy learned by reinforcement (PPO) that multiplies the odds of a distribution."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

import torch
from annotated_types import MinLen
from torch import Tensor, nn

from core.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Seed, Size

ValueTarget = Literal["return", "metric"]


class Policy:
    """Policy: draws factors for the odds of each bin in a state s, and learns from a reward by PPO.

    A network with two heads gives the logits of the actions for each bin, and the value V(s).
    Learning takes one step of Adam on

        0.5 (V(s) - target)² - 1/K Σ_k min(ρ_k A, clip(ρ_k, 1 - ratio, 1 + ratio) A)

    with the surrogate of Schulman et al. 2017, https://arxiv.org/abs/1707.06347. ρ_k is the
    probability of the action drawn for bin k divided by that of the older policy, and the advantage
    is A = r + γ V(s') - V(s). The policy stays on the CPU and has its own optimizer.

    Args:
        num_inputs: size of a state.
        num_bins: number of factors to draw, K.
        actions: the factors to choose from, > 0.
        hidden: rectified units of each layer.
        lr: of Adam.
        discount: γ.
        ratio: see above, > 0.
        refresh: steps after which the older policy is replaced by the current one.
        value_target: "return", r + γ V(s'), or "metric", the reward metric itself.
        seed: of the weights and the actions.
    """

    def __init__(
        self,
        num_inputs: int,
        num_bins: int,
        actions: Annotated[Sequence[PositiveFloat], MinLen(1)] = (0.8, 1.0, 1.25),
        hidden: Sequence[Size] = (128, 128),
        lr: NonNegativeFloat = 0.01,
        discount: Fraction = 0.99,
        ratio: PositiveFloat = 0.2,
        refresh: PositiveInt = 5,
        value_target: ValueTarget = "return",
        seed: Seed = 0,
    ) -> None:
        if min(actions) <= 0:
            raise ValueError(f"actions must be positive factors, got {actions}")
        if value_target not in get_args(ValueTarget):
            raise ValueError(
                f"value_target must be one of {get_args(ValueTarget)}, got {value_target!r}"
            )
        self.actions, self.num_bins = torch.tensor(list(actions)), num_bins
        self.discount, self.ratio, self.refresh = discount, ratio, refresh
        self.value_target = value_target
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network, self.older = (self._network(num_inputs, hidden) for _ in range(2))
            self.generator = torch.Generator()
            self.generator.set_state(torch.get_rng_state())
        self.older.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=lr)
        self.last: tuple[Tensor, Tensor] | None = None  # state, and the actions taken in it
        self.steps = 0

    def _network(self, num_inputs: int, hidden: Sequence[int]) -> nn.Module:
        sizes = [num_inputs, *hidden]
        layers = [
            layer
            for size, next_size in pairwise(sizes)
            for layer in (nn.Linear(size, next_size), nn.ReLU())
        ]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], len(self.actions) * self.num_bins + 1))

    def evaluate(self, network: nn.Module, state: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the actions of each bin, (K, A), and the value of the state."""
        outputs = network(state)
        return outputs[:-1].view(self.num_bins, len(self.actions)).log_softmax(dim=1), outputs[-1]

    def act(self, state: Tensor) -> Tensor:
        """Draws factors of the odds in a state, (K,), and keeps the actions for `learn`."""
        with torch.no_grad():
            log_probabilities, _ = self.evaluate(self.network, state)
        drawn = torch.multinomial(log_probabilities.exp(), 1, generator=self.generator)
        self.last = state, drawn
        return self.actions[drawn[:, 0]]

    def learn(self, reward: Tensor, metric: Tensor, next_state: Tensor) -> None:
        """Takes one step of PPO on the outcome of the last actions."""
        if self.last is None:
            return
        state, drawn = self.last
        with torch.enable_grad():
            now, value = self.evaluate(self.network, state)
            with torch.no_grad():
                before, _ = self.evaluate(self.older, state)
                returned = reward + self.discount * self.evaluate(self.network, next_state)[1]
                advantage = returned - value
            ratio = (now.gather(1, drawn) - before.gather(1, drawn)).exp()
            bounded = ratio.clamp(1 - self.ratio, 1 + self.ratio)
            surrogate = torch.minimum(ratio * advantage, bounded * advantage).mean()
            target = metric if self.value_target == "metric" else returned
            loss = -surrogate + 0.5 * (value - target) ** 2
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.refresh == 0:
            self.older.load_state_dict(self.network.state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "older": self.older.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "last": self.last,
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.older.load_state_dict(state["older"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.last, self.steps = state["last"], state["steps"]
