"""When a run logs, evaluates and saves."""

from engine.schedule import make_schedule

DEFAULTS = {
    "steps_per_epoch": 5,
    "epochs": 2,
    "iterations": None,
    "evaluate_every_epochs": 1,
    "evaluate_every_iterations": None,
    "log_every": 3,
    "checkpoint_every": 4,
}


def steps(when, total: int) -> list[int]:  # noqa: ANN001
    return [step for step in range(1, total + 1) if when(step)]


def test_epochs_are_passes_of_the_sampler() -> None:
    run = make_schedule(**DEFAULTS)
    assert run.total_steps == 10
    assert steps(run.evaluates, 10) == [5, 10]
    assert steps(run.saves, 10) == [4, 5, 8, 10]
    assert steps(run.logs, 10) == [3, 4, 5, 6, 8, 9, 10]
    assert run.epoch(5) == 1
    assert run.epoch(7) == 1.4


def test_iterations_take_the_place_of_epochs() -> None:
    run = make_schedule(**{**DEFAULTS, "iterations": 7, "evaluate_every_iterations": 2})
    assert run.total_steps == 7
    assert steps(run.evaluates, 7) == [2, 4, 6, 7], "the last step is always evaluated"
