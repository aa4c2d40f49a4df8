"""Metrics of the embedding space against loops over pairs and NumPy's SVD."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import Tensor

from evaluation.metrics.alignment import alignment
from evaluation.metrics.dists import inter, intra, ratio
from evaluation.metrics.effective_rank import effective_rank
from evaluation.metrics.mean_norm import mean_norm
from evaluation.metrics.rho_spectrum import rho_spectrum, rho_spectrum_centered
from evaluation.metrics.spectrum import singular_values
from evaluation.metrics.undefined import UndefinedError
from evaluation.metrics.uniformity import uniformity


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


@pytest.mark.parametrize("shape", [(50, 8), (5, 8), (20000, 6)])
def test_centered_singular_values_equal_the_svd_without_the_mean(shape: tuple[int, int]) -> None:
    embeddings = torch.randn(*shape) * torch.arange(1, shape[1] + 1) + 30
    vectors = embeddings.double().numpy()
    expected = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    found = singular_values(embeddings, centered=True).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9 * expected[0])


def test_centered_rho_ignores_where_the_embeddings_are() -> None:
    embeddings = torch.randn(100, 12, generator=torch.Generator().manual_seed(1))
    there, far = (singular_values(e, centered=True) for e in (embeddings, embeddings.double() + 9))
    for m in (-1, 1, 2):
        found = rho_spectrum_centered(there, m).item()
        assert found == pytest.approx(rho_spectrum_centered(far, m).item(), abs=1e-6)
        assert found == rho_spectrum(there, m).item()
    assert rho_spectrum(singular_values(embeddings.double() + 9), 1) > rho_spectrum(far, 1) + 0.1


@pytest.mark.parametrize("value", [0.3, 1e-3, 1e4 / 3])
def test_collapsed_embeddings_have_nothing_left_without_their_mean(value: float) -> None:
    collapsed = torch.full((4001, 7), value, dtype=torch.float64)  # the mean gets rounded
    spectrum = singular_values(collapsed, centered=True)
    assert spectrum.tolist() == [0] * 7
    with pytest.raises(UndefinedError, match="after the first 0"):
        rho_spectrum_centered(spectrum, 1)


def test_effective_rank_is_the_exponential_of_the_entropy() -> None:
    embeddings = torch.randn(60, 9, generator=torch.Generator().manual_seed(0)) + 0.5
    s = np.linalg.svd(embeddings.double().numpy(), compute_uv=False)
    found = effective_rank(singular_values(embeddings)).item()
    assert found == pytest.approx(np.exp(entropy(s / s.sum())), abs=1e-9)
    assert effective_rank(singular_values(torch.eye(7))).item() == pytest.approx(7)
    assert effective_rank(singular_values(torch.ones(7, 3))).item() == pytest.approx(1)
    with pytest.raises(UndefinedError, match="all embeddings are zero"):
        effective_rank(singular_values(torch.zeros(7, 3)))


def squared_distance(x: np.ndarray, y: np.ndarray) -> float:
    return float(((x - y) ** 2).sum())


def test_alignment_and_uniformity_equal_loops_over_pairs(space: tuple[Tensor, Tensor]) -> None:
    embeddings, labels = space
    unit = [v / np.linalg.norm(v) for v in embeddings.double().numpy()]
    pairs = list(permutations(range(10), 2))
    together = [squared_distance(unit[i], unit[j]) for i, j in pairs if labels[i] == labels[j]]
    assert alignment(embeddings, labels).item() == pytest.approx(np.mean(together), abs=1e-12)
    for t in (0.5, 2, 7):
        potentials = [np.exp(-t * squared_distance(unit[i], unit[j])) for i, j in pairs]
        expected = np.log(np.mean(potentials))
        for memory in (1, 100, 2**20):
            found = uniformity(embeddings, t, memory).item()
            assert found == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(  # the layout of the paper's code, torch.pdist(x).pow(2)
        uniformity(embeddings.double()),
        torch.pdist(torch.nn.functional.normalize(embeddings.double()))
        .pow(2)
        .mul(-2)
        .exp()
        .mean()
        .log(),
    )


def test_alignment_and_uniformity_of_degenerate_spaces() -> None:
    collapsed, labels = torch.ones(6, 3), torch.arange(6) % 2
    assert alignment(collapsed, labels).item() == pytest.approx(0, abs=1e-12)
    assert uniformity(collapsed).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.tensor([[1.0], [-5.0]]), t=20).item() == pytest.approx(-80, abs=1e-3)
    with pytest.raises(UndefinedError, match="no class has two"):
        alignment(collapsed, torch.arange(6))
    with pytest.raises(UndefinedError, match="only one sample"):
        uniformity(collapsed[:1])
    for t in (0, 21):
        with pytest.raises(ValueError, match="t must be"):
            uniformity(collapsed, t=t)


def test_mean_norm_is_that_of_the_raw_embeddings(space: tuple[Tensor, Tensor]) -> None:
    embeddings, _ = space
    lengths = [np.linalg.norm(v) for v in embeddings.double().numpy()]
    assert mean_norm(embeddings).item() == pytest.approx(np.mean(lengths), rel=1e-6)
    assert mean_norm(3 * embeddings).item() == pytest.approx(3 * np.mean(lengths), rel=1e-6)
    assert mean_norm(torch.full((3, 4), 300, dtype=torch.float16)).item() == 600
