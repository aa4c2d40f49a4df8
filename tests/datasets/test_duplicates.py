"""Duplicates against a comparison of all pairs, and what a perceptual hash sees and does not."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

from datasets.preparation.duplicates import Duplicate, exact, near
from datasets.preparation.fingerprint import fingerprint, perceptual_hash

BITS = 16  # what conf/prepare_data.yaml says


def differing(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def test_equal_files_are_found_and_unread_ones_equal_nothing() -> None:
    queries = [b"a", b"x", b"", b"c", b"a"]
    references = [b"b", b"c", b"a", b"a", b""]
    assert exact(queries, references) == [Duplicate(0, 2), Duplicate(3, 1), Duplicate(4, 2)]


@pytest.mark.parametrize("bits", [0, 90, 100, 256])
def test_the_nearest_hash_is_that_of_all_pairs(bits: int) -> None:
    rng = np.random.default_rng(0)
    references = [rng.bytes(32) for _ in range(300)]
    queries = [rng.bytes(32) for _ in range(50)] + [references[7], b""]
    references[3] = b""
    expected = {}
    for index, query in enumerate(queries):
        least = min(differing(query, other) for other in references if other)
        if query and least <= bits:
            expected[index] = least
    found = near(queries, references, bits)
    assert {duplicate.query: duplicate.bits for duplicate in found} == expected
    for index, number, distance in found:
        assert differing(queries[index], references[number]) == distance


@pytest.mark.parametrize(("queries", "references"), [([], [b"a"]), ([b"a"], []), ([b""], [b"a"])])
def test_nothing_resembles_nothing(queries: list[bytes], references: list[bytes]) -> None:
    assert near(queries, references, 256) == []


def photograph(number: int, size: int = 300) -> Image.Image:
    """A piece of one of scikit-learn's two photographs."""
    rng = np.random.default_rng(number)
    whole = load_sample_images().images[number % 2]
    top, left = rng.integers(0, 427 - size), rng.integers(0, 640 - size)
    return Image.fromarray(whole[top : top + size, left : left + size])


def test_the_hash_is_the_sign_of_the_low_frequencies() -> None:
    """A cosine transform written out: sum over x of f(x) cos(pi u (2x + 1) / 2n), both ways."""
    image = photograph(0)
    grey = np.asarray(image.convert("L").resize((64, 64)), float)
    u, x = np.arange(16)[:, None], np.arange(64)[None, :]
    cosines = np.cos(np.pi * u * (2 * x + 1) / 128)
    low = (cosines @ grey @ cosines.T).flatten()
    bits = "".join("1" if value > np.median(low) else "0" for value in low)
    assert int.from_bytes(perceptual_hash(image), "big") == int(bits, 2)


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(BytesIO(buffer.getvalue()))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: as_jpeg(image, 20),
        lambda image: image.resize((100, 80)),
        lambda image: image.convert("L"),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    ],
    ids=["compressed", "smaller", "grey", "darker"],
)
def test_the_same_picture_is_near(change: Callable[[Image.Image], Image.Image]) -> None:
    for number in range(6):
        image = photograph(number)
        assert differing(perceptual_hash(image), perceptual_hash(change(image))) <= BITS


def test_another_picture_is_not() -> None:
    hashes = [perceptual_hash(photograph(number)) for number in range(6)]
    hashes.append(perceptual_hash(photograph(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    least = min(differing(a, b) for i, a in enumerate(hashes) for b in hashes[:i])
    assert least > 2 * BITS


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda whole: whole[: len(whole) // 2], "OSError: image file is truncated"),
        (lambda whole: whole[:0], "UnidentifiedImageError: cannot identify"),
        (lambda whole: b"<html>" + whole, "UnidentifiedImageError: cannot identify"),
    ],
    ids=["truncated", "empty", "no image"],
)
def test_an_image_that_cannot_be_read_says_why(
    tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    file = tmp_path / "a.jpg"
    photograph(0).save(file)
    file.write_bytes(spoil(file.read_bytes()))
    found = fingerprint(str(file))
    assert found.problem.startswith(said)
    assert not found.content
    assert not found.perceptual_hash


def test_a_missing_image_and_a_missing_member_say_so(tmp_path: Path) -> None:
    assert fingerprint(str(tmp_path / "a.jpg")).problem.startswith("FileNotFoundError")
    assert fingerprint(f"{tmp_path}/a.zip/a.jpg").problem.startswith("FileNotFoundError")
