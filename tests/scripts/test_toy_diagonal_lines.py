"""What the toy experiment shows, and what its controls say about it."""

import math
from pathlib import Path

import pytest
import torch

from scripts.toy_diagonal_lines import TRAIN, VARIANTS, main, objective, points, run


@pytest.fixture(scope="module")
def second() -> dict[str, float]:
    """Share of the second of two singular values, of each objective; 0.5 is a flat spectrum."""
    return {name: float(run(variant, seed=1).spectrum[1]) for name, variant in VARIANTS.items()}


def test_the_regularised_script_flattens_the_spectrum(second: dict[str, float]) -> None:
    assert second["base"] < 0.2
    assert second["regularised"] > 0.3


def test_it_is_the_missing_attraction_that_does_it(second: dict[str, float]) -> None:
    assert second["switched"] < 0.2
    assert second["no attraction"] > 0.3


def test_the_same_seed_gives_the_same_result() -> None:
    first, again = (run(VARIANTS["regularised"], seed=3) for _ in range(2))
    assert first.train.equal(again.train)
    assert not first.train.equal(run(VARIANTS["regularised"], seed=4).train)


def test_the_points_lie_on_the_diagonal() -> None:
    data, labels = points(TRAIN, seed=0)
    assert data.shape == (60, 2)
    assert labels.bincount().tolist() == [15] * 4
    torch.testing.assert_close(data[:, 0], data[:, 1])
    assert len(data[labels == 0].unique(dim=0)) == 15
    assert 0.1 <= float(data[labels == 0].min()) < float(data[labels == 0].max()) <= 0.3 + 1e-6


@pytest.mark.parametrize("name", ["base", "no attraction"])
def test_the_objective_by_hand(name: str) -> None:
    """Two classes of two points on the circle, 3 and 4 degrees apart; all eight triplets."""
    degrees, labels = [0, 3, 7, 10], [0, 0, 1, 1]
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    embeddings = torch.stack([angles.cos(), angles.sin()], dim=1)

    def distance(i: int, j: int) -> float:
        return 2 * math.sin(math.radians(abs(degrees[i] - degrees[j])) / 2)

    triplets = [
        (a, p, n)
        for a in range(4)
        for p in range(4)
        for n in range(4)
        if a != p and labels[a] == labels[p] != labels[n]
    ]
    attraction = sum(distance(a, p) for a, p, _ in triplets) / len(triplets)
    repulsion = sum(max(0.1 - distance(a, n), 0) for a, _, n in triplets) / len(triplets)
    variant = VARIANTS[name]
    found = objective(embeddings, torch.tensor(labels), variant, torch.Generator())
    assert float(found) == pytest.approx(attraction * variant.attraction + repulsion)


def test_a_switched_triplet_pushes_the_positive_away() -> None:
    embeddings = torch.eye(2)[[0, 0]]  # the class as a point: [0.1 - 0]₊
    pair = torch.cat([embeddings, torch.tensor([[0.0, 1.0]])])
    always = VARIANTS["regularised"]._replace(p_switch=1.0)
    labels = torch.tensor([0, 0, 1])
    assert float(objective(pair, labels, always, torch.Generator())) == pytest.approx(0.1)


def test_the_command_draws_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user gives the command in the folder of the repository, which stays as it is."""
    monkeypatch.chdir(tmp_path)
    main([])
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    picture = tmp_path / "outputs" / "toy_diagonal_lines"
    assert picture.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert "no attraction" in capsys.readouterr().out
