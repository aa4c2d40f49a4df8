"""Seeded draws that survive a restart: the one source of chance of a miner."""

import torch
from torch import Tensor, nn

from core.types import Mask


class SeededRandom(nn.Module):
    """Draws one column per row with given odds, from a random stream of its own.

    The stream lives on the device of the odds and is part of `state_dict()`, hence of the
    checkpoint of whatever module holds it: a resumed run continues its draws. A state belongs to
    the kind of device it was saved on, since each kind has its own random numbers.

    Args:
        seed: start of the stream; the same seed gives the same draws on the same device.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self._generator: torch.Generator | None = None
        self._restored = torch.empty(0, dtype=torch.uint8)

    def forward(self, log_odds: Tensor) -> Tensor:
        """Column j of row i with probability exp(log_odds[i, j]) / Σ_k exp(log_odds[i, k]).

        By the Gumbel-max trick: exact at any scale of the odds and without a look at them from
        the host. A row of -inf only has nothing to draw and gives column 0.

        Args:
            log_odds: (N, M), -inf where a column is out of the question.

        Returns:
            column indices, (N,).
        """
        exponential = torch.empty_like(log_odds).exponential_(generator=self._stream(log_odds))
        gumbel = -exponential.clamp(min=torch.finfo(log_odds.dtype).tiny).log()
        return (log_odds + gumbel).argmax(dim=1)

    def among(self, candidates: Mask) -> Tensor:
        """A marked column of each row, all equally likely, (N, M) -> (N,)."""
        columns: Tensor = self(candidates.log())
        return columns

    def events(self, probability: float, like: Tensor) -> Tensor:
        """An event of the given probability for each row of `like`, True or False, (N,)."""
        chances = torch.rand(len(like), generator=self._stream(like), device=like.device)
        return chances < probability

    def uniform(self, *shape: int, like: Tensor) -> Tensor:
        """Numbers in [0, 1) of the given shape, in float64, on the device of `like`."""
        return torch.rand(
            shape, generator=self._stream(like), device=like.device, dtype=torch.float64
        )

    def _stream(self, like: Tensor) -> torch.Generator:
        if self._generator is None or self._generator.device != like.device:
            self._generator = torch.Generator(like.device).manual_seed(self.seed)
            if len(self._restored):
                self._generator.set_state(self._restored)
                self._restored = self._restored[:0]
        return self._generator

    def get_extra_state(self) -> Tensor:
        """State of the stream as bytes; none before the first draw."""
        return self._restored if self._generator is None else self._generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self._generator, self._restored = None, state.cpu()

    def extra_repr(self) -> str:
        return f"seed={self.seed}"
