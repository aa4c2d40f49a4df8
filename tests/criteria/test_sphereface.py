"""SphereFace and large-margin softmax against their definition, angle by angle."""

import math

import pytest
import torch

from criteria.sphereface import SphereFace, psi
from tests.batches import LABELS, batch, cosine


def psi_of_angle(angle: float, margin: int) -> float:
    k = min(int(angle * margin / math.pi), margin - 1)
    return (-1) ** k * math.cos(margin * angle) - 2 * k


@pytest.mark.parametrize("unit_prototypes", [True, False])
@pytest.mark.parametrize("blend", [0.0, 5.0])
@pytest.mark.parametrize("margin", [1, 2, 3, 4])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_value_equals_the_definition(
    labels: list[int], margin: int, blend: float, unit_prototypes: bool
) -> None:
    embeddings, targets = batch(labels)
    criterion = SphereFace(
        6, 8, margin, scale=0.7, blend=blend, unit_prototypes=unit_prototypes
    ).double()
    total = 0.0
    for x, label in zip(embeddings.tolist(), labels, strict=True):
        logits = []
        for c, w in enumerate(criterion.prototypes.tolist()):
            s = cosine(x, w)
            if c == label:
                s = (blend * s + psi_of_angle(math.acos(s), margin)) / (1 + blend)
            length = math.hypot(*x) * (1 if unit_prototypes else math.hypot(*w))
            logits.append(0.7 * length * s)
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[label]
    expected = total / len(labels)
    assert criterion(embeddings, targets).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 5])
def test_psi_is_continuous_and_falls_from_1(margin: int) -> None:
    angles = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    values = psi(angles.cos(), margin)
    expected = [psi_of_angle(angle, margin) for angle in angles.tolist()]
    torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64))
    assert values[0] == 1
    assert (values.diff() <= 1e-12).all()
    assert values.diff().abs().max() < 2 * margin * math.pi / 1000
    assert values[-1].item() == pytest.approx(1 - 2 * margin)


def test_a_soft_label_mixes_the_angle_and_its_multiple() -> None:
    embeddings, _ = batch([0])
    criterion = SphereFace(2, 8).double()
    shares = [0.25, 0.75]
    x = embeddings.tolist()[0]
    cosines = [cosine(x, w) for w in criterion.prototypes.tolist()]
    expected = [
        math.hypot(*x) * ((1 - t) * s + t * psi_of_angle(math.acos(s), 4))
        for t, s in zip(shares, cosines, strict=True)
    ]
    assert criterion.logits(embeddings, torch.tensor([shares])).tolist()[0] == pytest.approx(
        expected
    )


@pytest.mark.parametrize("margin", [0, 2.5])
def test_margin_is_an_integer(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be an integer"):
        SphereFace(6, 8, margin)


def test_sub_centers_have_no_length() -> None:
    with pytest.raises(ValueError, match="unit_prototypes"):
        SphereFace(6, 8, num_sub_centers=2, unit_prototypes=False)
