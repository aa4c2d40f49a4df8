"""Transforms of embeddings against NumPy, scikit-learn and pytorch-metric-learning."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytorch_metric_learning.testers import GlobalEmbeddingSpaceTester
from sklearn import decomposition
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from core.errors import ComponentError, UserError
from evaluation.evaluator import Evaluator
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.mean_norm import mean_norm
from evaluation.metrics.recall import recall_at_k
from evaluation.transforms.moments import ROWS
from evaluation.transforms.pca import PCA
from evaluation.transforms.standardize import Standardize
from evaluation.transforms.transform import TransformError
from evaluation.transforms.truncate import Truncate

EVERYONE = torch.arange(50)


def recall(ranking: object) -> Tensor:
    return recall_at_k(ranking, k=1)


METRICS = {"recall@1": recall, "map@r": map_at_r}


@pytest.fixture
def embeddings() -> Tensor:
    """Fifty correlated embeddings of eight dimensions with a mean far from zero."""
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(8, 8, generator=generator) * torch.logspace(0, -2, 8)[:, None]
    return torch.randn(50, 8, generator=generator) @ factors + 3


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def with_sign(projected: np.ndarray, components: np.ndarray) -> np.ndarray:
    """The largest entry of each component (rows) is positive."""
    largest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
    return projected * np.sign(largest)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("num_components", [1, 3, 8, None])
def test_pca_agrees_with_scikit_learn(
    embeddings: Tensor, num_components: int | None, whiten: bool, standardize: bool
) -> None:
    x = embeddings.double().numpy()
    x = StandardScaler().fit_transform(x) * np.sqrt(49 / 50) if standardize else x
    theirs = decomposition.PCA(num_components, whiten=whiten, svd_solver="full").fit(x)
    expected = with_sign(theirs.transform(x), theirs.components_)
    options = {"whiten": whiten, "standardize": standardize}
    raw = PCA(num_components, normalize=False, **options)(embeddings, EVERYONE)
    np.testing.assert_allclose(raw.numpy(), expected, atol=2e-5)
    assert raw.dtype == torch.float32
    normalized = PCA(num_components, **options)(embeddings, EVERYONE)
    np.testing.assert_allclose(normalized.numpy(), unit(expected), atol=1e-4)


def test_whitened_components_are_uncorrelated_with_variance_one(embeddings: Tensor) -> None:
    white = PCA(5, whiten=True, normalize=False)(embeddings.double(), EVERYONE)
    torch.testing.assert_close(white.T.cov(), torch.eye(5, dtype=torch.float64))


def test_pca_agrees_with_the_tester_of_pytorch_metric_learning(embeddings: Tensor) -> None:
    tester = GlobalEmbeddingSpaceTester(pca=3, data_device=torch.device("cpu"))
    theirs = tester.maybe_normalize(embeddings)
    ours = PCA(3)(embeddings, EVERYONE)
    torch.testing.assert_close(ours @ ours.T, theirs @ theirs.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [PCA, Standardize])
def test_a_fit_on_the_gallery_does_not_look_at_queries(
    embeddings: Tensor, kind: Callable[..., Callable[..., Tensor]]
) -> None:
    gallery = torch.arange(10, 50)
    transform = kind(normalize=False, fit_on="gallery")
    found = transform(embeddings, gallery)
    assert found[gallery].equal(kind(normalize=False)(embeddings[gallery], torch.arange(40)))
    changed = embeddings.clone()
    changed[:10] *= 7
    assert transform(changed, gallery)[gallery].equal(found[gallery])
    assert not kind(normalize=False)(changed, gallery)[gallery].equal(found[gallery])


def test_standardised_dimensions_have_mean_zero_and_variance_one(embeddings: Tensor) -> None:
    found = Standardize(normalize=False)(embeddings, EVERYONE)
    x = embeddings.double().numpy()
    expected = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    normalized = Standardize()(embeddings, EVERYONE)
    np.testing.assert_allclose(normalized.numpy(), unit(expected), atol=1e-5)


def test_a_dimension_that_does_not_vary_is_not_divided(embeddings: Tensor) -> None:
    embeddings[:, 2] = 0.1
    for transform in (Standardize(normalize=False), PCA(normalize=False), PCA(8, whiten=True)):
        assert transform(embeddings, EVERYONE).isfinite().all()
    assert Standardize(normalize=False)(embeddings, EVERYONE)[:, 2].abs().max() < 1e-6
    white = PCA(whiten=True, normalize=False)(embeddings, EVERYONE)
    assert not white[:, 7].any()  # the component without variance
    alike = torch.ones(50, 8)
    for transform in (Standardize(), PCA(), PCA(whiten=True)):
        assert not transform(alike, EVERYONE).any()


def test_truncation_keeps_the_first_dimensions(embeddings: Tensor) -> None:
    kept = Truncate(3, normalize=False)(embeddings)
    assert kept.equal(embeddings[:, :3])
    torch.testing.assert_close(Truncate(3)(embeddings), torch.nn.functional.normalize(kept))


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (PCA(9), "PCA of 50 embeddings of 8 dimensions has at most 8 components, got .*=9"),
        (PCA(7, fit_on="gallery"), "of 6 embeddings of 8 dimensions has at most 6 components"),
        (PCA(fit_on="gallery"), "has at most 6 components, got num_components=8"),
        (Truncate(9), "keeps dim=9 dimensions, and the embeddings have 8"),
        (Standardize(fit_on="queries"), "fit_on must be all or gallery, got 'queries'"),
    ],
)
def test_what_cannot_be_applied_is_one_line(
    embeddings: Tensor, transform: Callable[..., Tensor], reason: str
) -> None:
    labels, is_gallery = torch.arange(50) % 5, torch.arange(50) < 6
    evaluate = Evaluator(METRICS, transform=transform)
    with pytest.raises(TransformError, match=reason) as caught:
        evaluate(embeddings, labels, None, is_gallery)
    assert isinstance(caught.value, UserError)
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_below_one_are_refused_when_it_is_built() -> None:
    for build in (lambda: PCA(0), lambda: Truncate(0)):
        with pytest.raises(TransformError, match="must be at least 1, got 0"):
            build()
    with pytest.raises(TransformError, match="empty gallery"):
        Standardize(fit_on="gallery")(torch.ones(3, 2), EVERYONE[:0])


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_evaluator_measures_the_transformed_embeddings(
    embeddings: Tensor, distance: str
) -> None:
    labels, is_gallery = torch.arange(50) % 5, torch.arange(50) > 20
    metrics = {**METRICS, "mean_norm": mean_norm}
    evaluate = Evaluator(metrics, distance=distance, transform=PCA(4, fit_on="gallery"))
    by_hand = PCA(4)(embeddings[is_gallery], torch.arange(29))
    results = evaluate(embeddings, labels, None, is_gallery)
    assert results["mean_norm"] == pytest.approx(1, abs=1e-6)
    transformed = PCA(4, fit_on="gallery")(embeddings, is_gallery.nonzero().squeeze(1))
    torch.testing.assert_close(transformed[is_gallery], by_hand)
    expected = Evaluator(metrics, distance=distance)(transformed, labels, None, is_gallery)
    assert results == expected
    assert evaluate.with_queries(embeddings, labels, None, is_gallery)[0] == expected


def test_any_function_of_embeddings_is_a_transform(embeddings: Tensor) -> None:
    labels = torch.arange(50) % 5
    expected = Evaluator(METRICS)(embeddings[:, [0, 5]], labels)
    found = Evaluator(METRICS, transform=lambda x: x[:, [0, 5]].double())(embeddings, labels)
    assert found == pytest.approx(expected, abs=1e-6)
    Evaluator(METRICS, transform=torch.tanh)(embeddings, labels)  # without a signature
    seen = []

    def with_gallery(x: Tensor, gallery: Tensor) -> Tensor:
        seen.append(gallery.tolist())
        return x

    Evaluator(METRICS, transform=with_gallery)(embeddings, labels, None, torch.arange(50) > 46)
    assert seen == [[47, 48, 49]]


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (lambda x: x[1:], r"got shape \(49, 8\)"),
        (lambda x: x.numpy(), "got ndarray"),
        (lambda x: None, "got NoneType"),  # noqa: ARG005
        (lambda x: x[:, 0], r"got shape \(50,\)"),
    ],
)
def test_a_transform_must_return_embeddings(
    embeddings: Tensor, wrong: Callable[..., object], got: str
) -> None:
    with pytest.raises(ComponentError, match=f"transform must return .* N = 50, {got}"):
        Evaluator(METRICS, transform=wrong)(embeddings, torch.arange(50) % 5)


def test_embeddings_that_are_not_finite_are_named_before_the_transform(
    embeddings: Tensor,
) -> None:
    embeddings[3, 2] = math.nan
    with pytest.raises(ValueError, match="1 of 50 embeddings are not finite"):
        Evaluator(METRICS, transform=PCA(2))(embeddings, torch.arange(50) % 5)


def test_chunks_of_rows_make_no_difference() -> None:
    many = torch.randn(ROWS + 5, 3, generator=torch.Generator().manual_seed(0))
    covariance = np.cov(many.double().numpy().T)
    variances = np.linalg.eigvalsh(covariance)[::-1]
    found = PCA(2, standardize=False, normalize=False)(many, torch.arange(len(many)))
    np.testing.assert_allclose(found.double().var(dim=0).numpy(), variances[:2], rtol=1e-5)
    np.testing.assert_allclose(found.double().mean(dim=0).numpy(), 0, atol=1e-5)
