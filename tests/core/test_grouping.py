"""Draws from groups: distinct members, as far as a group has them."""

import numpy as np
import pytest

from core.grouping import Grouping
from tests.samplers import assert_distribution

GROUPS = ["dog", "ant", "dog", "cat", "dog", "ant", "dog"]
MEMBERS = {"ant": [1, 5], "cat": [3], "dog": [0, 2, 4, 6]}


def test_groups_are_sorted_and_hold_their_members() -> None:
    grouping = Grouping(GROUPS)
    assert len(grouping) == 3
    assert grouping.names.tolist() == list(MEMBERS)
    assert grouping.sizes.tolist() == [2, 1, 4]
    assert [grouping.members(group).tolist() for group in range(3)] == list(MEMBERS.values())
    places = grouping.at(np.array([2, 0]), np.array([[3, 0], [1, 1]]))
    assert places.tolist() == [[6, 0], [5, 5]]


@pytest.mark.parametrize("groups", [[0, 1, 2], [2], [2, 2], [0, 2, 0, 2, 1, 0], []])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_drawn_members_are_distinct_as_far_as_a_group_allows(groups: list[int], count: int) -> None:
    """Also where a group is named several times."""
    grouping = Grouping(GROUPS)
    for seed in range(30):
        drawn = grouping.draw(np.random.default_rng(seed), np.array(groups, int), count)
        assert drawn.shape == (len(groups), count)
        for group, members in enumerate(MEMBERS.values()):
            own = drawn[np.array(groups, int) == group].ravel().tolist()
            assert set(own) <= set(members)
            times = [own.count(member) for member in members]
            assert max(times) - min(times) <= 1


def test_every_member_is_equally_likely() -> None:
    """Of 4 members 3 are drawn, one of them for the second naming; 3 degrees of freedom, p=1e-4."""
    grouping, rng = Grouping(GROUPS), np.random.default_rng(0)
    drawn = np.stack([grouping.draw(rng, np.array([2, 0, 2]), 1)[:, 0] for _ in range(4000)])
    for row in (drawn[:, 0], drawn[:, 2]):
        times = np.bincount(row, minlength=7)[[0, 2, 4, 6]]
        assert ((times - 1000) ** 2 / 1000).sum() < 21.1


def test_classes_per_batch() -> None:
    grouping = Grouping(GROUPS)
    assert grouping.per_batch(batch_size=6, samples_per_class=2) == 3
    assert grouping.per_batch(batch_size=8, samples_per_class=2, repeat=True) == 4
    with pytest.raises(ValueError, match="batch_size=8 with samples_per_class=2 needs 4 classes"):
        grouping.per_batch(batch_size=8, samples_per_class=2)
    with pytest.raises(ValueError, match="batch_size=5 must be a positive multiple"):
        grouping.per_batch(batch_size=5, samples_per_class=2)


def test_members_are_completed_by_others_of_their_group() -> None:
    groups = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c"], [2, 5, 9]))
    grouping, members = Grouping(groups), np.arange(16)
    seen: dict[int, set[int]] = {}
    for seed in range(60):
        rows = grouping.complete(np.random.default_rng(seed), members, 4)
        assert (rows[:, 0] == members).all()
        for row in rows.tolist():
            size = (groups == groups[row[0]]).sum()
            assert len(set(groups[row].tolist())) == 1
            assert len(set(row)) == min(4, size)
            assert max(map(row.count, row)) == (2 if size == 2 else 1)
            seen.setdefault(row[0], set()).update(row)
    for member, others in seen.items():
        assert others == set(np.flatnonzero(groups == groups[member]).tolist())


def test_members_drawn_with_replacement_repeat() -> None:
    groups = np.repeat([5, 7], [3, 2])
    rows = Grouping(groups).draw_with_replacement(
        np.random.default_rng(0), np.array([0, 1, 0]), 2000
    )
    assert_distribution(rows[0].tolist(), dict.fromkeys([0, 1, 2], 1 / 3))
    assert_distribution(rows[1].tolist(), dict.fromkeys([3, 4], 1 / 2))
