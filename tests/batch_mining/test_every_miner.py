"""What every miner promises, asked of every YAML of conf/batchminer."""

import io
from collections.abc import Iterable

import pytest
import torch

from core.tuples import all_pairs, to_pairs
from core.types import Miner, Pairs, Triplets, Tuples
from tests.batches import LABELS, batch, listed
from tests.configured import build_miner, choices, read

MINERS = [miner for miner in choices("batchminer") if miner != "none"]
DRAWING = [miner for miner in MINERS if "seed" in read("batchminer", miner)]
SWITCHING = {"rho_distance": {"p_switch": 0.0}}  # breaks the rules of tuples on purpose
UNLAWFUL = {"intra_random", "label_shuffled"}  # break them by definition
APART = {"hdc", "pair_margin", "uniform_histogram"}  # positives whether or not there are negatives
MANY = {"angular", "maximum_loss", "triplet_margin", "uniform_histogram"}  # triplets per anchor
CHOOSY = {"angular": "identical points span no angle"}
SCARCE = {  # numbers that leave something to chance in a batch of 32
    "angular": {"max_triplets": 50},
    "triplet_margin": {"max_triplets": 50},
    "uniform_histogram": {"num_bins": 2},
}


def all_but(*exceptions: Iterable[str]) -> pytest.MarkDecorator:
    names = {name for some in exceptions for name in some}
    return pytest.mark.parametrize("miner", [miner for miner in MINERS if miner not in names])


every_miner = all_but()
lawful_miner = all_but(UNLAWFUL)
drawing_miner = pytest.mark.parametrize("miner", DRAWING)
every_batch = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())


def lawful(miner: str) -> Miner:
    return build_miner(miner, **SWITCHING.get(miner, {}))


def same(tuples: Tuples, others: Tuples) -> bool:
    return all(b is None if a is None else a.equal(b) for a, b in zip(tuples, others, strict=True))


def test_none_is_no_miner_at_all() -> None:
    assert build_miner("none") is None


def test_a_miner_with_a_seed_draws_and_no_other_has_a_state() -> None:
    built = {miner: build_miner(miner) for miner in MINERS}
    assert [miner for miner in MINERS if getattr(built[miner], "state_dict", dict)()] == DRAWING
    assert len(DRAWING) >= 5


@every_batch
@lawful_miner
def test_labels_agree_and_nobody_is_paired_with_himself(miner: str, labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    tuples = lawful(miner)(embeddings, targets)
    positives, negatives = to_pairs(tuples, len(labels), len(labels))
    assert all(labels[i] == labels[j] and i != j for i, j in positives.nonzero().tolist())
    assert all(labels[i] != labels[j] for i, j in negatives.nonzero().tolist())


@lawful_miner
def test_references_are_mined_instead_of_the_batch(miner: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])
    references, reference_labels = batch(LABELS["balanced"], seed=1)
    tuples = lawful(miner)(embeddings, labels, references, reference_labels)
    positives, negatives = to_pairs(tuples, len(labels), len(references))
    same = labels[:, None] == reference_labels
    assert positives.any()
    assert negatives.any()
    assert not (positives & ~same).any()
    assert not (negatives & same).any()


@pytest.mark.parametrize("miner", sorted({*DRAWING} - MANY - {"label_shuffled", "one_positive"}))
def test_each_anchor_that_can_has_one_triplet(miner: str) -> None:
    embeddings, labels = batch(LABELS["unbalanced"])  # samples 4 and 6 have no positive
    triplets = build_miner(miner)(embeddings, labels)
    assert [anchor for anchor, *_ in listed(triplets)] == [0, 1, 2, 3, 5, 7, 8]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("miner", sorted(APART))
def test_kinds_chosen_apart_need_not_both_be_there(miner: str, labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    numbers = {"pair_margin": {"positive_margin": 0.0, "negative_margin": 2.1}}.get(miner, {})
    pairs = build_miner(miner, **numbers)(embeddings, targets)
    for kept, possible in zip(pairs, all_pairs(targets), strict=True):
        assert kept.any() == possible.any()


@pytest.mark.parametrize("labels", [LABELS["one class"], LABELS["all different"], [4]])
@all_but(APART, ["intra_random", "maximum_loss"])
def test_without_a_positive_or_a_negative_there_is_nothing(miner: str, labels: list[int]) -> None:
    embeddings, targets = batch(labels)
    tuples = build_miner(miner)(embeddings, targets)
    positives, negatives = to_pairs(tuples, len(labels), len(labels))
    assert not positives.any()
    assert not negatives.any()


@all_but(CHOOSY)
def test_degenerate_geometry_is_mined_all_the_same(miner: str) -> None:
    labels = torch.tensor(LABELS["balanced"])
    for embeddings in (torch.zeros(8, 4), torch.ones(8, 4), torch.eye(8) * 1e-20, -torch.eye(8)):
        tuples = build_miner(miner)(embeddings, labels)
        assert all(part.numel() > 0 for part in tuples if part is not None)
        if isinstance(tuples, Triplets):
            assert len(listed(tuples)) > 0


@every_miner
def test_no_gradient_and_no_change_of_the_inputs(miner: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    before = embeddings.detach().clone(), labels.clone()
    saved: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        build_miner(miner)(embeddings, labels)
    assert not saved  # nothing was recorded for a backward pass
    assert embeddings.equal(before[0])
    assert labels.equal(before[1])


@every_miner
def test_type_and_device_are_those_that_losses_take(miner: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tuples = build_miner(miner)(embeddings.bfloat16(), labels)
    assert isinstance(tuples, Pairs | Triplets)
    if isinstance(tuples, Pairs):
        assert {mask.dtype for mask in tuples} == {torch.bool}
    else:
        assert {indices.dtype for indices in tuples[:3]} == {torch.long}
        assert tuples.valid is None or tuples.valid.dtype == torch.bool


@every_miner
def test_bad_input_is_an_error_that_names_the_argument(miner: str) -> None:
    embeddings, labels = batch(LABELS["balanced"])
    with pytest.raises(ValueError, match=r"^labels must"):
        build_miner(miner)(embeddings, labels[1:])
    with pytest.raises(ValueError, match="references and reference_labels"):
        build_miner(miner)(embeddings, labels, embeddings)


@drawing_miner
def test_the_seed_decides_and_the_global_stream_does_not(miner: str) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 8)
    scarce = SCARCE.get(miner, {})
    first, twin, other = (build_miner(miner, **scarce, seed=seed) for seed in (0, 0, 1))
    torch.manual_seed(5)
    global_state = torch.get_rng_state()
    drawn = [first(embeddings, labels) for _ in range(2)]
    assert torch.get_rng_state().equal(global_state)
    torch.manual_seed(6)
    again = [twin(embeddings, labels) for _ in range(2)]
    assert [same(a, b) for a, b in zip(drawn, again, strict=True)] == [True, True]
    assert not same(*drawn)
    assert not same(drawn[0], other(embeddings, labels))


@pytest.mark.parametrize("draws", [0, 3], ids=["before the first draw", "after some"])
@drawing_miner
def test_a_restored_miner_continues_the_draws_of_the_saved_one(miner: str, draws: int) -> None:
    embeddings, labels = batch([0, 1, 2, 3] * 8)
    saved, restored = (build_miner(miner, **SCARCE.get(miner, {})) for _ in range(2))
    restored(embeddings, labels)  # a past that the state must wipe out
    for _ in range(draws):
        saved(embeddings, labels)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(3):
        assert same(saved(embeddings, labels), restored(embeddings, labels))
        assert restored.state_dict().keys() == saved.state_dict().keys()
