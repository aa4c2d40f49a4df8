"""The draws of SeededRandom follow their probabilities at any scale of the logits."""

import torch

from core.random import SeededRandom
from tests.batches import chi_square_p

ODDS = [0.0, 1.0, 2.0, 5.0]


def test_categorical_draws_follow_the_odds() -> None:
    logits = torch.tensor(ODDS).log().repeat(4000, 1)
    counts = SeededRandom(seed=0)(logits).bincount(minlength=4).tolist()
    assert chi_square_p(counts, [odds / sum(ODDS) for odds in ODDS]) > 0.001


def test_only_the_ratio_of_odds_matters() -> None:
    """Odds of e^±1000 overflow as numbers; as logarithms they do not."""
    logits = torch.tensor(ODDS).log().repeat(100, 1)
    drawn = [SeededRandom(seed=0)(logits + shift) for shift in (-1000, 0, 1000)]
    assert drawn[0].equal(drawn[1])
    assert drawn[2].equal(drawn[1])


def test_choice_is_uniform_over_the_marked_columns() -> None:
    marked = torch.tensor([True, False, True, True]).repeat(3000, 1)
    counts = SeededRandom(seed=0).choice(marked).bincount(minlength=4).tolist()
    assert chi_square_p(counts, [1 / 3, 0, 1 / 3, 1 / 3]) > 0.001


def test_choice_without_a_marked_column_gives_column_0() -> None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert SeededRandom(seed=0).choice(nothing).tolist() == [0, 0]


def test_bernoulli_draws_have_their_probability() -> None:
    happened = int(SeededRandom(seed=0).bernoulli(0.2, like=torch.empty(4000)).sum())
    assert chi_square_p([happened, 4000 - happened], [0.2, 0.8]) > 0.001


def test_uniform_numbers_fill_the_unit_interval() -> None:
    draw, like = SeededRandom(seed=0), torch.empty(1)
    numbers = draw.uniform(50, 80, like=like)
    assert numbers.dtype == torch.float64
    tenths = (numbers * 10).long().flatten().bincount(minlength=10).tolist()
    assert chi_square_p(tenths, [0.1] * 10) > 0.001
    assert not numbers.equal(draw.uniform(50, 80, like=like))


def test_several_draws_follow_the_odds_of_their_row() -> None:
    logits = torch.tensor([ODDS, ODDS[::-1]]).log() + torch.tensor([[1000.0], [-1000.0]])
    drawn = SeededRandom(seed=0).several(logits, 4000)
    assert drawn.shape == (2, 4000)
    for row, odds in zip(drawn, (ODDS, ODDS[::-1]), strict=True):
        counts = row.bincount(minlength=4).tolist()
        assert chi_square_p(counts, [value / sum(odds) for value in odds]) > 0.001


def test_several_draws_never_leave_the_marked_columns() -> None:
    """Even if the uniform number is the largest below 1, whose product is rounded."""

    class Largest(SeededRandom):
        def uniform(self, *shape: int, like: torch.Tensor) -> torch.Tensor:
            return torch.ones(shape, dtype=torch.float64, device=like.device) - 2**-53

    marked = torch.tensor([[False, True, True, True, False], [True, False, False, False, False]])
    for draw, expected in ((Largest(seed=0), [[3], [0]]), (SeededRandom(seed=0), None)):
        columns = draw.several(marked.log(), 1)
        assert marked.gather(1, columns).all()
        assert expected is None or columns.tolist() == expected
    assert SeededRandom(seed=0).several(marked[:, 4:].log(), 2).tolist() == [[0, 0], [0, 0]]
