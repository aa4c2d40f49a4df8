"""Combined embeddings: the cosine they promise, and what cannot be combined."""

import pytest
import torch
from torch import Tensor

from evaluation.ensemble import concatenate_embeddings, evaluate_ensemble
from evaluation.evaluator import Evaluator
from evaluation.metrics.map_at_r import map_at_r


@pytest.fixture
def parts() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.rand(30, 1, generator=generator) * 100
    return [lengths * torch.randn(30, dim, generator=generator) for dim in (4, 7, 2)]


@pytest.mark.parametrize("weights", [None, [1, 1, 1], [0.5, 2, 1], [0, 3, 4], [0, 0, 1e-3]])
def test_the_cosine_is_the_weighted_mean_of_the_cosines(
    parts: list[Tensor], weights: list[float] | None
) -> None:
    found = concatenate_embeddings(parts, weights)
    assert found.shape == (30, 13)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(30))
    shares = [weight**2 for weight in weights or [1, 1, 1]]
    for i in range(0, 30, 7):
        for j in range(30):
            cosines = [torch.cosine_similarity(part[i], part[j], dim=0).item() for part in parts]
            mean = sum(s * c for s, c in zip(shares, cosines, strict=True)) / sum(shares)
            assert (found[i] @ found[j]).item() == pytest.approx(mean, abs=1e-6)


def test_one_part_alone_is_that_part(parts: list[Tensor]) -> None:
    torch.testing.assert_close(
        concatenate_embeddings(parts[:1]), torch.nn.functional.normalize(parts[0])
    )
    torch.testing.assert_close(
        concatenate_embeddings(parts, [0, 1, 0])[:, 4:11], concatenate_embeddings(parts[1:2])
    )
    assert concatenate_embeddings([parts[0].half()]).dtype == torch.float32


def test_an_ensemble_of_noisy_runs_beats_each_of_them() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 20
    centers = torch.randn(20, 8, generator=generator)
    folds = [centers[labels] + 1.5 * torch.randn(200, 8, generator=generator) for _ in range(4)]
    evaluation = Evaluator({"map@r": map_at_r})
    single = [evaluation(fold, labels)["map@r"] for fold in folds]
    assert evaluation(concatenate_embeddings(folds), labels)["map@r"] > max(single) + 0.1


def test_singly_and_combined(parts: list[Tensor]) -> None:
    heads = dict(zip(("class", "intra", "shared"), parts, strict=True))
    found = evaluate_ensemble(heads)
    assert list(found) == ["class", "intra", "shared", "combined"]
    assert found["intra"] is parts[1]
    assert found["combined"].equal(concatenate_embeddings(parts))
    some = evaluate_ensemble(heads, {"shared": 2, "class": 1}, name="two")
    assert list(some) == ["class", "intra", "shared", "two"]
    assert some["two"].equal(concatenate_embeddings([parts[2], parts[0]], [2, 1]))


def test_impossible_combinations_are_errors(parts: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="got none"):
        concatenate_embeddings([])
    with pytest.raises(ValueError, match=r"got \[29, 30\]"):
        concatenate_embeddings([parts[0], parts[1][1:]])
    for weights in ([1, 1], [1, 1, -1], [0, 0, 0], []):
        with pytest.raises(ValueError, match="3 weights"):
            concatenate_embeddings(parts, weights)
    with pytest.raises(ValueError, match="no part is called c; the parts are a, b"):
        evaluate_ensemble({"a": parts[0], "b": parts[1]}, {"a": 1, "c": 1})
    with pytest.raises(ValueError, match="combined is a part"):
        evaluate_ensemble({"combined": parts[0]})
