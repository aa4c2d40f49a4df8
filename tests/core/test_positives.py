"""The positives of each anchor, packed, against a look at every entry."""

import pytest
import torch

from core.kernels.pack_positives import pack_indices, pack_positive_indices, pack_positives
from core.tuples import all_pairs
from tests.batches import LABELS


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_each_row_lists_its_marked_columns_in_order(labels: list[int]) -> None:
    columns, exist = pack_indices(all_pairs(torch.tensor(labels)).positives)
    expected = [
        [j for j, other in enumerate(labels) if other == own and j != i]
        for i, own in enumerate(labels)
    ]
    assert [row[kept].tolist() for row, kept in zip(columns, exist, strict=True)] == expected
    assert columns.shape == exist.shape == (len(labels), max(1, *map(len, expected)))
    assert (columns < len(labels)).all()


def test_values_and_their_slopes_are_those_of_the_marked_entries() -> None:
    values = torch.arange(12.0).view(3, 4).requires_grad_()
    positives = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    found, exist = pack_positives(values, positives)
    assert exist.tolist() == [[True, True], [False, False], [True, False]]
    assert found[exist].tolist() == [1.0, 3.0, 8.0]
    found.where(exist, 0).sum().backward()
    torch.testing.assert_close(values.grad, positives.float())


def test_what_is_compiled_does_not_ask_how_many_there_are() -> None:
    positives = all_pairs(torch.tensor([0, 0, 1, 1, 1])).positives
    values = torch.randn(5, 5)

    @torch.compile(fullgraph=True, backend="eager")
    def both() -> tuple[torch.Tensor, ...]:
        return *pack_positives(values, positives), *pack_positive_indices(positives)

    found, exist, columns, marks = both()
    assert torch.equal(found, values)
    assert torch.equal(exist, positives)
    assert torch.equal(marks, positives)
    assert torch.equal(values.gather(1, columns), values)
