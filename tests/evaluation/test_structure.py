"""Metrics of the embedding space against loops over pairs and NumPy's SVD."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import Tensor

from evaluation.dists import inter, intra, ratio
from evaluation.rho_spectrum import rho_spectrum
from evaluation.spectrum import singular_values
from evaluation.undefined import UndefinedError


def cosine_distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(1 - x @ y / np.sqrt(x @ x) / np.sqrt(y @ y))


def mean_over_pairs(vectors: list[np.ndarray]) -> float:
    return float(np.mean([cosine_distance(x, y) for x, y in permutations(vectors, 2)]))


@pytest.fixture
def space() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([3, 3, 3, 8, 8, 5, 5, 5, 5, 1])  # class 1 has one sample
    return torch.randn(10, 4, generator=generator) + 1, labels


def test_dists_equal_loops_over_pairs(space: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = space
    vectors = [v / np.linalg.norm(v) for v in embeddings.double().numpy()]
    classes = [
        [v for v, label in zip(vectors, labels, strict=True) if label == c] for c in (3, 8, 5, 1)
    ]
    inside = np.mean([mean_over_pairs(members) for members in classes if len(members) > 1])
    between = mean_over_pairs([np.mean(members, axis=0) for members in classes])
    assert intra(embeddings, labels).item() == pytest.approx(inside, abs=1e-12)
    assert inter(embeddings, labels).item() == pytest.approx(between, abs=1e-12)
    assert ratio(embeddings, labels).item() == pytest.approx(inside / between, abs=1e-12)


def test_dists_ignore_the_length_of_the_embeddings(space: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = space
    longer = embeddings * torch.arange(1, 11)[:, None]
    assert ratio(longer, labels).item() == pytest.approx(ratio(embeddings, labels).item())


def test_dists_of_degenerate_spaces() -> None:
    collapsed, labels = torch.ones(6, 3), torch.arange(6) % 2
    assert intra(collapsed, labels).item() == pytest.approx(0, abs=1e-12)
    assert inter(collapsed, labels).item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(UndefinedError, match="same mean direction"):
        ratio(collapsed, labels)
    with pytest.raises(UndefinedError, match="only one class"):
        inter(collapsed, labels * 0)
    with pytest.raises(UndefinedError, match="no class has two"):
        intra(collapsed, torch.arange(6))


@pytest.mark.parametrize("shape", [(50, 8), (5, 8), (20000, 6)])
def test_singular_values_equal_the_svd(shape: tuple[int, int]) -> None:
    embeddings = torch.randn(*shape) * torch.arange(1, shape[1] + 1) + 0.3
    expected = np.linalg.svd(embeddings.double().numpy(), compute_uv=False)
    found = singular_values(embeddings)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("m", [-10, -2, -1, 1, 2, 10])
def test_rho_equals_the_divergence_of_scipy(m: int) -> None:
    embeddings = torch.randn(100, 12, generator=torch.Generator().manual_seed(1)) + 0.5
    s = np.linalg.svd(embeddings.double().numpy(), compute_uv=False)[abs(m) - 1 :]
    flat = np.ones(len(s)) / len(s)
    expected = entropy(flat, s / s.sum()) if m > 0 else entropy(s / s.sum(), flat)
    found = rho_spectrum(singular_values(embeddings), m).item()
    assert found == pytest.approx(expected, abs=1e-9)


def test_rho_0_is_the_spectrum() -> None:
    spectrum = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    assert rho_spectrum(spectrum, 0).tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_rho_of_a_flat_spectrum_is_zero() -> None:
    for m in (-2, -1, 1, 2, 5):
        assert rho_spectrum(singular_values(torch.eye(5)), m).item() == pytest.approx(0, abs=1e-12)


def test_rho_of_collapsed_embeddings_is_its_limit_or_undefined() -> None:
    spectrum = singular_values(torch.full((40, 8), 0.3))
    assert (spectrum > 0).sum() == 1
    assert rho_spectrum(spectrum, 1).item() == torch.inf
    assert rho_spectrum(spectrum, -1).item() == pytest.approx(np.log(8))
    with pytest.raises(UndefinedError, match="after the first 1"):
        rho_spectrum(spectrum, 2)
    with pytest.raises(UndefinedError, match="after the first 9"):
        rho_spectrum(spectrum, 10)
