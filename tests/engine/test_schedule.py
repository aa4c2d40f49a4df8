"""Learning rates step by step against numbers worked out by hand."""

import math

import pytest
import torch

from engine.learning_rate import constant, cosine, multistep
from engine.schedule import TrainingSchedule

RUN = TrainingSchedule(
    steps_per_epoch=2, total_steps=8, evaluate_every=2, log_every=1, checkpoint_every=8
)


def rates(make, steps=8, **options):  # noqa: ANN001, ANN003, ANN201
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer, **options, plan=RUN)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_constant_warms_up_to_the_initial_rate() -> None:
    assert rates(constant, warmup=4) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]


def test_multistep_counts_whole_epochs() -> None:
    expected = [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]
    assert rates(multistep, milestones=[1, 3], gamma=0.1, unit="epoch", warmup=0) == pytest.approx(
        expected
    )


def test_multistep_counts_iterations() -> None:
    seen = rates(multistep, milestones=[3], gamma=0.5, unit="iteration", warmup=0)
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_cosine_falls_to_its_final_factor() -> None:
    seen = rates(cosine, steps=9, final=0.1, unit="iteration", warmup=0)
    by_hand = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    assert seen == pytest.approx(by_hand)


def test_cosine_per_epoch_is_a_staircase() -> None:
    seen = rates(cosine, final=0.0, unit="epoch", warmup=0)
    assert seen[0::2] == seen[1::2]
    assert seen[2] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_rejects_an_unknown_unit() -> None:
    with pytest.raises(ValueError, match="epoch or iteration"):
        rates(cosine, final=0.0, unit="minutes", warmup=0)
