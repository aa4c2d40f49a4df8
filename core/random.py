"""Random draws with a seed and a state: a resumed run continues the draws of its miner."""

import torch
from torch import Tensor, nn

from core.types import Mask


class SeededRandom(nn.Module):
    """Random number generator with its own seed: categorical, uniform and Bernoulli draws.

    The generator is on the device of the tensors it is called with. Its state is part of
    `state_dict()`, and so of the checkpoint of the module that holds it: a resumed run continues
    the draws. A state is valid for the kind of device on which it was saved, because each kind has
    its own random numbers.

    Args:
        seed: of the generator; the same seed gives the same draws on the same device.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._generator: torch.Generator | None = None
        self._restored = torch.empty(0, dtype=torch.uint8)

    def forward(self, logits: Tensor) -> Tensor:
        """Draws a column of each row: j with probability exp(logits[i, j]) / Σ_k exp(logits[i, k]).

        The Gumbel-max trick makes the draw exact at any scale of the logits, and the host does not
        wait for the device. A row in which all logits are -inf gives column 0.

        Args:
            logits: (N, M), -inf for a column that must not be drawn.

        Returns:
            column indices, (N,).
        """
        exponential = torch.empty_like(logits).exponential_(generator=self._generator_on(logits))
        gumbel = -exponential.clamp(min=torch.finfo(logits.dtype).tiny).log()
        return (logits + gumbel).argmax(dim=1)

    def several(self, logits: Tensor, count: int) -> Tensor:
        """Draws `count` columns of each row with replacement, with the probabilities of a call.

        Each number is looked up in the cumulative distribution of its row, in float64, which takes
        no memory beyond O(N (M + count)).

        Returns:
            column indices, (N, count); 0 in a row in which all logits are -inf.
        """
        peak = logits.amax(dim=1, keepdim=True).double()
        odds = (logits.double() - peak.masked_fill(peak.isinf(), 0)).exp()
        cumulative = odds.cumsum(dim=1)
        total = cumulative[:, -1:]
        drawn = self.uniform(len(logits), count, like=logits) * total  # below it, even if rounded
        columns = torch.searchsorted(cumulative, drawn, right=True)
        return columns.masked_fill(total == 0, 0)

    def choice(self, candidates: Mask) -> Tensor:
        """Draws one of the marked columns of each row uniformly, (N, M) -> (N,)."""
        columns: Tensor = self(candidates.log())
        return columns

    def bernoulli(self, probability: float, like: Tensor) -> Tensor:
        """Draws True with the given probability for each of the N rows of `like`, (N,)."""
        uniform = torch.rand(len(like), generator=self._generator_on(like), device=like.device)
        return uniform < probability

    def uniform(self, *shape: int, like: Tensor) -> Tensor:
        """Draws numbers in [0, 1) of the given shape, in float64, on the device of `like`."""
        return torch.rand(
            shape, generator=self._generator_on(like), device=like.device, dtype=torch.float64
        )

    def _generator_on(self, like: Tensor) -> torch.Generator:
        """The generator on the device of `like`; a restored state is set at the first draw."""
        if self._generator is None or self._generator.device != like.device:
            self._generator = torch.Generator(like.device).manual_seed(self.seed)
            if len(self._restored):
                self._generator.set_state(self._restored)
                self._restored = self._restored[:0]
        return self._generator

    def restart(self, seed: int) -> None:
        """Begin anew with another seed, as if nothing had been drawn or restored."""
        self.seed, self._generator, self._restored = seed, None, self._restored[:0]

    def get_extra_state(self) -> Tensor:
        """The state of the generator as bytes; empty before the first draw."""
        return self._restored if self._generator is None else self._generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self._generator, self._restored = None, state.cpu()

    def extra_repr(self) -> str:
        return f"seed={self.seed}"
