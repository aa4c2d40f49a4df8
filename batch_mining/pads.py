"""Policy-adapted sampling: Roth et al., CVPR 2020, https://arxiv.org/abs/2003.11113."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Len
from torch import Tensor, nn

from batch_mining.parametric import Distribution, ParametricMiner
from core.policy import Policy
from core.ranges import PositiveInt, Seed, Size
from core.types import Distance, Embeddings, Labels, ReferenceLabels, References, Triplets

LEAST = 1e-25  # odds of a bin, as in the authors' code


class PADSMiner(nn.Module):
    """PADS miner: draws negatives from a distribution over distances that a learned policy adapts.

    Triplets are those of `ParametricMiner`. Every M optimizer steps the run measures the validation
    split and calls `adapt`: the policy draws an action a_k for each bin of distances,

        p_k <- p_k a_k / Σ_j p_j a_j

    in the state s: the latest metrics, their running averages, the distribution and the progress of
    the run. The reward of an adaptation is the sign of the change of the mean of the reward metrics
    until the next one, see `Policy`. Policy and distribution are part of `state_dict()`.

    Differences:
        Roth et al.'s code: the value is regressed on the reward metric, `value_target="metric"` of
            the policy; negatives beyond the limits, `clip=True`, see `ParametricMiner`.

    Args:
        metrics: of the validation split, without its name; they make up the state.
        reward: those of them whose mean is to grow.
        policy: called with the size of a state, `num_bins` and a seed.
        every: optimizer steps between adaptations, the paper's M.
        distribution: to begin with, see `ParametricMiner`; likewise the next three.
        num_bins: the paper's K.
        limits: in units of `distance`, ascending.
        clip: whether negatives beyond the limits count to the outermost bins.
        history: how many of the latest measurements are in the state.
        averages: lengths of the running averages, in measurements.
        seed: of the triplets and of the policy.
        distance: see `ParametricMiner`; None is the Euclidean distance of unit vectors.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        reward: Sequence[str],
        policy: Callable[..., Policy] = Policy,
        every: PositiveInt = 30,
        distribution: Distribution = "semihards",
        num_bins: Size = 30,
        limits: Annotated[Sequence[float], Len(2, 2)] = (0.1, 1.4),
        clip: bool = False,
        history: PositiveInt = 20,
        averages: Sequence[PositiveInt] = (2, 8, 16, 32),
        seed: Seed = 0,
        distance: Distance | None = None,
    ) -> None:
        super().__init__()
        if not reward or not set(reward) <= set(metrics):
            raise ValueError(
                f"reward must be some of the metrics {list(metrics)}, got {list(reward)}"
            )
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.metrics, self.reward, self.every = list(metrics), list(reward), every
        self.history, self.averages = history, list(averages)
        self.sampler = ParametricMiner(distribution, num_bins, limits, clip, seed, distance)
        num_inputs = (history + len(averages)) * len(metrics) + num_bins + 1
        self.policy = policy(num_inputs, num_bins, seed=seed)
        self.measured = torch.empty(0, len(metrics))

    @torch.no_grad()
    def forward(
        self,
        embeddings: Embeddings,
        labels: Labels,
        references: References | None = None,
        reference_labels: ReferenceLabels | None = None,
    ) -> Triplets:
        triplets: Triplets = self.sampler(embeddings, labels, references, reference_labels)
        return triplets

    def adapt(self, metrics: Mapping[str, float], progress: float) -> None:
        """Learn from the metrics of the validation split, then adapt the distribution.

        Args:
            metrics: by name, at least those of `metrics`; an undefined one counts as 0.
            progress: of the run, in [0, 1].
        """
        latest = torch.tensor([float(metrics[name]) for name in self.metrics]).nan_to_num()
        self.measured = torch.cat([self.measured, latest[None]])[-self._longest :]
        metric = self._reward_metric(-1)
        state = self._state(progress)
        if len(self.measured) > 1:
            reward = (metric - self._reward_metric(-2)).sign()
            self.policy.learn(reward, metric, state)
        odds = self.sampler.log_odds
        adapted = odds + self.policy.act(state).log().to(odds.device)
        odds.copy_(adapted.log_softmax(dim=0).clamp(min=math.log(LEAST)))

    @property
    def _longest(self) -> int:
        return max(2, self.history, *self.averages)

    def _reward_metric(self, when: int) -> Tensor:
        columns = [self.metrics.index(name) for name in self.reward]
        return self.measured[when, columns].mean()

    def _state(self, progress: float) -> Tensor:
        """Histories that are too short yet begin with copies of the first measurement."""
        earlier = self.measured[:1].expand(self._longest, -1)
        history = torch.cat([earlier, self.measured])[-self.history :]
        averages = [self.measured[-length:].mean(dim=0) for length in self.averages]
        probabilities = self.sampler.log_odds.softmax(dim=0).to("cpu")
        return torch.cat([history.flatten(), *averages, probabilities, torch.tensor([progress])])

    def get_extra_state(self) -> dict[str, Any]:
        return {"policy": self.policy.state_dict(), "measured": self.measured}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.measured = state["measured"]
