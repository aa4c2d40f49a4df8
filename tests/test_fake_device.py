"""What only an accelerator would show, without one: two devices mixed up, a host that waits.

Every loss, miner, regularizer, reducer, distance, metric and search runs on a fake device and gives
the numbers that it gives on the CPU. Autograd has no engine for a device that is not there, so that
a backward pass as a whole is not among it: the project's own slopes are called one by one.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

import core.kernels.all_pairs_hinges
import core.kernels.euclidean
import core.kernels.inverse
import core.kernels.logsumexp
import core.kernels.smooth_ranks
import engine.grad_cache
import evaluation.embed
from batch_mining.distance import DistanceWeightedMiner
from core.distance import SNR, Cosine, DotProduct, Lp
from core.kernels.pack_positives import pack_indices
from core.kernels.soft_histogram import soft_histogram
from core.random import SeededRandom
from core.reducer import (
    ClassWeighted,
    Divisor,
    LossTerms,
    Mean,
    NonZeroMean,
    PerAnchor,
    PerTerm,
    Sum,
    Threshold,
    loss_terms,
)
from core.regularizer import CenterInvariant, LpNorm, RegularFace, SparseCenters, ZeroMean
from core.tuples import all_pairs, to_pairs, to_triplets
from core.types import Outputs, Pairs, Triplets
from engine.build import build_method
from evaluation.evaluator import Evaluator
from evaluation.metrics.nmi import nmi
from evaluation.metrics.recall import recall_at_k
from evaluation.transforms.pca import PCA
from evaluation.transforms.standardize import Standardize
from evaluation.transforms.truncate import Truncate
from methods.method import Batch, Method
from tests.batches import LABELS, batch, listed
from tests.configured import build_loss, build_miner, choices, composed, default_miner
from tests.fake_device import FakeDevice, move

WAITS_OF_A_STEP = {  # where the host waits: for whom, and why
    "core/kernels/pack_positives.py pack_indices": (
        ["loss pnp", "loss precision_at_k", "loss recall_at_k", "loss smoothap", "loss supap"],
        "the most positives of an anchor decide how many blocks of comparisons there are",
    ),
    "core/kernels/triplets_where.py triplets_where": (
        ["miner angular", "miner triplet_margin"],
        "all triplets of a kind are listed, and the data decide how many there are",
    ),
    "core/kernels/triplets_where.py _listed": (
        ["miner angular", "miner triplet_margin"],
        "the same",
    ),
    "core/tuples.py to_triplets": (["to_triplets"], "the same; no loss and no miner asks for it"),
    "core/reducer.py ClassWeighted.__call__": (
        ["reducer ClassWeighted"],
        "the weights come from the host with every batch",
    ),
}
WAITS_OF_AN_EVALUATION = {  # where: why
    "evaluation/metrics/alignment.py alignment": "whether any class has two samples",
    "evaluation/metrics/ami.py expected_information": "how many sizes of classes and clusters there are",  # noqa: E501
    "evaluation/metrics/ami.py expected_terms": "the largest number that two of them can share",
    "evaluation/averages.py Averages.compute": "the categories come from the host; how many classes",  # noqa: E501
    "evaluation/averages.py means_by_group": "how many groups there are",
    "evaluation/bootstrap.py bootstrap_intervals": "the draws come from the host, the same for all devices",  # noqa: E501
    "evaluation/clustering/contingency.py contingency": "how many classes, clusters and pairs of them occur",  # noqa: E501
    "evaluation/search/dense_ranks.py dense_ranks": "the largest class decides how many rows fit the memory",  # noqa: E501
    "evaluation/search/dense_ranks.py ranks_from_similarities": "the largest class of some queries decides the shape",  # noqa: E501
    "evaluation/metrics/dists.py class_sums": "how many classes there are",
    "evaluation/metrics/dists.py inter": "a number comes from the host",
    "evaluation/metrics/dists.py intra": "whether any class has two samples, and which",
    "evaluation/metrics/dists.py ratio": "whether the classes have different means",
    "evaluation/metrics/effective_rank.py effective_rank": "whether all are zero",
    "evaluation/set_evaluator.py SetEvaluator._averages": "the categories are on the host",
    "evaluation/set_evaluator.py SetEvaluator._to_floats": "the results are numbers on the host",
    "evaluation/metrics/f1.py f1": "whether any pair is together",
    "evaluation/metrics/eer.py eer": "a number comes from the host",
    "evaluation/metrics/fnmr.py fnmr_at_fmr": "a number comes from the host",
    "evaluation/metrics/opis.py opis": "a number comes from the host",
    "evaluation/verification/operating_points.py first_bin": "which bin the threshold is in",
    "evaluation/verification/operating_points.py find_operating_points": "how many pairs match",
    "evaluation/verification/operating_points.py pair_histograms": "similarities are counted by their bits",  # noqa: E501
    "evaluation/verification/operating_points.py trailing_histograms": "which bins have a threshold",  # noqa: E501
    "evaluation/verification/operating_points.py Histograms.total": "how many pairs there are of each kind",  # noqa: E501
    "evaluation/verification/class_counts.py class_counts": "which classes there are; thresholds come from the host",  # noqa: E501
    "evaluation/metrics/hubness.py hubness": "which rows are short, and whether all items are alike",  # noqa: E501
    "evaluation/clustering/kmeans.py kmeans": "the start comes from the host; whether any point has moved",  # noqa: E501
    "evaluation/clustering/kmeans.py move": "which clusters are empty",
    "evaluation/embedded_set.py EmbeddedSet.clusterings": "how many classes there are",
    "evaluation/embedded_set.py check_embeddings": "whether all embeddings are finite",
    "evaluation/embedded_set.py flagged_indices": "how many queries and gallery items there are",
    "evaluation/search/relevance_index.py RelevanceIndex.queries_with_positives": "which queries have a relevant item",  # noqa: E501
    "evaluation/search/ranks.py relevant_ranks": "whether the queries are the gallery",
    "evaluation/search/gallery_groups.py GalleryGroups.pairs": "how many items the queries ignore",
    "evaluation/metrics/rho_spectrum.py rho_spectrum": "whether all are zero",
    "evaluation/clustering/sums.py sums_by_group": "how many samples each group has",
}
WAITS_OF_OTHER_SETTINGS = {  # where: why
    "evaluation/categories.py positions_by_category": "which categories have a query",
    "evaluation/evaluator.py Evaluator.prepare": "the categories come from the host",
    "evaluation/samples.py Samples.subset": "the positions of a category come from the host",
}

OPERATORS = {
    "counts_before": core.kernels.smooth_ranks._counts_before._init_fn,
    "counts_before_gradient": core.kernels.smooth_ranks._gradient._init_fn,
}
DRAWN_FOR_ALL = {"rho_distance"}  # on the CPU it draws for the valid triplets alone


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """The device, whose random numbers come from the host, as do the states of their streams."""

    def stream(draw: SeededRandom, _like: Tensor) -> torch.Generator:
        return draw.__dict__.setdefault("stream", torch.Generator().manual_seed(draw.seed))

    monkeypatch.setattr(SeededRandom, "_generator_on", stream)
    monkeypatch.setattr(engine.grad_cache, "random_states", lambda _: [torch.get_rng_state()])
    monkeypatch.setattr(evaluation.embed, "preserve_random_state", nullcontext)
    return FakeDevice(OPERATORS)


def expected_of(subject: str) -> set[str]:
    return {place for place, (subjects, _) in WAITS_OF_A_STEP.items() if subject in subjects}


def same(device: FakeDevice, got: Any, expected: Any) -> None:  # noqa: ANN401
    assert got.device.type == "cuda"
    torch.testing.assert_close(device.value(got).detach(), expected.detach())


def test_the_list_of_waits_names_what_there_is() -> None:
    subjects = {name for names, _ in WAITS_OF_A_STEP.values() for name in names}
    known = {f"loss {name}" for name in choices("loss")}
    known |= {f"miner {name}" for name in choices("batchminer")}
    assert subjects <= {*known, "reducer ClassWeighted", "to_triplets"}


@pytest.mark.parametrize("loss", choices("loss"))
def test_a_loss_with_its_default_miner(loss: str, device: FakeDevice) -> None:
    """Where it keeps something, two steps: the second one sees what the first has changed."""
    placed, own = (seeded(build_loss, loss, default_miner(loss)) for _ in range(2))
    move(device, placed)
    for step in range(2 if list(own.buffers()) else 1):
        embeddings, labels = batch(LABELS["balanced"], seed=step)
        x = embeddings.detach().float()
        with device:
            value = seeded(placed, device.placed(x).requires_grad_(), device.placed(labels))
        same(device, value, seeded(own, x, labels))
    assert device.waits == expected_of(f"loss {loss}")


@pytest.mark.parametrize(
    "options", [{"swap": True}, {"smooth": True, "swap": True}, {"triplets_per_anchor": 3}], ids=str
)
def test_a_loss_with_an_option(options: dict[str, Any], device: FakeDevice) -> None:
    placed, own = (build_loss("triplet", **options) for _ in range(2))
    move(device, placed)
    embeddings, labels = batch(LABELS["unbalanced"])
    x = embeddings.detach().float()
    with device:
        value = placed(device.placed(x), device.placed(labels))
    same(device, value, own(x, labels))
    assert not device.waits


@pytest.mark.parametrize("with_references", [False, True], ids=["batch", "references"])
@pytest.mark.parametrize("miner", [name for name in choices("batchminer") if name != "none"])
def test_a_miner(miner: str, with_references: bool, device: FakeDevice) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    inputs = [embeddings.detach().float(), labels]
    if with_references:
        references, reference_labels = batch(LABELS["balanced"], seed=1)
        inputs += [references.detach().float(), reference_labels]
    placed, own = build_miner(miner), build_miner(miner)
    if isinstance(placed, nn.Module):
        move(device, placed)
    with device:
        found = placed(*map(device.placed, inputs))
    assert device.waits == expected_of(f"miner {miner}")
    numbers = type(found)(*(None if part is None else device.value(part) for part in found))
    assert {part.device.type for part in found if part is not None} == {"cuda"}
    if not device.waits and isinstance(found, Triplets):
        assert found.anchors.shape == found.valid.shape == labels.shape
    expected = own(*inputs)
    if miner in DRAWN_FOR_ALL:
        assert [a for a, *_ in listed(numbers)] == [a for a, *_ in listed(expected)]
    elif isinstance(found, Pairs):
        assert all(a.equal(b) for a, b in zip(numbers, expected, strict=True))
    else:
        assert listed(numbers) == listed(expected)


@pytest.mark.parametrize("triplets_per_anchor", [3, "all_positives"])
def test_a_miner_of_several_triplets_per_anchor(
    triplets_per_anchor: int | str, device: FakeDevice
) -> None:
    miner = DistanceWeightedMiner(triplets_per_anchor=triplets_per_anchor)
    placed = move(device, miner)
    x, labels = batch(LABELS["unbalanced"])[0].detach().float(), torch.tensor(LABELS["unbalanced"])
    with device:
        found = placed(device.placed(x), device.placed(labels))
    numbers = Triplets(*map(device.value, found))
    expected = listed(DistanceWeightedMiner(triplets_per_anchor=triplets_per_anchor)(x, labels))
    if triplets_per_anchor == 3:
        assert listed(numbers) == expected
    assert sorted((a, p) for a, p, _ in listed(numbers)) == sorted((a, p) for a, p, _ in expected)
    assert not device.waits


PENALTIES = [LpNorm(), LpNorm(p=1, power=2), ZeroMean(), RegularFace(), CenterInvariant()]
PENALTIES += [RegularFace(distance=SNR()), SparseCenters(2, distance=Lp(p=1))]


@pytest.mark.parametrize("penalty", [*PENALTIES, SparseCenters(2)], ids=lambda x: type(x).__name__)
def test_a_regularizer(penalty: Any, device: FakeDevice) -> None:  # noqa: ANN401
    vectors = batch(LABELS["balanced"])[0].detach().float()
    with device:
        value = penalty(device.placed(vectors))
    same(device, value, penalty(vectors))
    assert not device.waits


REDUCERS = [
    Mean(),
    NonZeroMean(),
    Sum(),
    Divisor(2),
    Threshold(0.1, 1),
    ClassWeighted([1, 2, 3, 4]),
]


@pytest.mark.parametrize(
    "reducer", [*REDUCERS, PerAnchor(), PerTerm({"pairs": Sum()})], ids=lambda x: type(x).__name__
)
def test_a_reducer(reducer: Any, device: FakeDevice) -> None:  # noqa: ANN401
    labels = torch.tensor(LABELS["balanced"])
    losses = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    pairs = loss_terms(losses, losses > 0.3)
    with device:
        terms = LossTerms(*map(device.placed, pairs[:3]))
        value = reducer(device.placed(labels), pairs=terms)
    same(device, value, reducer(labels, pairs=pairs))
    assert device.waits == expected_of(f"reducer {type(reducer).__name__}")


DISTANCES = [
    Lp(),
    Lp(p=1),
    Lp(power=2),
    Lp(normalize=False),
    Cosine(),
    DotProduct(),
    SNR(),
    SNR(True),
]


@pytest.mark.parametrize("distance", DISTANCES, ids=lambda x: type(x).__name__)
def test_a_distance(distance: Any, device: FakeDevice) -> None:  # noqa: ANN401
    x, y = (batch(LABELS[name])[0].detach().float() for name in ("balanced", "unbalanced"))
    with device:
        within, across = device.placed(x), device.placed(y)
        found = [distance(within), distance(within, across), distance.similarity(within, across)]
    for got, expected in zip(
        found, [distance(x), distance(x, y), distance.similarity(x, y)], strict=True
    ):
        same(device, got, expected)
    assert not device.waits


def test_conversions_of_tuples(device: FakeDevice) -> None:
    labels = torch.tensor(LABELS["unbalanced"])
    with device:
        pairs = all_pairs(device.placed(labels))
        to_pairs(Triplets(*map(device.placed, to_triplets(all_pairs(labels))[:3])), 9, 9)
    assert not device.waits
    with device:
        to_triplets(pairs)
    assert device.waits == expected_of("to_triplets")


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_the_forward_pass_of_a_step(chunk_size: int | None, device: FakeDevice) -> None:
    build = instantiate(composed("backbone=convnet").backbone)
    model = move(device, build).train()
    criterion = move(device, build_loss("margin", "distance"))
    images = torch.randint(256, (8, 3, 28, 28), dtype=torch.uint8)
    with device, torch.backends.cudnn.flags(enabled=False):
        images, labels = device.placed(images), device.placed(torch.tensor(LABELS["balanced"]))
        if chunk_size is None:
            embeddings = model(images)
        else:
            embeddings = engine.grad_cache.forward_chunks(model, images, chunk_size).embeddings
        loss = criterion(embeddings, labels)
    assert loss.device.type == "cuda"
    assert device.value(loss).isfinite()
    assert not device.waits


@pytest.mark.parametrize("choice", choices("method"))
def test_the_losses_of_a_method(choice: str, device: FakeDevice) -> None:
    images = torch.randint(256, (12, 3, 28, 28), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 1])  # as triplets, or as pairs, too
    placed, own = (seeded(method_and_embedder, choice) for _ in range(2))
    for module in placed:
        move(device, module)
    criterion = build_loss("triplet")
    with device, torch.backends.cudnn.flags(enabled=False):
        given = Batch(device.placed(images), device.placed(labels), 0)
        losses = placed[0](given, partial(outputs, *placed), criterion)
    expected = own[0](Batch(images, labels, 0), partial(outputs, *own), criterion)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        same(device, loss, expected[name])
    assert not device.waits


def method_and_embedder(choice: str) -> tuple[Method, nn.Module]:
    config = composed(f"method={choice}", "backbone=convnet", "backbone.batchnorm=frozen")
    backbone = instantiate(config.backbone)
    method = build_method(config, backbone)
    return method, method.embedder(backbone)


def outputs(method: Method, embedder: nn.Module, images: Tensor) -> Outputs:
    return embedder(images, detailed=True) if method.details else Outputs(embedder(images))


def test_all_that_is_measured(device: FakeDevice) -> None:
    """Every metric of every kind, by every way to search and to average."""
    for distance in ("cosine", "euclidean"):
        measure = instantiate(everything(distance))
        x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(10).repeat(4).index_fill(0, torch.tensor([0]), 11)
        is_query = torch.arange(40) % 3 > 0
        categories = ["a", "b"] * 20
        with device:
            placed = device.placed(x), device.placed(labels)
            found = measure(*placed, device.placed(is_query), categories=categories)
        expected = measure(x, labels, is_query, categories=categories)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
    assert device.waits == set(WAITS_OF_AN_EVALUATION)


@pytest.mark.parametrize(
    "changed",
    [
        {"within": "category"},
        {"level": "category"},
        {"transform": PCA(4, fit_on="gallery")},
        {"transform": Standardize()},
        {"transform": Truncate(4)},
    ],
    ids=["within", "level", "pca", "standardize", "truncate"],
)
def test_categories_and_transforms(changed: dict[str, Any], device: FakeDevice) -> None:
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(40, 8, generator=generator), torch.arange(40) // 4
    is_query, categories = torch.arange(40) % 3 > 0, ["a"] * 16 + ["b"] * 24
    metrics = {"recall@1": partial(recall_at_k, k=1), "nmi": nmi}
    measure = Evaluator(metrics, backend="torch", **changed)
    with device:
        placed = device.placed(x), device.placed(labels)
        found = measure(*placed, device.placed(is_query), categories=categories)
    expected = measure(x, labels, is_query, categories=categories)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert device.waits <= {*WAITS_OF_AN_EVALUATION, *WAITS_OF_OTHER_SETTINGS}


def everything(distance: str) -> Any:  # noqa: ANN401
    """The configuration that measures all metrics of conf/, with nothing left out."""
    config = composed(f"metric=[{','.join(choices('metric'))}]").evaluation.measure
    averages = {"by_class": True, "by_category": True, "bootstrap": 20}
    changed = {"distance": distance, "backend": "torch", "restarts": 2, "averages": averages}
    resolved = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    return OmegaConf.merge(resolved, changed)


def test_embedding_a_set_does_not_wait_between_its_batches(device: FakeDevice) -> None:
    model = move(device, nn.Linear(4, 2))
    images = torch.randn(6, 4)
    with device:
        batches = [(device.placed(part), torch.arange(2)) for part in images.split(2)]
        embedded = evaluation.embed.embed(model, batches, torch.device("cuda", 0))
    assert embedded.embeddings.shape == (6, 2)
    assert device.waits == {"evaluation/embed.py embed"}, "the labels, once, at the end"


def marked(x: Tensor) -> Tensor:
    return (x > -0.5) & (torch.arange(x.shape[1]) != 2)


def own_slopes() -> dict[str, tuple[type, list[Any]]]:
    """Autograd functions of the project, and arguments of each; the first one has a slope."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(5, 4, generator=generator), torch.randn(6, 4, generator=generator)
    return {
        "distances within a batch": (core.kernels.euclidean._Euclidean, [x, None]),
        "distances to references": (core.kernels.euclidean._Euclidean, [x, y]),
        "squared distances within a batch": (core.kernels.euclidean._SquaredEuclidean, [x, None]),
        "squared distances to references": (core.kernels.euclidean._SquaredEuclidean, [x, y]),
        "soft maximum": (core.kernels.logsumexp._LogSumExp, [x, marked(x), 1, False]),
        "soft maximum above 0": (core.kernels.logsumexp._LogSumExp, [x, marked(x), 1, True]),
        "all-pairs hinges": (
            core.kernels.all_pairs_hinges._AllPairsHingeSum,
            [x, x[:, :3].contiguous()],
        ),
        "inverse": (core.kernels.inverse._Inverse, [x @ x.T + torch.eye(5)]),
    }


@pytest.mark.parametrize("name", own_slopes())
def test_a_slope_of_our_own(name: str, device: FakeDevice) -> None:
    """Forward and backward, called as autograd would."""
    function, arguments = own_slopes()[name]
    leaf = arguments[0].clone().requires_grad_()
    outputs = function.apply(leaf, *arguments[1:])
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    slopes = torch.randn(first.shape, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad(first, leaf, slopes)
    context = Context(needs_input_grad=(True, True))
    with device, torch.no_grad():
        placed = [device.placed(x) if isinstance(x, Tensor) else x for x in arguments]
        found = function.forward(context, *placed)
        pair = (
            [device.placed(slopes), None] if isinstance(found, tuple) else [device.placed(slopes)]
        )
        gradients = function.backward(context, *pair)
    same(device, found[0] if isinstance(found, tuple) else found, first)
    gradient = gradients[0] if isinstance(gradients, tuple) else gradients
    same(device, gradient, expected)
    assert not device.waits


class Context(SimpleNamespace):
    """What autograd gives a function to keep things in."""

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *_: Tensor) -> None:
        pass


def test_the_slope_of_the_ranks_does_not_wait_again(device: FakeDevice) -> None:
    """The forward pass has learnt how many positives an anchor has."""
    embeddings, labels = batch(LABELS["unbalanced"])
    similarities = Cosine().similarity(embeddings.detach().float())
    pairs, steps = (
        all_pairs(labels),
        [*core.kernels.smooth_ranks.SmoothStep(0.1), *core.kernels.smooth_ranks.SmoothStep(0.1)],
    )
    by = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    with device:
        placed = [device.placed(x) for x in (similarities, *pairs)]
        before = torch.ops.dml.counts_before(*placed, steps)
        forward, device.waits = device.waits, set()
        slopes = [device.placed(part) for part in by]
        gradient = torch.ops.dml.counts_before_gradient(*slopes, *placed, before[2], steps)
    assert forward == {"core/kernels/pack_positives.py pack_indices"}
    assert not device.waits
    expected = torch.ops.dml.counts_before(similarities, *pairs, steps)
    for got, wanted in zip(before[:2], expected[:2], strict=True):
        same(device, got, wanted)
    same(
        device,
        gradient,
        torch.ops.dml.counts_before_gradient(*by, similarities, *pairs, expected[2], steps),
    )


def test_histograms_and_columns(device: FakeDevice) -> None:
    positions = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) * 9
    with device:
        histogram = soft_histogram(device.placed(positions), device.placed(positions > 1), 10)
    same(device, histogram, soft_histogram(positions, positions > 1, 10))
    assert not device.waits
    with device:
        pack_indices(device.placed(positions > 1))
    assert device.waits == {"core/kernels/pack_positives.py pack_indices"}


def test_a_mix_up_and_a_wait_are_noticed(device: FakeDevice) -> None:
    """By a device that would let both pass, nothing above proved anything."""
    with device:
        x = device.placed(torch.randn(4, 3))
        assert device.value(x + torch.tensor(1.0)).shape == (4, 3)  # a number may be anywhere
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(3)
        for wait in (
            lambda: x.sum().item(),
            lambda: bool((x > 0).any()),
            lambda: (x > 0).nonzero(),
            lambda: x[x > 0],
            lambda: x.cpu(),
            lambda: x[[0, 1]],
            lambda: torch.ones(3).to("cuda"),
            lambda: torch.linalg.inv(x[:3]),
            lambda: x.index_put((x[:, 0] > 0,), x[0]),
        ):
            device.waits.clear()
            wait()
            assert device.waits == {"a test"}


def seeded(compute: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
    """Whatever is drawn from the global stream is the same in two calls."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return compute(*arguments)
