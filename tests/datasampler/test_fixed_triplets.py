"""Fixed triplets come from a file or a seed, once per epoch each."""

from pathlib import Path

import numpy as np
import pytest

from datasampler.fixed_triplets import FixedTriplets, TripletFileError

LABELS = np.array([0, 0, 0, 1, 1, 2])
PATHS = ["/d/cats/0.png", "/d/cats/1.png", "/d/cats/2.png", "/d/dogs/0.png", "/d/dogs/1.png", "/e"]
ROWS = np.array([0, 1, 2, 3, 8, 9])  # rows 4 to 7 are test images


def sampler(
    file: Path | None = None, batch_size: int = 3, seed: int = 0, **more: int
) -> FixedTriplets:
    return FixedTriplets(
        LABELS,
        PATHS,
        ROWS,
        batch_size=batch_size,
        seed=seed,
        file=None if file is None else str(file),
        **more,
    )


def written(folder: Path, *lines: str) -> Path:
    file = folder / "triplets.csv"
    file.write_text("\n".join(["anchor,positive,negative", *lines]))
    return file


def epoch(sampler: FixedTriplets, number: int) -> list[list[int]]:
    sampler.set_epoch(number)
    return list(sampler)


@pytest.mark.parametrize(
    "lines",
    [
        ("0,1,3", "2,0,9", "3,8,1"),
        ("0, 1, 3", "2 ,0,9", "3,8, 1"),
        (
            "cats/0.png,cats/1.png,dogs/0.png",
            "/d/cats/2.png,cats/0.png,e",
            "dogs/0.png,dogs/1.png,cats/1.png",
        ),
    ],
    ids=["rows", "with spaces", "paths"],
)
def test_every_triplet_of_the_file_comes_once_per_epoch(tmp_path: Path, lines: list[str]) -> None:
    expected = [[0, 1, 3], [2, 0, 5], [3, 4, 1]]
    drawn = sampler(written(tmp_path, *lines))
    orders = {tuple(map(tuple, epoch(drawn, number))) for number in range(20)}
    assert len(orders) > 3
    assert all(sorted(order) == sorted(map(tuple, expected)) for order in orders)


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    drawn = sampler(num_triplets=50)
    first, second = epoch(drawn, 0), epoch(drawn, 1)
    assert epoch(drawn, 0) == first != second
    assert epoch(sampler(num_triplets=50), 1) == second
    assert sorted(first) == sorted(second)
    assert sorted(first) != sorted(epoch(sampler(num_triplets=50, seed=1), 0))


def test_drawn_triplets_have_two_classes_and_two_images_where_there_are_two() -> None:
    triplets = sampler(num_triplets=3000).triplets
    anchors, positives, negatives = triplets.T
    assert (LABELS[anchors] == LABELS[positives]).all()
    assert (LABELS[anchors] != LABELS[negatives]).all()
    assert ((anchors != positives) == (LABELS[anchors] != 2)).all()
    pairs = {(a, p) for a, p, _ in triplets.tolist()}
    assert len(pairs) == 6 + 2 + 1  # every ordered pair of a class occurs
    counts = np.bincount(LABELS[anchors])
    assert ((counts - 1000) ** 2 / 1000).sum() < 18.4  # chi-square, 2 degrees of freedom, p = 1e-4


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("0,1,4",), "line 2: negative 4 names no training image, whose rows in the table"),
        (("cats/0.png,0.png,e",), "line 2: positive 0.png names 2 training images, which needs"),
        (("cats/0.png,cats/9.png,e",), "line 2: positive cats/9.png names no training image, and"),
        (("0,1,3", "0,e,3"), "line 2: anchor 0 names no training image, as a path; line 3 has a"),
        (("0,1,3", "0,,3"), "line 3: positive is empty"),
        (("0,1,3", "0,1,0"), "line 3: negative is the anchor itself"),
        (("0,1,1",), "line 2: negative is the positive itself"),
        (("0,1,3,8", "0,1,3,8"), "has more entries in a line than columns"),
        ((), "has no triplets"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(TripletFileError, match=message):
        sampler(written(tmp_path, *lines))


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "triplets.csv"
    with pytest.raises(TripletFileError, match="cannot be read as CSV"):
        sampler(file)
    file.write_text("anchor,positive\n0,1\n")
    with pytest.raises(TripletFileError, match="has no column negative"):
        sampler(file)


@pytest.mark.parametrize("batch_size", [4, 6])
def test_batches_hold_whole_triplets(tmp_path: Path, batch_size: int) -> None:
    with pytest.raises(ValueError, match="must be a multiple of 3, at most 3"):
        sampler(written(tmp_path, "0,1,3"), batch_size=batch_size)
