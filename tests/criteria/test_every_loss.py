"""What every loss promises, asked of every YAML of conf/loss."""

import copy
import io
from collections.abc import Callable
from functools import cache, partial
from inspect import signature
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import get_class
from torch import Tensor, nn

from benchmarks.pml_equivalents import PML_LOSSES
from core.classification import ClassifierHead
from core.random import SeededRandom
from core.tuples import all_pairs, drop_invalid, to_triplets
from core.types import Pairs, Triplets
from tests.batches import LABELS, batch
from tests.configured import (
    CONF,
    build_loss,
    build_miner,
    choices,
    default_miner,
    takes_tuples,
    with_parts,
    without_regularizer,
)

LOSSES = choices("loss")
TUPLE_LOSSES = [loss for loss in LOSSES if takes_tuples(loss)]
CLASS_LOSSES = [loss for loss in LOSSES if any("num_classes" in part for part in with_parts(loss))]
PREDICTING = [
    loss
    for loss in CLASS_LOSSES
    if hasattr(get_class(next(with_parts(loss))["_target_"]), "logits")
]
NO_CROSS_ENTROPY = {  # loss: what it computes instead of the cross-entropy of its logits
    "center": "the distance to one center",
    "p2sgrad": "squares",
    "partial_fc": "the cross-entropy over a part of the classes",
    "proxy_anchor": "a sum over the samples of each proxy",
    "proxynca": "a denominator without the own class",
    "proxynca_pp": "the cross-entropy, but not of soft labels",
}
CLASSIFIERS = [loss for loss in PREDICTING if loss not in NO_CROSS_ENTROPY]
NO_PROTOTYPES = {"manifold": "its proxies are of no class"}
WITH_PROTOTYPES = [
    loss
    for loss in LOSSES
    if {"num_classes", "embedding_dim"} <= next(with_parts(loss)).keys()
    and loss not in NO_PROTOTYPES
]
WITH_INITIALIZER = [loss for loss in LOSSES if "init" in next(with_parts(loss))]
PENALIZED = [loss for loss in WITH_PROTOTYPES if "regularizer" in next(with_parts(loss))]
FOLLOWS_THE_BATCHES = {  # what every batch in training changes, so that no two calls are equal
    "adacos": "the scale",
    "center": "the centers",
    "deepncm": "the class means",
    "dynamic_soft_margin": "the distribution of its weights",
    "partial_fc": "the classes that are drawn",
}
NOT_COMPILED: dict[str, str] = {}  # loss: why it has a graph break
NOT_ITS_SLOPE = {"circle": "its weights count as constants; test_circle takes differences so"}
PAIRS_ARE_FEWER_TRIPLETS = {  # loss: which triplets pairs stand for
    "dynamic_soft_margin": "each positive pair with its hardest negative",
}
NOT_SEPARATING = {  # loss: why descent on it alone does not separate the classes
    "intra_pair_variance": "only evens out the pairs of a kind",
    "manifold": "slow: by -0.01 to 0.19 in as many steps, as its proxies are drawn",
}

every_loss = pytest.mark.parametrize("loss", LOSSES)
every_tuple_loss = pytest.mark.parametrize("loss", TUPLE_LOSSES)


def value_and_gradient(criterion: Callable[..., Tensor], x: Tensor, *args: object) -> list[Tensor]:
    x = x.detach().clone().requires_grad_()
    value = criterion(x, *args)
    (gradient,) = torch.autograd.grad(value, x)
    return [value.detach(), gradient]


def settled(loss: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The loss at a state that stays as it is, to be called more than once."""
    criterion = build_loss(loss).to(dtype)
    if loss in FOLLOWS_THE_BATCHES:
        embeddings, labels = batch(LABELS["unbalanced"], seed=1)
        criterion(embeddings.to(dtype), labels)
        criterion.eval()
    return criterion


def test_the_lists_that_the_yaml_gives_are_those_of_the_losses() -> None:
    """So that no loss misses the tests of its kind."""
    built = {loss: build_loss(loss) for loss in LOSSES}
    prototypes = [loss for loss in LOSSES if hasattr(built[loss], "prototypes")]
    modules = {loss: [*built[loss].modules()] for loss in LOSSES}
    with_miner = [loss for loss in LOSSES if "miner" in signature(type(built[loss])).parameters]
    assert with_miner == TUPLE_LOSSES
    assert [
        loss for loss in LOSSES if any(hasattr(module, "num_classes") for module in modules[loss])
    ] == CLASS_LOSSES
    assert [loss for loss in CLASS_LOSSES if hasattr(built[loss], "logits")] == PREDICTING
    assert {*prototypes, "partial_fc"} == {*PREDICTING}
    assert prototypes == WITH_PROTOTYPES
    assert {*WITH_INITIALIZER} == {*WITH_PROTOTYPES, *NO_PROTOTYPES} - {"deepncm"}  # it starts at 0
    assert len(TUPLE_LOSSES) >= 4
    assert len(CLASS_LOSSES) >= 4


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in NOT_ITS_SLOPE])
def test_gradient_equals_finite_differences(loss: str, subtests: pytest.Subtests) -> None:
    criterion = settled(loss)
    for name, labels in LABELS.items():
        with subtests.test(batch=name):
            embeddings, targets = batch(labels)
            slope = partial(call, criterion, targets)
            assert torch.autograd.gradcheck(slope, embeddings)


def call(criterion: nn.Module, labels: Tensor, embeddings: Tensor) -> Tensor:
    value: Tensor = criterion(embeddings, labels)
    return value


@every_loss
def test_order_of_the_batch_is_irrelevant(loss: str, subtests: pytest.Subtests) -> None:
    criterion = settled(loss)
    for name, labels in LABELS.items():
        with subtests.test(batch=name):
            embeddings, targets = batch(labels)
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
            value, gradient = value_and_gradient(criterion, embeddings, targets)
            shuffled = value_and_gradient(criterion, embeddings[order], targets[order])
            torch.testing.assert_close(shuffled, [value, gradient[order]])


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in CLASS_LOSSES])
def test_names_of_the_labels_are_irrelevant(loss: str) -> None:
    embeddings, targets = batch(LABELS["unbalanced"])
    criterion = build_loss(loss).double()
    renamed = 1000 - 7 * targets
    torch.testing.assert_close(criterion(embeddings, renamed), criterion(embeddings, targets))


GEOMETRIES = {
    "random": lambda n: torch.randn(n, 8, generator=torch.Generator().manual_seed(0)),
    "identical": lambda n: torch.randn(1, 8, generator=torch.Generator().manual_seed(0)).repeat(
        n, 1
    ),
    "antipodal": lambda n: torch.eye(8)[:1] * torch.tensor([1.0, -1.0]).repeat(n)[:n, None],
    "zero": lambda n: torch.zeros(n, 8),
    "huge": lambda n: 1e4 * torch.randn(n, 8, generator=torch.Generator().manual_seed(0)),
}


@every_loss
def test_degenerate_batches_have_a_finite_loss_and_gradient(
    loss: str, subtests: pytest.Subtests
) -> None:
    for miner in dict.fromkeys(["none", default_miner(loss)]):
        built = build_loss(loss, miner)
        for (name, labels), geometry in product(LABELS.items(), GEOMETRIES):
            with subtests.test(batch=name, geometry=geometry, miner=miner):
                embeddings = GEOMETRIES[geometry](len(labels))
                criterion = copy.deepcopy(built)  # no batch before this one
                value, gradient = value_and_gradient(criterion, embeddings, torch.tensor(labels))
                assert value.shape == ()
                assert value.isfinite()
                assert gradient.isfinite().all()


@every_tuple_loss
def test_nothing_mined_is_a_loss_without_a_slope(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    nothing = torch.zeros(len(labels), len(labels), dtype=torch.bool)
    no_index = torch.zeros(0, dtype=torch.long)
    for tuples in (Pairs(nothing, nothing), Triplets(no_index, no_index, no_index)):
        criterion = build_loss(loss, **without_regularizer(loss)).double()
        value, gradient = value_and_gradient(criterion, embeddings, labels, tuples)
        assert value.isfinite()
        assert not gradient.any()


@every_loss
def test_an_invalid_triplet_is_as_good_as_none(loss: str, subtests: pytest.Subtests) -> None:
    """A miner of one triplet per anchor marks the anchors without one, on any device."""
    for wrong in ("at random", "everyone with himself"):
        with subtests.test(wrong=wrong):
            assert_an_invalid_triplet_is_as_good_as_none(loss, wrong)


def assert_an_invalid_triplet_is_as_good_as_none(loss: str, wrong: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    generator = torch.Generator().manual_seed(1)
    indices = torch.randint(len(labels), (3, 30), generator=generator)
    valid = torch.rand(30, generator=generator) < 0.5
    if wrong == "everyone with himself":
        indices[1:, ~valid] = indices[0, ~valid]
    masked = Triplets(*indices, valid=valid)
    criterion = settled(loss)
    if loss == "quadruplet":
        criterion.draw = SeededRandom(seed=0)
    twin = copy.deepcopy(criterion)
    expected = value_and_gradient(twin, embeddings, labels, drop_invalid(masked))
    torch.testing.assert_close(value_and_gradient(criterion, embeddings, labels, masked), expected)
    nothing = Triplets(*indices, valid=torch.zeros_like(valid))
    none_at_all = Triplets(*indices[:, :0])
    expected = value_and_gradient(twin, embeddings, labels, none_at_all)
    torch.testing.assert_close(value_and_gradient(criterion, embeddings, labels, nothing), expected)


@every_loss
def test_autocast_costs_no_more_than_the_rounding_of_the_embeddings(
    loss: str, subtests: pytest.Subtests
) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    criterion = settled(loss, torch.float32)
    for dtype in (torch.bfloat16, torch.float16):
        with subtests.test(dtype=dtype):
            rounded = embeddings.detach().to(dtype)
            with torch.autocast("cpu", dtype=dtype):
                under_autocast = criterion(rounded, labels)
            assert under_autocast.dtype == torch.float32
            torch.testing.assert_close(under_autocast, criterion(rounded.float(), labels))
            exact = criterion(embeddings.float(), labels)
            torch.testing.assert_close(under_autocast, exact, rtol=0.05, atol=0.01)


COMPILED_FIRST = {  # one loss for each way to compute in core; `make test-all` compiles them all
    "arcface": "the classification with a margin",
    "contrastive": "the positives packed into columns",
    "cross_batch_memory": "a loss around another, with a state and references",
    "histogram": "the soft histograms",
    "manifold": "the inverse",
    "margin": "pairs, with a parameter of each class",
    "quadruplet": "the sums over triplets and quadruplets",
    "multisimilarity": "the masked logarithms of sums of exponentials",
    "smoothap": "the smooth ranks",
}


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(loss, marks=[] if loss in COMPILED_FIRST else pytest.mark.extended)
        for loss in LOSSES
        if loss not in NOT_COMPILED
    ],
)
def test_compiles_without_a_graph_break(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    criterion = build_loss(loss)
    torch.compiler.reset()
    compiled = torch.compile(copy.deepcopy(criterion), fullgraph=True, backend="aot_eager")
    expected = value_and_gradient(criterion, embeddings.float(), labels)
    torch.testing.assert_close(value_and_gradient(compiled, embeddings.float(), labels), expected)


def test_a_miner_of_one_triplet_per_anchor_compiles_too() -> None:
    """Without a graph break, in a batch where two anchors have none."""
    embeddings, labels = batch(LABELS["unbalanced"])
    criterion = build_loss("triplet", "batch_hard")
    torch.compiler.reset()
    compiled = torch.compile(copy.deepcopy(criterion), fullgraph=True, backend="aot_eager")
    expected = value_and_gradient(criterion, embeddings.float(), labels)
    torch.testing.assert_close(value_and_gradient(compiled, embeddings.float(), labels), expected)


@every_tuple_loss
def test_every_pair_of_the_batch_is_the_default(loss: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    criterion = build_loss(loss).double()
    given = criterion(embeddings, labels, all_pairs(labels))
    torch.testing.assert_close(given, criterion(embeddings, labels))


@pytest.mark.parametrize(
    "loss", [loss for loss in TUPLE_LOSSES if loss not in PAIRS_ARE_FEWER_TRIPLETS]
)
def test_all_triplets_are_all_pairs(loss: str) -> None:
    """In a batch where every anchor has both kinds, so that no pair is without a triplet."""
    embeddings, labels = batch(LABELS["balanced"])
    criterion = build_loss(loss).double()
    given = criterion(embeddings, labels, to_triplets(all_pairs(labels)))
    torch.testing.assert_close(given, criterion(embeddings, labels))


@every_tuple_loss
def test_given_tuples_win_over_the_miner(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    mined = build_loss(loss, "random").double()
    given = mined(embeddings, labels, all_pairs(labels))
    torch.testing.assert_close(given, build_loss(loss).double()(embeddings, labels))


@cache
def mined() -> dict[str, Pairs | Triplets]:
    """The tuples that each miner chooses of the unbalanced batch."""
    embeddings, labels = batch(LABELS["unbalanced"])
    names = [path.stem for path in (CONF / "batchminer").glob("*.yaml") if path.stem != "none"]
    miners = {name: build_miner(name) for name in names}
    return {name: miner(embeddings, labels) for name, miner in miners.items() if miner}


@every_loss
def test_takes_the_tuples_of_every_miner(loss: str, subtests: pytest.Subtests) -> None:
    assert len(mined()) > 20
    embeddings, labels = batch(LABELS["unbalanced"])
    criterion = build_loss(loss).double()
    for miner, tuples in mined().items():
        with subtests.test(miner=miner):
            value, gradient = value_and_gradient(criterion, embeddings, labels, tuples)
            assert value.isfinite()
            assert gradient.isfinite().all()


@every_tuple_loss
def test_references_take_the_place_of_the_batch(loss: str) -> None:
    """Against a copy of itself plus others, a batch with (i, i) taken out is the batch at large."""
    embeddings, labels = batch(LABELS["balanced"])
    others, other_labels = batch(LABELS["unbalanced"], seed=1)
    references = torch.cat([embeddings, others])
    reference_labels = torch.cat([labels, other_labels])
    criterion = build_loss(loss, **without_regularizer(loss)).double()
    chosen = Pairs(*(mask[: len(labels)] for mask in all_pairs(reference_labels)))
    value = criterion(
        embeddings, labels, chosen, references=references, reference_labels=reference_labels
    )
    nobody = torch.zeros(len(others), len(references), dtype=torch.bool)
    padded = Pairs(*(torch.cat([mask, nobody]) for mask in chosen))
    padded_value = criterion(references, reference_labels, padded)
    anchors = len(references) / len(labels) if loss in MEAN_OVER_ANCHORS else 1
    torch.testing.assert_close(value, padded_value * anchors)
    gradient = torch.autograd.grad(value, others)[0]
    assert gradient.any()


MEAN_OVER_ANCHORS = {
    "multisimilarity",
    "ranked_list",
}  # anchors without tuples count in the divisor


@every_tuple_loss
def test_the_miner_mines_the_references_too(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    references, reference_labels = batch(LABELS["unbalanced"], seed=1)
    against = {"references": references, "reference_labels": reference_labels}
    choice = default_miner(loss) if default_miner(loss) != "none" else "multisimilarity"
    chosen = build_miner(choice)(embeddings, labels, references, reference_labels)
    criterion = build_loss(loss, choice).double()
    mined = criterion(embeddings, labels, **against)
    torch.testing.assert_close(mined, criterion(embeddings, labels, chosen, **against))


@every_loss
def test_inputs_stay_as_they_are(loss: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    before = embeddings.detach().clone(), labels.clone()
    build_loss(loss, default_miner(loss)).double()(embeddings, labels).backward()
    assert embeddings.equal(before[0])
    assert labels.equal(before[1])


@every_loss
def test_parameters_state_their_rate_and_no_decay(loss: str) -> None:
    criterion = build_loss(loss, default_miner(loss))
    groups = criterion.parameter_groups() if hasattr(criterion, "parameter_groups") else []
    listed = [parameter for group in groups for parameter in group["params"]]
    assert sorted(map(id, listed)) == sorted(map(id, criterion.parameters()))
    assert all(group["weight_decay"] == 0.0 and group["lr"] > 0 for group in groups)


@every_loss
def test_a_restored_loss_goes_on_as_the_saved_one(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    saved, restored = (build_loss(loss, default_miner(loss)).double() for _ in range(2))
    saved(embeddings, labels)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        torch.testing.assert_close(saved(embeddings, labels), restored(embeddings, labels))


BAD_INPUTS = {
    "1-d embeddings": (lambda x, y: (x[0], y), "embeddings"),
    "integer embeddings": (lambda x, y: (x.long(), y), "embeddings"),
    "no embeddings": (lambda x, y: (x[:0], y[:0]), "embeddings"),
    "NaN": (lambda x, y: (x.log(), y), "embeddings"),
    "infinity": (lambda x, y: (x / 0, y), "embeddings"),
    "float labels": (lambda x, y: (x, y.float()), "labels"),
    "boolean labels": (lambda x, y: (x, y > 0), "labels"),
    "2-d labels": (lambda x, y: (x, y[:, None]), "labels"),
    "too few labels": (lambda x, y: (x, y[1:]), "labels"),
}


@every_loss
def test_bad_input_is_an_error_that_names_the_argument(
    loss: str, subtests: pytest.Subtests
) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    for bad, (spoil, argument) in BAD_INPUTS.items():
        with (
            subtests.test(bad),
            pytest.raises((TypeError, ValueError), match=f"^{argument} must"),
        ):
            build_loss(loss).double()(*spoil(embeddings, labels))


@pytest.mark.parametrize("loss", CLASS_LOSSES)
def test_label_without_a_class_is_an_error(loss: str, subtests: pytest.Subtests) -> None:
    for label in (-1, 6):
        embeddings, labels = batch([0, 1, label])
        with (
            subtests.test(label=label),
            pytest.raises(ValueError, match=r"^labels must be in 0\.\.5"),
        ):
            build_loss(loss).double()(embeddings, labels)


@pytest.mark.parametrize("loss", PREDICTING)
def test_logits_predict_the_class(loss: str) -> None:
    """Embeddings near the prototypes of a class belong to it; more in this direction, even more."""
    criterion = settled(loss)
    owner = criterion.objective if loss == "partial_fc" else criterion
    classes = torch.eye(6, 8, dtype=torch.float64)
    owner.prototypes.data = classes.repeat_interleave(len(owner.prototypes) // 6, dim=0)
    noise = 0.1 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([3, 0, 5, 1, 1, 4])
    logits = criterion.logits(classes[order] + noise)
    assert logits.shape == (6, 6)
    assert logits.argmax(dim=1).equal(order)
    torch.testing.assert_close(criterion.eval().logits(classes[order] + noise, order), logits)


TIMES_THEIR_LOGITS = {"proxy_anchor": 32, "proxynca": -9, "proxynca_pp": -9, "softtriple": 20}


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # in their large margin
@pytest.mark.parametrize("loss", [loss for loss in PREDICTING if loss in PML_LOSSES])
def test_logits_equal_those_of_pytorch_metric_learning(loss: str) -> None:
    """Theirs lack the scale in two losses, and are distances in another."""
    embeddings, _ = batch(LABELS["balanced"])
    ours = build_loss(loss, **PML_LOSSES[loss].options)
    theirs = PML_LOSSES[loss].build(num_classes=6, embedding_dim=8)
    if not hasattr(theirs, "get_logits"):
        assert loss == "p2sgrad"
        return
    share_parameters(ours, theirs)
    expected = TIMES_THEIR_LOGITS.get(loss, 1) * theirs.get_logits(embeddings.float())
    torch.testing.assert_close(ours.logits(embeddings.float()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", WITH_INITIALIZER)
def test_an_initializer_fills_the_prototypes(loss: str) -> None:
    """So does each one of torch.nn.init; without one, nothing has changed."""
    constant = {"_target_": "torch.nn.init.constant_", "_partial_": True, "val": 0.25}
    prototypes = own_prototypes(build_loss(loss, init=constant))
    assert prototypes.eq(0.25).all()
    torch.manual_seed(0)
    xavier = {"_target_": "torch.nn.init.xavier_normal_", "_partial_": True}
    filled = own_prototypes(build_loss(loss, init=xavier))
    torch.manual_seed(0)
    assert filled.equal(nn.init.xavier_normal_(torch.empty_like(prototypes)))


def own_prototypes(criterion: nn.Module) -> Tensor:
    state = criterion.state_dict()
    return state["proxies" if "proxies" in state else "prototypes"]


@pytest.mark.parametrize("loss", CLASSIFIERS)
def test_a_classification_is_a_last_layer(loss: str) -> None:
    """Its loss is the cross-entropy of its logits, which need no labels but for the margin."""
    embeddings, labels = batch(LABELS["unbalanced"])
    criterion = settled(loss).eval()
    logits = ClassifierHead(criterion)(embeddings)
    assert logits.shape == (len(labels), 6)
    torch.testing.assert_close(ClassifierHead(criterion)(embeddings, labels), logits)
    expected = F.cross_entropy(logits, labels)
    if criterion.regularizer is not None:
        expected = expected + criterion.regularizer(criterion.prototypes)
    torch.testing.assert_close(criterion(embeddings, labels), expected)


@pytest.mark.parametrize("loss", CLASSIFIERS)
def test_a_soft_label_of_one_class_is_a_label(loss: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    soft = F.one_hot(labels, 6).double()
    one, other = (build_loss(loss).double() for _ in range(2))
    other.load_state_dict(one.state_dict())
    for _ in range(2):  # the second time sees what the first has changed
        got = value_and_gradient(other, embeddings, soft)
        torch.testing.assert_close(got, value_and_gradient(one, embeddings, labels))


@pytest.mark.parametrize("loss", CLASSIFIERS)
def test_soft_labels_give_finite_losses_and_gradients(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    soft = (F.one_hot(labels, 6) + F.one_hot(labels.roll(1), 6)).float() / 2
    criterion = build_loss(loss)
    for _ in range(2):
        value, gradient = value_and_gradient(criterion, embeddings.float(), soft)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("loss", CLASSIFIERS)
def test_shares_that_are_none_are_an_error(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    soft = F.one_hot(labels, 6).double()
    for bad in (soft[:, :5], soft - 0.1, 2 * soft, soft[1:]):
        with pytest.raises(ValueError, match=r"^labels must"):
            build_loss(loss).double()(embeddings, bad)


@pytest.mark.parametrize("loss", PENALIZED)
def test_a_penalty_on_the_prototypes_is_added(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    halves = ({"_target_": "core.regularizer.LpNorm", "weight": weight} for weight in (0.5, 1.0))
    half, full = (build_loss(loss, regularizer=part).double() for part in halves)
    full.load_state_dict(half.state_dict())
    difference = full(embeddings, labels) - half(embeddings, labels)
    torch.testing.assert_close(difference, half.prototypes.norm(dim=1).mean() / 2)


@pytest.mark.parametrize("loss", WITH_PROTOTYPES)
def test_nothing_is_kept_per_sample_class_and_dimension(loss: str) -> None:
    """Which 11,000 classes would not allow: the memory is N C K, not N C D."""
    largest = 0

    def measure(saved: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, saved.numel())
        return saved

    num_classes, dim, samples = 64, 256, 32
    criterion = build_loss(loss, num_classes=num_classes, embedding_dim=dim)
    embeddings, labels = batch([*range(samples)], dim=dim)
    with torch.autograd.graph.saved_tensors_hooks(measure, lambda saved: saved):
        criterion(embeddings.float(), labels).backward()
    matrix = max((parameter.numel() for parameter in criterion.parameters()), default=0)
    assert largest <= max(matrix, num_classes * dim) < samples * num_classes * dim


@every_tuple_loss
def test_tuples_of_another_batch_are_an_error(loss: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    mask, index = torch.ones(3, 3, dtype=torch.bool), torch.tensor([0, 99])
    for bad in (Pairs(mask, mask), Triplets(index, index, index), (index, index, index)):
        with pytest.raises((TypeError, ValueError), match=r"^tuples"):
            build_loss(loss)(embeddings, labels, bad)
    with pytest.raises(ValueError, match="references and reference_labels"):
        build_loss(loss)(embeddings, labels, references=embeddings)


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # in their large margin
@pytest.mark.parametrize("loss", PML_LOSSES)
def test_equals_pytorch_metric_learning(loss: str, subtests: pytest.Subtests) -> None:
    for seed in range(3):
        with subtests.test(seed=seed):
            assert_equals_pytorch_metric_learning(loss, seed)


def assert_equals_pytorch_metric_learning(loss: str, seed: int) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 6, seed=seed)
    counterpart = PML_LOSSES[loss]
    ours = build_loss(loss, **counterpart.options)
    theirs = counterpart.build(num_classes=6, embedding_dim=8)
    share_parameters(ours, theirs)
    triplets = drop_invalid(build_miner("random")(embeddings, labels))
    tuples = (triplets,) if counterpart.on_triplets else ()
    listed = [triplets[:3]] if counterpart.on_triplets else []
    expected = value_and_gradient(theirs, embeddings.float(), labels, *listed)
    got = value_and_gradient(ours, embeddings.float(), labels, *tuples)
    torch.testing.assert_close(got[0], expected[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(
        got[1], expected[1], rtol=1e-4, atol=1e-5 * float(got[1].abs().max())
    )


def share_parameters(ours: nn.Module, theirs: nn.Module) -> None:
    """Give theirs our values; a matrix may lie transposed there."""
    for own, other in zip(trained(ours), trained(theirs), strict=True):
        values = own.detach() if own.shape == other.shape else own.detach().T
        other.data = values.clone()


def trained(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


STEPS = {"proxy_anchor": 40}  # only the hardest samples of a proxy move
ONE_CENTER = {"softtriple", "subcenter_arcface"}  # with several, a class need not come together


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss not in NOT_SEPARATING])
def test_descent_separates_the_classes(loss: str) -> None:
    """The sign of every gradient is right."""
    embeddings, labels = batch([0, 1, 2, 3] * 4)
    criterion = build_loss(loss, **{"num_sub_centers": 1} if loss in ONE_CENTER else {}).double()
    x = embeddings.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([x, *criterion.parameters()], lr=0.1)
    before = separation(x, labels)
    for _ in range(STEPS.get(loss, 20)):
        optimizer.zero_grad()
        criterion(x, labels).backward()
        optimizer.step()
    assert separation(x, labels) > before + 0.1


def separation(x: Tensor, labels: Tensor) -> float:
    """Mean cosine similarity within classes above that between classes."""
    positives, negatives = all_pairs(labels)
    cosines = F.normalize(x.detach(), dim=1) @ F.normalize(x.detach(), dim=1).T
    return float(cosines[positives].mean() - cosines[negatives].mean())


@every_tuple_loss
def test_a_batch_with_equal_images_has_the_value_of_double_precision(loss: str) -> None:
    """Distances of equal images that were not quite 0 counted among the losses above zero."""
    criterion, wide = (build_loss(loss).to(dtype) for dtype in (torch.float32, torch.float64))
    for seed in range(5):
        embeddings, labels = batch([0, 1, 2, 3] * 6, dim=128, seed=seed)
        x = embeddings.detach().float()
        x[8:16] = x[:8]
        torch.testing.assert_close(
            criterion(x, labels).double(), wide(x.double(), labels), rtol=2e-5, atol=1e-6
        )


TYPES = {  # of the embeddings, of the prototypes or references, and of the value
    "double among float": (torch.float64, torch.float32, torch.float64),
    "float among double": (torch.float32, torch.float64, torch.float64),
    "half among float": (torch.float16, torch.float32, torch.float32),
    "bfloat16 among float": (torch.bfloat16, torch.float32, torch.float32),
}


@every_loss
def test_embeddings_of_another_type_than_the_parameters_or_references(
    loss: str, subtests: pytest.Subtests
) -> None:
    """NumPy's double embeddings met the float prototypes of a loss."""
    for name, types in TYPES.items():
        with subtests.test(name):
            assert_types_meet(loss, *types)


def assert_types_meet(loss: str, own: torch.dtype, other: torch.dtype, wider: torch.dtype) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    x = embeddings.detach().to(own)
    mixed = settled(loss).to(other)
    wide = copy.deepcopy(mixed).to(wider)
    against, widely = {}, {}
    if takes_tuples(loss):
        references, reference_labels = batch(LABELS["unbalanced"], seed=1)
        y = references.detach().to(other)
        against = {"references": y, "reference_labels": reference_labels}
        widely = {**against, "references": y.to(wider)}
    value, gradient = value_and_gradient(partial(mixed, **against), x, labels)
    expected, wide_gradient = value_and_gradient(partial(wide, **widely), x.to(wider), labels)
    torch.testing.assert_close(value.to(wider), expected)
    error = (gradient.to(wider) - wide_gradient).abs().max()
    assert error <= 2 * torch.finfo(own).eps * wide_gradient.abs().max() + 1e-6
