"""Exponential moving average (EMA) of the weights, after Polyak and Juditsky 1992."""

from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt
from torch import no_grad
from torch.optim.swa_utils import get_ema_multi_avg_fn

from engine.hooks.hook import HookContext
from engine.hooks.weights_hook import Evaluated, WeightsHook


class ExponentialMovingAverage(WeightsHook):
    """Exponential moving average: averages the weights of the backbone over the optimizer steps.

        θ'_0 = θ_0,   θ'_t+1 = β_t θ'_t + (1 - β_t) θ_t+1
        β_t  = decay,   with warm-up min(decay, (1 + t) / (10 + t)),   t = 0, 1, ...

    θ are the parameters after an optimizer step. Buffers, such as the statistics of BatchNorm, are
    copied. The average covers about the last 1 / (1 - decay) steps. The parameters of the loss are
    not averaged. Training is the same with and without the hook.

    Differences: TensorFlow's `ExponentialMovingAverage` has this warm-up where `num_updates` is
    given. `torch.optim.swa_utils.AveragedModel` begins with the weights after the first step, has
    no warm-up, and waits for a GPU in every step.

    Args:
        decay: β in [0, 1); 0 keeps the latest weights.
        warmup: whether the average forgets the initial weights faster, for short runs.
        evaluated: `beside` the weights in training, with results `<split>/<name>/<metric>`, or
            `instead` of them.
        name: of the results beside.
    """

    may_stop: ClassVar[bool] = False

    def __init__(
        self,
        decay: Annotated[float, Ge(0), Lt(1)] = 0.999,
        warmup: bool = True,
        evaluated: Evaluated = "beside",
        name: str = "ema",
    ) -> None:
        super().__init__(evaluated, name)
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay, self.warmup, self.updates = decay, warmup, 0

    def after_step(self, context: HookContext) -> None:
        """Update the average; nothing waits for the device."""
        t = self.updates
        decay = min(self.decay, (1 + t) / (10 + t)) if self.warmup else self.decay
        average, weights = list(self.copy.parameters()), list(context.model.parameters())
        get_ema_multi_avg_fn(decay)(average, weights, t)  # type: ignore[no-untyped-call]
        with no_grad():
            buffers = zip(self.copy.buffers(), context.model.buffers(), strict=True)
            for own, current in buffers:
                own.copy_(current)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.updates = state["updates"]
