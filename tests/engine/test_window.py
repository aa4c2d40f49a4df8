"""Averages between two log lines, and the exact step at which a loss goes bad."""

import pytest
import torch

from engine.metric_accumulator import MetricAccumulator, TrainingError
from engine.step import StepResult


def taken(loss: float, grad_norm: float = 2.0) -> StepResult:
    measured = {"train/loss": torch.tensor(loss), "train/grad_norm": torch.tensor(grad_norm)}
    return StepResult(num_images=4, measured=measured)


def test_close_averages_and_starts_afresh() -> None:
    window = MetricAccumulator()
    for loss in (1.0, 2.0, 6.0):
        window.add(taken(loss))
    means = window.close(step=3)
    assert means["train/loss"] == 3
    assert means["train/grad_norm"] == 2
    assert means["train/images_per_second"] > 0
    window.add(taken(5.0))
    assert window.close(step=4)["train/loss"] == 5


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_names_the_step_of_a_non_finite_loss(bad: float) -> None:
    window = MetricAccumulator()
    for loss in (1.0, bad, 1.0):
        window.add(taken(loss))
    with pytest.raises(TrainingError, match="step 9: the loss is"):
        window.close(step=10)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_names_the_step_of_a_non_finite_gradient_unless_a_scaler_passes_over_it(
    bad: float,
) -> None:
    for scaled in (False, True):
        window = MetricAccumulator(scaled)
        window.add(taken(1.0))
        window.add(taken(1.0, grad_norm=bad))
        if scaled:
            assert window.close(step=10)["train/loss"] == 1
        else:
            with pytest.raises(TrainingError, match="step 10: the norm of the gradient is"):
                window.close(step=10)


def test_a_loss_without_any_active_tuple_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A user chose one image per class and a triplet loss: every record was 0, and nothing said."""
    window = MetricAccumulator(patience=4)
    for step, loss in enumerate([0.0, 0.0, 0.0, 1.0, *[0.0] * 9], start=1):
        window.add(taken(loss, grad_norm=loss))
        window.close(step)
    (said,) = caplog.messages
    assert "step 8: loss and gradient were exactly 0 in each of the last 4 steps" in said
    assert "sampler.samples_per_class" in said


@pytest.mark.parametrize(("loss", "grad_norm"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_loss_or_a_gradient_that_is_there_is_no_reason_to_warn(
    caplog: pytest.LogCaptureFixture, loss: float, grad_norm: float
) -> None:
    window = MetricAccumulator(patience=4)
    for step in range(4, 40, 4):
        for _ in range(3):
            window.add(taken(0.0, grad_norm=0.0))
        window.add(taken(loss, grad_norm))
        window.close(step)
    assert not caplog.messages


@pytest.mark.parametrize("later", [False, True])
def test_a_loss_of_one_phase_is_left_out_of_a_record_of_two(later: bool) -> None:
    """A training method starts or ends one of its losses between two records."""
    more = taken(3.0)
    more.measured["train/loss/hard"] = torch.tensor(1.0)
    window = MetricAccumulator()
    for step in (taken(1.0), more) if later else (more, taken(1.0)):
        window.add(step)
    means = window.close(step=2)
    assert means["train/loss"] == 2
    assert "train/loss/hard" not in means
