"""Batches of fixed triplets, for prescribed triplets or human judgements."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from core.errors import UserError
from core.grouping import Grouping, distinct
from core.ranges import PositiveInt, Seed

COLUMNS = ("anchor", "positive", "negative")


class TripletFileError(UserError):
    """A file of triplets is missing, damaged, or names images that are not training images."""


class FixedTriplets(Sampler[list[int]]):
    """Fixed triplets: yields anchor, positive, negative, anchor, positive, negative, ...

    Every triplet comes once per epoch, in the order of a permutation that depends only on
    (seed, epoch); the last incomplete batch is dropped. `method=fixed_triplets` trains on them.

    The triplets are those of `file`, a CSV with the columns anchor, positive and negative. Its
    entries are either rows of the table of the dataset, from 0 on, or image paths. The end of a
    path, such as `cats/7.jpg`, is enough if only one image has it. Without a file, `num_triplets`
    triplets are drawn once, from the seed: anchor and positive from one class (one image twice if
    the class has no other), the negative from another, as `FixedSetOfTriplets` of
    pytorch-metric-learning does.

    Args:
        labels: class of every training image, (S,).
        paths: path of every training image.
        rows: row of every training image in the table of the dataset.
        batch_size: images per batch, a multiple of 3.
        seed: of order and draws; the global random state is not used.
        file: the CSV file.
        num_triplets: number of drawn triplets, where there is no file.

    Raises:
        TripletFileError: the file cannot be read, or names no or several training images.
        ValueError: no such batch exists.
    """

    layout = "triplets"

    def __init__(
        self,
        labels: ArrayLike,
        paths: Sequence[str],
        rows: ArrayLike,
        batch_size: PositiveInt,
        seed: Seed,
        file: str | None = None,
        num_triplets: PositiveInt = 10000,
    ) -> None:
        if file is None:
            self.triplets = draw_triplets(np.asarray(labels), num_triplets, seed)
        else:
            self.triplets = read_triplets(Path(file).expanduser(), paths, np.asarray(rows))
        if batch_size % 3 or not 3 <= batch_size <= self.triplets.size:
            raise ValueError(
                f"{batch_size=} must be a multiple of 3, at most {self.triplets.size}, the images "
                f"of {len(self.triplets)} triplets"
            )
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.triplets.size // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        images = self.triplets[rng.permutation(len(self.triplets))].ravel()
        yield from images[: len(self) * self.batch_size].reshape(-1, self.batch_size).tolist()


def draw_triplets(labels: np.ndarray, num_triplets: int, seed: int) -> np.ndarray:
    """Draw triplets (num_triplets, 3) of two classes each, as a function of the seed."""
    classes = Grouping(labels)
    if len(classes) < 2:
        raise ValueError("a triplet needs images of two classes, and there is one class")
    rng = np.random.default_rng((seed, num_triplets))
    first = rng.integers(len(classes), size=num_triplets)
    second = rng.integers(len(classes) - 1, size=num_triplets)
    second += second >= first
    of_first = distinct(rng, classes.sizes[first], 2)
    of_second = distinct(rng, classes.sizes[second], 1)
    return np.hstack([classes.at(first, of_first), classes.at(second, of_second)])


def read_triplets(file: Path, paths: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Read triplets as indices of training images, (T, 3)."""
    named = read_columns(file)
    are_paths = ~named.apply(lambda column: column.str.fullmatch(r"[0-9]+"))
    if are_paths.any(axis=None):
        known = images_by_path(paths, named)
    else:
        known = {str(row): [number] for number, row in enumerate(rows)}
    numbers = np.empty(named.shape, int)
    for place, name in np.ndenumerate(named.to_numpy()):
        found = known.get(name, [])
        if len(found) != 1:
            reason = "which needs more of its path" if found else not_found(name, are_paths)
            raise TripletFileError(
                f"{location(file, *place)} {name} names {len(found) or 'no'} training "
                f"image{'s' * (len(found) > 1)}, {reason}"
            )
        numbers[place] = found[0]
    for column in (0, 1):
        if (same := numbers[:, column] == numbers[:, 2]).any():
            raise TripletFileError(
                f"{location(file, int(same.argmax()), 2)} is the {COLUMNS[column]} itself"
            )
    return numbers


def not_found(name: str, are_paths: pd.DataFrame) -> str:
    """Why an entry is no training image, and what would be one."""
    if not are_paths.any(axis=None):
        return "whose rows in the table of the dataset are counted from 0; val and test have others"
    if not name.isdigit():
        return "and must be the path of one"
    line = int(are_paths.any(axis=1).to_numpy().argmax()) + 2
    return f"as a path; line {line} has a path, and a file has paths or rows"


def location(file: Path, number: int, column: int) -> str:
    """Line and column of an entry, for messages."""
    return f"{file} line {number + 2}: {COLUMNS[column]}"


def read_columns(file: Path) -> pd.DataFrame:
    """Read the three columns of a file of triplets as text."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise TripletFileError(f"sampler.file={file}: cannot be read as CSV ({error})") from error
    if missing := [column for column in COLUMNS if column not in table]:
        raise TripletFileError(
            f"{file} has no column {', '.join(missing)}; a file of triplets has the columns "
            f"{', '.join(COLUMNS)}"
        )
    if table.empty:
        raise TripletFileError(f"{file} has no triplets")
    if not isinstance(table.index, pd.RangeIndex):
        raise TripletFileError(f"{file} has more entries in a line than columns")
    table = pd.DataFrame({column: table[column].str.strip() for column in COLUMNS})
    for place in np.argwhere((table == "").to_numpy()):
        raise TripletFileError(f"{location(file, *place)} is empty")
    return table


def images_by_path(paths: Sequence[str], named: pd.DataFrame) -> dict[str, list[int]]:
    """Training images by the ends of their paths, of those lengths that the file uses."""
    lengths = {len(Path(name).parts) for name in np.unique(named.to_numpy())}
    found = defaultdict(list)
    for number, path in enumerate(paths):
        parts = Path(path).parts
        for length in lengths:
            if length <= len(parts):
                found[str(Path(*parts[len(parts) - length :]))].append(number)
    return found
