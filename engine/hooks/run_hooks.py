"""Hooks of a run: calls them, evaluates their weights, and shares their decisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import ComponentError, UserError, in_one_line
from datasets.images import Images
from engine.checkpoint import Stateful
from engine.contracts import check_hook_state
from engine.hooks.hook import STOP, EmbeddedSplit, Hook, HookContext
from engine.hooks.weights_hook import WeightsHook, exchanged
from engine.schedule import TrainingSchedule
from evaluation.embed import Embedded
from tracking.metrics_log import MetricsLog
from tracking.summary import evaluations

Results = dict[str, Any]


class Measure(Protocol):
    """Embeds and evaluates the splits of a run, in all processes together."""

    def __call__(self, *, on_embedded: Callable[[str, Images, Embedded], object]) -> Results: ...


STOPPING = ("after_step", "after_epoch", "after_evaluation")  # methods that can stop a run


class HookError(Exception):
    """A hook failed; the error that it raised is the cause."""


@dataclass
class RunHooks:
    """Hooks of a run: calls each of them in the processes that it asks for.

    Args:
        hooks: the hooks by the key of the configuration that names them.
        fabric: the processes of the run.
        context: what is the same in all calls.
        schedule: converts steps to epochs.
        records: the records of the run.
        stopped_by: the key of the hook that has stopped the run, empty if none has; part of the
            checkpoint.
    """

    hooks: Mapping[str, Hook]
    fabric: Fabric
    context: HookContext
    schedule: TrainingSchedule
    records: MetricsLog
    stopped_by: str = ""

    @property
    def stopped(self) -> bool:
        """Whether a hook has stopped the run."""
        return bool(self.stopped_by)

    def start(self) -> None:
        """Begin, before a checkpoint is restored."""
        self._call("start", self.context)

    def after_step(self, step: int, measurements: Mapping[str, Tensor]) -> None:
        """Call the hooks after an optimizer step, and after the epoch that it ends."""
        if self.overriding["after_step"]:
            self._ask("after_step", replace(self._at(step), measurements=measurements))
        if step % self.schedule.steps_per_epoch == 0:
            self._ask("after_epoch", self._at(step))

    def after_evaluation(self, step: int, results: Results) -> None:
        """Call the hooks after the results of an evaluation are recorded."""
        if self.overriding["after_evaluation"]:
            first = self.fabric.is_global_zero
            seen = evaluations(self.records.read()) if first else ()
            self._ask(
                "after_evaluation", replace(self._at(step), results=results, evaluations=seen)
            )

    def at_end(self, step: int) -> None:
        """End, when the summary of the run is written."""
        self._call("at_end", self._at(step))

    def evaluate(self, step: int, measure: Measure) -> Results:
        """Evaluate the weights in training, or those that a hook has instead or beside."""
        results = self._measure(step, measure, self.instead)
        for hook in self.beside:
            results |= hook.named(self._measure(step, measure, hook))
        return results

    def evaluated_model(self, metric: str) -> nn.Module | None:
        """The backbone of a hook that a metric measures; None if it is the one in training."""
        for hook in self.beside:
            if metric.partition("/")[2].startswith(f"{hook.name}/"):
                return hook.copy
        return self.instead.copy if self.instead else None

    def state(self) -> dict[str, Stateful]:
        """The parts of a checkpoint; none without hooks.

        `evaluated_model` is the backbone that is evaluated, where it is not the one in training.
        """
        if not self.hooks:
            return {}
        return {"hooks": self} | ({"evaluated_model": self.instead.copy} if self.instead else {})

    def state_dict(self) -> dict[str, Any]:
        """The states of the hooks; raises a ComponentError if a checkpoint cannot hold one."""
        states = {name: hook.state_dict() for name, hook in self.hooks.items()}
        for name, state in states.items():
            check_hook_state(state, f"{name}: {type(self.hooks[name]).__qualname__}")
        return {"stopped_by": self.stopped_by, "states": states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stopped_by = state.get("stopped_by", "")
        for name, hook in self.hooks.items():
            hook.load_state_dict(state["states"][name])

    @cached_property
    def overriding(self) -> dict[str, list[tuple[str, Hook]]]:
        """The hooks that do something, by method."""
        methods = [name for name in vars(Hook) if not name.startswith("_")]
        return {
            method: [
                (name, hook)
                for name, hook in self.hooks.items()
                if getattr(type(hook), method) is not getattr(Hook, method)
            ]
            for method in methods
        }

    @property
    def instead(self) -> WeightsHook | None:
        """The hook whose weights are evaluated instead of those in training."""
        return next((hook for hook in self._weights if hook.evaluated == "instead"), None)

    @property
    def beside(self) -> list[WeightsHook]:
        """The hooks whose weights are evaluated beside."""
        return [hook for hook in self._weights if hook.evaluated == "beside"]

    @property
    def _weights(self) -> list[WeightsHook]:
        return [hook for hook in self.hooks.values() if isinstance(hook, WeightsHook)]

    def _at(self, step: int) -> HookContext:
        return replace(self.context, step=step, epoch=self.schedule.epoch(step))

    def _measure(self, step: int, measure: Measure, hook: WeightsHook | None) -> Results:
        if hook is None:
            return measure(on_embedded=partial(self._after_embedding, step, ""))
        name = f"/{hook.name}" if hook.evaluated == "beside" else ""
        with exchanged(self.context.model, hook.copy):
            return measure(on_embedded=partial(self._after_embedding, step, name))

    def _after_embedding(
        self, step: int, weights: str, split: str, images: Images, embedded: Embedded
    ) -> None:
        """Show an embedded split to the hooks; `weights` is empty or `/<name>`."""
        shown = EmbeddedSplit(f"{split}{weights}", *embedded, images.paths, images.class_names)
        self._call("after_embedding", self._at(step), shown)

    def _ask(self, method: str, context: HookContext) -> None:
        """Call the hooks and note which one of the first process stops the run."""
        decisions = self._call(method, context)
        by = next((name for name, decision in decisions.items() if decision is STOP), "")
        if any(hook.may_stop for _, hook in self.overriding[method]):
            self.stopped_by = self.fabric.broadcast(self.stopped_by or by)

    def _call(self, method: str, *arguments: object) -> dict[str, object]:
        """What the hooks of this process answer, by their keys."""
        first = self.fabric.is_global_zero
        return {
            name: call(name, hook, method, *arguments)
            for name, hook in self.overriding[method]
            if first or hook.all_processes
        }


def call(name: str, hook: Hook, method: str, *arguments: object) -> object:
    """Call a method of a hook.

    Raises:
        HookError: it failed; names the hook.
        ComponentError: it returned something else than None, or `STOP` where it cannot.
    """
    label = f"{name}: {type(hook).__qualname__}.{method}"
    try:
        decision = getattr(hook, method)(*arguments)
    except UserError:
        raise
    except Exception as error:
        raise HookError(f"{label} failed, {type(error).__name__}: {in_one_line(error)}") from error
    if decision is None or (decision is STOP and method in STOPPING and hook.may_stop):
        return decision
    raise ComponentError(
        f"{label} returned {decision!r}; {', '.join(STOPPING)} return None or, in a hook with "
        "may_stop, engine.hooks.hook.STOP; all other methods return None"
    )
