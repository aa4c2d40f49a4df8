"""Early stopping: ends a run whose metric no longer improves, after Prechelt 1998."""

from core.errors import UserError
from core.ranges import NonNegativeFloat, NonNegativeInt
from engine.hooks.hook import STOP, Decision, Hook, HookContext
from tracking.summary import metric_of


class EarlyStopping(Hook):
    """Early stopping: ends a run after `patience` optimizer steps without a better evaluation.

        m_k is better  <=>  s (m_k - m_best) > min_delta,   s = 1 if higher is better, else -1
        stop after evaluation k  <=>  step_k - step_best > patience

    An evaluation that is better becomes the best one, at first the first. The hook keeps no state:
    it reads the records of the run, which a checkpoint verifies.

    Args:
        metric: `<split>/<metric>`, such as `val/recall@1`.
        patience: in optimizer steps.
        min_delta: smallest improvement that counts, in units of the metric.
        higher_is_better: the direction; None is that of the metric, higher for one without.
    """

    def __init__(
        self,
        metric: str,
        patience: NonNegativeInt,
        min_delta: NonNegativeFloat = 0.0,
        higher_is_better: bool | None = None,
    ) -> None:
        if patience < 0 or min_delta < 0:
            raise ValueError(
                f"patience and min_delta must be at least 0, got {patience} and {min_delta}"
            )
        self.metric, self.patience, self.min_delta = metric, patience, min_delta
        self.higher_is_better = higher_is_better

    def after_evaluation(self, context: HookContext) -> Decision | None:
        """Compare the latest evaluation with the best one.

        Raises:
            UserError: the latest evaluation has no such number.
        """
        sign = 1 if self._higher_is_better(context) else -1
        values = [(record["step"], record.get(self.metric)) for record in context.evaluations]
        if not isinstance(values[-1][1], int | float):
            raise UserError(
                f"early stopping waits for {self.metric}, which is not measured at step "
                f"{values[-1][0]} or is not one number"
            )
        best, best_step = None, values[0][0]
        for step, value in values:
            if value is not None and (best is None or sign * (value - best) > self.min_delta):
                best, best_step = value, step
        return STOP if values[-1][0] - best_step > self.patience else None

    def _higher_is_better(self, context: HookContext) -> bool:
        if self.higher_is_better is not None:
            return self.higher_is_better
        return context.directions.get(metric_of(self.metric)) is not False
