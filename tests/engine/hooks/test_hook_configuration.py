"""What is wrong with a hook of a configuration is one line, before any data are read."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf

from core.errors import ComponentError, UserError
from engine.config.command_line import check_choices
from engine.config.compose import compose_run
from engine.config.error_line import explain
from engine.config.errors import ConfigurationError
from engine.config.hooks import build_hooks
from engine.config.run_name import group_name
from engine.config.start import check_start
from engine.contracts import check_hook
from engine.hooks.early_stopping import EarlyStopping
from engine.hooks.hook import Hook, HookContext

RUN = ["dataset=digits", "validation=samples", "trainer.accelerator=cpu"]


class Counts(Hook):
    """Counts steps; takes a number."""

    def __init__(self, every: int = 1) -> None:
        self.every = every

    def after_step(self, context: HookContext) -> None: ...

    def state(self) -> None: ...

    def _after_all(self) -> None: ...


class NoHook:
    """Has the right method and the wrong base."""

    def after_step(self, context: HookContext) -> None: ...


class Misspelled(Hook):
    """Evaluations never reach it."""

    def after_evalution(self, context: HookContext) -> None: ...


class Foreign(Hook):
    """Has a method of another library."""

    def on_train_epoch_end(self, trainer: object) -> None: ...


class Idle(Hook):
    """Does nothing."""


class Greedy(Hook):
    """Wants more than a run passes."""

    def after_step(self, context: HookContext, loss: float) -> None: ...  # type: ignore[override]


class Forgetful(Hook):
    """Saves and never loads."""

    def state_dict(self) -> dict[str, Any]:
        return {"n": 1}


@pytest.fixture(autouse=True)
def my_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package outside of the project, with the hooks of this file."""
    module = ModuleType("my_hooks")
    for kind in (Counts, NoHook, Misspelled, Foreign, Idle, Greedy, Forgetful):
        setattr(module, kind.__name__, kind)
    module.__spec__ = sys.modules[__name__].__spec__
    monkeypatch.setitem(sys.modules, "my_hooks", module)


def start(*overrides: str) -> None:
    arguments = [*RUN, *overrides]
    check_start(compose_run(arguments), arguments)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hooks.ema.decay=0.9", "Key 'ema' is not in struct; choose it as well, hooks=[ema]"),
        ("hooks.eam.decay=0.9", "Key 'eam' is not in struct, did you mean 'ema'?"),
        ("hooks.mine._target_=my_hooks.Counts", "; +hooks.mine={_target_: ...} adds a hook"),
    ],
)
def test_a_number_of_a_hook_that_is_not_chosen(override: str, message: str) -> None:
    with pytest.raises(HydraException) as raised:
        compose_run([*RUN, override])
    assert message in explain(raised.value)


def test_a_hook_from_outside_needs_no_file() -> None:
    start("+hooks.mine={_target_: my_hooks.Counts, every: 3}")
    start("hooks=[ema]", "+hooks.mine._target_=my_hooks.Counts", "+hooks.mine.every=3")
    hooks = build_hooks(compose_run([*RUN, "hooks=ema", "+hooks.mine._target_=my_hooks.Counts"]))
    assert list(hooks) == ["hooks.ema", "hooks.mine"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (NoHook, "is no hook; derive the class from engine.hooks.hook.Hook"),
        (Misspelled, r"after_evalution is never called, did you mean 'after_evaluation'\?"),
        (Foreign, "on_train_epoch_end is never called; a run calls start, after_step"),
        (Idle, "does nothing; override one of start"),
        (Greedy, r"after_step is called as after_step\(context\): missing .* argument: 'loss'"),
        (Forgetful, "must override both state_dict and load_state_dict"),
    ],
)
def test_a_class_that_a_run_cannot_call_is_named(kind: type, message: str) -> None:
    with pytest.raises(ComponentError, match=f"^hooks.mine: {kind.__name__}.*{message}"):
        start(f"+hooks.mine={{_target_: my_hooks.{kind.__name__}}}")


@pytest.mark.parametrize("kind", [Counts, EarlyStopping])
def test_these_are_hooks(kind: type[Hook]) -> None:
    check_hook(kind.__new__(kind), "hooks.mine")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+hooks.mine._target_=my_hooks.Count"], "there is no my_hooks.Count, did you mean"),
        (["+hooks.mine={_target_: my_hooks.Counts, evry: 3}"], "hooks.mine.evry: .*'every'"),
        (["+hooks.mine={_target_: my_hooks.Counts, every: often}"], "hooks.mine.every=often: must"),
        (["+hooks.mine=3"], "hooks.mine=3: must be a node"),
        (["hooks=[ema]", "hooks.ema.decay=1.0"], "hooks.ema.decay=1.0: must be a number >= 0 and"),
        (["hooks=[ema]", "hooks.ema.evaluated=both"], "must be one of beside, instead"),
        (["hooks=[ema]", "hooks.ema.name=a/b"], "name='a/b': must be one word"),
        (
            ["hooks=[early_stopping]", "hooks.early_stopping.metric=val/recall"],
            "hooks.early_stopping.metric=val/recall: recall is not measured, did you mean 'recall@",
        ),
        (
            ["hooks=[early_stopping]", "hooks.early_stopping.metric=test/recall@1"],
            "must be <split>/<metric> with a split train or val",
        ),
        (
            ["hooks=[ema]", "+hooks.two={_target_: engine.hooks.ema.ExponentialMovingAverage}"],
            "hooks.ema, hooks.two: two of them have the name ema beside",
        ),
        (["trainer.storage_metrics=[test/ema/recall@1]"], "ema/recall@1 is not measured"),
    ],
)
def test_a_wrong_value_is_named(overrides: list[str], message: str) -> None:
    with pytest.raises((UserError, HydraException), match=message):
        start(*overrides)


def test_results_of_weights_beside_can_select_and_be_stored() -> None:
    ours = "trainer.storage_metrics=[test/ema/recall@1]"
    start("hooks=[ema]", ours, "evaluation.select_on=val/ema/recall@1")


@pytest.mark.parametrize("value", ["[{_target_: a.B}]", "null", "3", "{mine: {_target_: a.B}}"])
def test_a_hook_in_place_of_a_choice_is_answered_with_the_right_form(value: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"must name a file of conf/hooks/; \+hooks.<name>"
    ):
        check_choices([f"hooks={value}"])


def test_any_number_of_files_can_be_chosen() -> None:
    for value in ("[]", "ema", "[ema,early_stopping]"):
        check_choices([f"hooks={value}"])


def test_files_of_a_folder_of_ones_own_are_choices(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    file = tmp_path / "hooks" / "mine.yaml"
    file.write_text("mine: {_target_: my_hooks.Counts, every: 2}\n")
    config = compose_run([f"--config-dir={tmp_path}", *RUN, "hooks=[mine,ema]"])
    assert list(build_hooks(config)) == ["hooks.mine", "hooks.ema"]


def test_patience_of_the_trainer_is_early_stopping_on_the_selecting_metric() -> None:
    (hook,) = build_hooks(compose_run([*RUN, "trainer.patience=7"])).values()
    assert isinstance(hook, EarlyStopping)
    assert (hook.metric, hook.patience, hook.min_delta) == ("val/recall@1", 7, 0.0)


def test_hooks_change_the_folder_and_none_keeps_it() -> None:
    choices = {"loss": "margin", "batchminer": "none", "backbone": "convnet"}
    config = compose_run(RUN)
    without = group_name(config, choices)
    earlier = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hooks"])
    assert group_name(earlier, choices) == without
    others = [["hooks=[ema]"], ["hooks=[ema]", "hooks.ema.decay=0.9"], ["hooks=[early_stopping]"]]
    names = {group_name(compose_run([*RUN, *more]), choices) for more in others}
    assert len(names | {without}) == 4
