"""Which hooks a run calls when, what it makes of their answers and errors, and what it saves."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.errors import ComponentError, UserError
from engine.hooks.ema import ExponentialMovingAverage
from engine.hooks.hook import STOP, Decision, EmbeddedSplit, Hook, HookContext
from engine.hooks.run_hooks import HookError, RunHooks
from engine.hooks.weights_hook import Evaluated
from engine.schedule import TrainingSchedule
from tests.engine.hooks.contexts import context
from tracking.metrics_log import MetricsLog

SCHEDULE = TrainingSchedule(
    steps_per_epoch=2, total_steps=6, evaluate_every=3, log_every=1, checkpoint_every=1
)
LOSS = {"train/loss": torch.tensor(0.5)}


class Diary(Hook):
    """Writes down every call."""

    def __init__(self, stop_at: str = "") -> None:
        self.calls: list[str] = []
        self.stop_at = stop_at

    def note(self, call: str) -> Decision | None:
        self.calls.append(call)
        return STOP if call == self.stop_at else None

    def start(self, context: HookContext) -> None:
        self.note(f"start {context.step}")

    def after_step(self, context: HookContext) -> Decision | None:
        return self.note(f"step {context.step} {list(context.measurements)}")

    def after_epoch(self, context: HookContext) -> Decision | None:
        return self.note(f"epoch {context.epoch}")

    def after_embedding(self, context: HookContext, split: EmbeddedSplit) -> None:
        self.note(f"embedded {context.step} {split.name}")

    def after_evaluation(self, context: HookContext) -> Decision | None:
        return self.note(f"results {context.step} {dict(context.results)}")

    def at_end(self, context: HookContext) -> None:
        self.note(f"end {context.step}")

    def state_dict(self) -> dict[str, Any]:
        return {"calls": self.calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.calls = state["calls"]


def run_hooks(folder: Path, **hooks: Hook) -> RunHooks:
    shared = context(folder=folder, model=nn.Linear(2, 1))
    fabric = Fabric(accelerator="cpu", devices=1)
    return RunHooks(hooks, fabric, shared, SCHEDULE, MetricsLog(folder / "metrics.jsonl"))


def test_calls_come_with_step_epoch_and_measurements(tmp_path: Path) -> None:
    diary = Diary()
    hooks = run_hooks(tmp_path, diary=diary)
    hooks.start()
    for step in (1, 2):
        hooks.after_step(step, LOSS)
    hooks.after_evaluation(2, {"test/recall@1": 1.0})
    hooks.at_end(2)
    assert diary.calls == [
        *("start 0", "step 1 ['train/loss']", "step 2 ['train/loss']", "epoch 1.0"),
        *("results 2 {'test/recall@1': 1.0}", "end 2"),
    ]


@pytest.mark.parametrize("moment", ["step 2 ['train/loss']", "epoch 1.0", "results 2 {}"])
def test_each_of_three_answers_stops_the_run(tmp_path: Path, moment: str) -> None:
    hooks = run_hooks(tmp_path, first=Diary(moment), second=Diary())
    hooks.after_step(1, LOSS)
    assert not hooks.stopped
    hooks.after_step(2, LOSS)
    hooks.after_evaluation(2, {})
    assert hooks.stopped
    second = hooks.hooks["second"]
    assert isinstance(second, Diary)
    assert second.calls[-1] == "results 2 {}", "the other hooks are called all the same"


def test_a_stop_and_the_states_are_part_of_the_checkpoint(tmp_path: Path) -> None:
    hooks = run_hooks(tmp_path, diary=Diary("epoch 1.0"))
    hooks.after_step(2, LOSS)
    state = hooks.state()["hooks"].state_dict()
    again = run_hooks(tmp_path, diary=Diary())
    again.load_state_dict(state)
    assert again.stopped_by == "diary"
    assert again.hooks["diary"].state_dict() == {"calls": ["step 2 ['train/loss']", "epoch 1.0"]}


def test_without_hooks_there_is_nothing_in_a_checkpoint(tmp_path: Path) -> None:
    hooks = run_hooks(tmp_path)
    hooks.after_step(2, LOSS)
    hooks.after_evaluation(2, {})
    assert hooks.state() == {}
    assert not hooks.stopped


class Other(Hook):
    """Called in every process."""

    all_processes: ClassVar[bool] = True


@pytest.mark.parametrize(("kind", "calls"), [(Hook, 0), (Other, 1)])
def test_other_processes_call_the_hooks_that_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Hook], calls: int
) -> None:
    seen = []

    class Seeing(kind):  # type: ignore[misc,valid-type]
        def after_step(self, context: HookContext) -> None:
            seen.append(context.step)

    hooks = run_hooks(tmp_path, one=Seeing())
    monkeypatch.setattr(type(hooks.fabric), "is_global_zero", False)
    hooks.after_step(1, LOSS)
    assert len(seen) == calls


def test_nobody_waits_for_a_hook_that_never_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = run_hooks(tmp_path, ema=ExponentialMovingAverage(), none=Hook())
    hooks.start()

    def fail(_self: Fabric, _value: object) -> None:
        raise AssertionError("a message to other processes")

    monkeypatch.setattr(Fabric, "broadcast", fail)
    hooks.after_step(2, LOSS)


def test_an_error_of_a_hook_names_the_hook(tmp_path: Path) -> None:
    class Broken(Hook):
        def after_step(self, context: HookContext) -> None:
            context.results["missing"]

    with pytest.raises(HookError, match=r"^mine: \S*Broken.after_step failed, KeyError: 'missing'"):
        run_hooks(tmp_path, mine=Broken()).after_step(1, LOSS)

    class Clear(Hook):
        def after_step(self, context: HookContext) -> None:
            raise UserError(f"step {context.step}: a line of its own")

    with pytest.raises(UserError, match=r"^step 1: a line of its own"):
        run_hooks(tmp_path, mine=Clear()).after_step(1, LOSS)


@pytest.mark.parametrize("answer", [False, True, "stop", torch.tensor(0.0)])
def test_another_answer_than_stop_is_refused(tmp_path: Path, answer: object) -> None:
    class Talking(Hook):
        def after_epoch(self, context: HookContext) -> Decision | None:  # noqa: ARG002
            return answer  # type: ignore[return-value]

    with pytest.raises(ComponentError, match=r"Talking.after_epoch returned .*hook\.STOP"):
        run_hooks(tmp_path, mine=Talking()).after_step(2, LOSS)


@pytest.mark.parametrize(("method", "promise"), [("at_end", True), ("after_step", False)])
def test_a_stop_where_none_is_possible_is_refused(
    tmp_path: Path, method: str, promise: bool
) -> None:
    kind = type("Late", (Hook,), {method: lambda *_: STOP, "may_stop": promise})
    hooks = run_hooks(tmp_path, mine=kind())
    with pytest.raises(ComponentError, match=rf"Late\.{method} returned <Decision\.STOP"):
        hooks.at_end(1) if method == "at_end" else hooks.after_step(1, LOSS)


def test_a_state_that_no_checkpoint_can_hold_is_refused(tmp_path: Path) -> None:
    class Odd(Hook):
        def state_dict(self) -> dict[str, Any]:
            return {"deep": [{"path": tmp_path}]}

    with pytest.raises(ComponentError, match=r"mine: \S*Odd.state_dict\(\) holds \w*Path"):
        run_hooks(tmp_path, mine=Odd()).state_dict()


def measured(hooks: RunHooks, seen: list[Tensor]) -> dict[str, Any]:
    def measure(**_on_embedded: object) -> dict[str, Any]:
        seen.append(hooks.context.model.weight.detach().clone())  # type: ignore[union-attr]
        return {"test/recall@1": float(len(seen))}

    return hooks.evaluate(3, measure)


@pytest.mark.parametrize("evaluated", ["beside", "instead"])
def test_the_average_is_evaluated_and_saved(tmp_path: Path, evaluated: Evaluated) -> None:
    average = ExponentialMovingAverage(0.5, evaluated=evaluated)
    hooks = run_hooks(tmp_path, ema=average)
    hooks.start()
    model = hooks.context.model
    with torch.no_grad():
        model.weight.add_(1)
    hooks.after_step(1, LOSS)
    seen: list[Tensor] = []
    results = measured(hooks, seen)
    assert not average.copy.weight.equal(model.weight)
    if evaluated == "beside":
        assert results == {"test/recall@1": 1.0, "test/ema/recall@1": 2.0}
        assert seen[0].equal(model.weight)
        assert seen[1].equal(average.copy.weight)
        assert hooks.evaluated_model("test/ema/recall@1") is average.copy
        assert hooks.evaluated_model("test/recall@1") is None
        assert list(hooks.state()) == ["hooks"]
    else:
        assert results == {"test/recall@1": 1.0}
        assert seen[0].equal(average.copy.weight)
        assert hooks.evaluated_model("test/recall@1") is average.copy
        assert hooks.state()["evaluated_model"] is average.copy
