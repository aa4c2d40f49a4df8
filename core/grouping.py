"""Grouping of images by class, or of classes by category, from which samplers draw."""

import logging

import numpy as np
from numpy.typing import ArrayLike

log = logging.getLogger(__name__)


class Grouping:
    """Grouping: draws members of groups, such as images of classes.

    Args:
        groups: the group of each of the S members, (S,): numbers or text.

    Attributes:
        names: the G distinct groups, sorted, (G,).
        codes: index in `names` of the group of each member, (S,).
        sizes: number of members of each group, (G,).
    """

    def __init__(self, groups: ArrayLike) -> None:
        self.names, self.codes = np.unique(np.asarray(groups), return_inverse=True)
        self.sizes = np.bincount(self.codes, minlength=len(self.names))
        self.by_group = np.argsort(self.codes, kind="stable")  # group g from starts[g] on
        self.starts = np.cumsum(self.sizes) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def members(self, group: int) -> np.ndarray:
        """The members of a group, in ascending order."""
        return self.by_group[self.starts[group] :][: self.sizes[group]]

    def at(self, groups: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """The members at places `picks` (P, K) of groups (P,)."""
        found: np.ndarray = self.by_group[self.starts[groups][:, None] + picks]
        return found

    def draw(self, rng: np.random.Generator, groups: np.ndarray, count: int) -> np.ndarray:
        """Draw `count` members of each of the groups (P,), (P, count).

        The members drawn from a group are distinct, also where `groups` names it several times; a
        group that has fewer repeats them, equally often up to one.
        """
        first, inverse = np.unique(groups, return_index=True, return_inverse=True)[1:]
        row = first[inverse]  # first row of the same group
        earlier = np.tril(row[:, None] == row, -1).sum(axis=1)  # rows of the same group before
        picks = distinct(rng, self.sizes[groups], count * (1 + int(earlier.max(initial=0))))
        columns = earlier[:, None] * count + np.arange(count)
        return self.at(groups, picks[row[:, None], columns])

    def complete(self, rng: np.random.Generator, members: np.ndarray, count: int) -> np.ndarray:
        """Add members of its group to each of the members (P,), (P, count); column 0 is the member.

        A row repeats a member only if the group has fewer than `count`, equally often up to one.
        """
        groups = self.codes[members]
        places = np.empty_like(self.by_group)
        places[self.by_group] = np.arange(len(places))
        first = places[members] - self.starts[groups]
        return self.at(groups, distinct(rng, self.sizes[groups], count, first))

    def draw_with_replacement(
        self, rng: np.random.Generator, groups: np.ndarray, count: int
    ) -> np.ndarray:
        """Draw `count` members of each of the groups (P,), which may repeat, (P, count)."""
        sizes = self.sizes[groups][:, None]
        return self.at(groups, rng.integers(sizes, size=(len(groups), count)))

    def per_batch(self, batch_size: int, samples_per_class: int, repeat: bool = False) -> int:
        """Classes of a batch, P = batch_size / samples_per_class.

        Args:
            batch_size: images of a batch.
            samples_per_class: images of each of its classes.
            repeat: whether a batch may have a class several times.

        Raises:
            ValueError: no such batch exists.
        """
        if samples_per_class < 1 or batch_size < 1 or batch_size % samples_per_class:
            raise ValueError(f"{batch_size=} must be a positive multiple of {samples_per_class=}")
        wanted = batch_size // samples_per_class
        if wanted > len(self) and not repeat:
            raise ValueError(
                f"{batch_size=} with {samples_per_class=} needs {wanted} classes, "
                f"there are {len(self)}"
            )
        return wanted

    def warn_of_repeats(self, count: int) -> None:
        """Warn that draws of `count` images repeat those of smaller classes."""
        if short := int((self.sizes < count).sum()):
            log.warning("classes of fewer than %d images repeat some: %d", count, short)


def distinct(
    rng: np.random.Generator, sizes: np.ndarray, count: int, first: np.ndarray | None = None
) -> np.ndarray:
    """Draws `count` distinct numbers below each size, (rows, count); a smaller size repeats them.

    The j-th draw chooses one of the `size - j` remaining numbers by skipping those already drawn.
    The first number of each row is drawn, too, unless `first` (rows,) gives it.
    """
    picks = np.empty((len(sizes), 0), int) if first is None else first[:, None]
    for taken in range(picks.shape[1], count):
        pick = rng.integers(np.maximum(sizes - taken, 1))
        for earlier in np.sort(picks, axis=1).T:
            pick += pick >= earlier
        picks = np.column_stack([picks, pick])
    return np.take_along_axis(picks, np.arange(count) % sizes[:, None], axis=1)
