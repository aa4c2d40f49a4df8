"""The lines that a run prints, with a clock of the test."""

from typing import Any

import pytest

from engine.progress import progress_bar, progress_lines
from engine.run_progress import Best, RunProgress
from engine.schedule import TrainingSchedule

RUN = TrainingSchedule(
    steps_per_epoch=100, total_steps=1200, evaluate_every=400, log_every=20, checkpoint_every=10**6
)
MEANS = {"train/loss": 0.12345, "train/images_per_second": 2345.6}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    said = capsys.readouterr()
    assert not said.err
    return said.out.splitlines()


def test_a_long_epoch_has_one_line_a_minute(clock: Clock, capsys: Any) -> None:  # noqa: ANN401
    """A step takes a second: the first line comes soon, the others each minute."""
    progress = RunProgress(RUN, "lines", clock)
    progress.start(0)
    for step in range(1, 301):
        clock.now = step
        progress.advance(step)
        if step % 20 == 0:
            progress.trained(step, MEANS)
    said = lines(capsys)
    assert said[0] == "epoch 0.1/12  step 10/1,200  19:50 min left without evaluations"
    assert said[1] == (
        "epoch 0.7/12  step 70/1,200  loss 0.1235  2,346 images/s  "
        "18:50 min left without evaluations"
    )
    assert [line.split()[3] for line in said] == [f"{s}/1,200" for s in (10, 70, 130, 190, 250)]


def test_an_evaluation_has_a_line_with_its_metric_the_best_and_the_time_left(
    clock: Clock,
    capsys: Any,  # noqa: ANN401
) -> None:
    progress = RunProgress(RUN, "lines", clock)
    progress.start(0)
    clock.now = 4
    progress.trained(400, MEANS)
    clock.now = 34
    progress.evaluated(400, Best("val/recall@1", 0.51, 0.51, 4.0))
    clock.now = 38
    progress.trained(800, MEANS)
    clock.now = 68
    progress.evaluated(800, Best("val/recall@1", 0.49994, 0.51, 4.0))
    clock.now = 72
    progress.trained(1200, MEANS)
    clock.now = 102
    progress.evaluated(1200, None)
    assert lines(capsys) == [
        "epoch 4/12  step 400/1,200  loss 0.1235  val/recall@1 0.5100  best 0.5100 (epoch 4)  "
        "68 s left",
        "epoch 8/12  step 800/1,200  loss 0.1235  val/recall@1 0.4999  best 0.5100 (epoch 4)  "
        "34 s left",
        "epoch 12/12  step 1,200/1,200  loss 0.1235  evaluated",
    ]


def test_a_long_evaluation_says_how_far_it_is(clock: Clock, capsys: Any) -> None:  # noqa: ANN401
    progress = RunProgress(RUN, "lines", clock)
    progress.start(0)
    seen = []
    for number in progress.watch(iter("abc"), 3, "embedding test"):
        seen.append(number)
        clock.now += 45
    assert seen == ["a", "b", "c"]
    assert lines(capsys) == ["embedding test: batch 1 of 3", "embedding test: batch 3 of 3"]


def test_a_resumed_run_says_from_where(capsys: Any) -> None:  # noqa: ANN401
    progress = RunProgress(RUN, "lines")
    progress.start(0)
    progress.start(450)
    assert lines(capsys) == ["resumed after epoch 4.5/12  step 450/1,200"]


def test_a_run_without_training_is_evaluated_before_training(capsys: Any) -> None:  # noqa: ANN401
    progress = RunProgress(TrainingSchedule(100, 0, 400, 20, 500), "lines")
    progress.start(0)
    progress.evaluated(0, Best("test/recall@1", 0.3, 0.3, 0.0))
    assert lines(capsys) == ["before training  test/recall@1 0.3000  best 0.3000 (epoch 0)"]


def test_none_prints_nothing(clock: Clock, capsys: Any) -> None:  # noqa: ANN401
    progress = RunProgress(RUN, "none", clock)
    progress.describe(["loss  triplet"])
    progress.start(5)
    clock.now = 1000
    progress.advance(6)
    progress.trained(6, MEANS)
    progress.evaluated(6, Best("test/recall@1", 0.3, 0.3, 0.0))
    assert list(progress.watch("ab", 2, "embedding test")) == ["a", "b"]
    assert lines(capsys) == []


def test_long_work_in_a_pipe_says_once_a_minute_how_much_is_done(
    clock: Clock,
    capsys: Any,  # noqa: ANN401
) -> None:
    """Such as decoding all images into a cache; on standard error, as a bar would be."""
    seen = []
    for number in progress_lines(range(10), 10, "caching images", clock):
        seen.append(number)
        clock.now += 25
    assert seen == list(range(10))
    said = capsys.readouterr()
    assert not said.out
    assert said.err.splitlines() == [f"caching images: {done} of 10" for done in (3, 6, 9)]


@pytest.mark.parametrize("progress", ["none", "lines", "bar", "auto"])
def test_long_work_goes_through_all_items(progress: Any) -> None:  # noqa: ANN401
    assert list(progress_bar(iter("abc"), 3, "reading images", progress)) == ["a", "b", "c"]
