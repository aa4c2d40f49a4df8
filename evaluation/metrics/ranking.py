"""Ranking: the ranks of the relevant items of each query, the input of retrieval metrics."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Scores

ABSENT = torch.iinfo(torch.int64).max  # pads the rows of queries with fewer relevant items


class Ranking(NamedTuple):
    """Ranking: the ranks of the relevant items of Q queries in the whole gallery.

    A gallery item is relevant if it has the label of the query and is not the query itself. Every
    query has at least one relevant item. Ranks count the gallery without the query and start at 1,
    the nearest item. At equal distance an irrelevant item comes before a relevant one, so that ties
    never raise a score and no rank depends on the order of the samples.

    Row q holds the ranks of query q's relevant items, ascending and padded with `ABSENT`: `[1, 3]`
    if the nearest and the third nearest item are relevant.
    """

    ranks: Int[Tensor, "Q R"]
    num_relevant: Int[Tensor, " Q"]  # R_q >= 1
    class_size: Int[Tensor, " Q"]  # gallery items with the query's label, incl. the query


def sum_of_precisions(ranking: Ranking, depth: Int[Tensor, " Q"] | int) -> Scores:
    """Sum of precisions: Σ P(r) over relevant ranks r <= depth, P(r) = (relevant in first r) / r.

    The i-th relevant item, at rank r_i, has precision i / r_i. Every average precision is this sum
    divided by a number that depends on its definition.

    Args:
        depth: one depth for all queries, or one per query.
    """
    limit = depth[:, None] if isinstance(depth, Tensor) else depth
    num_retrieved = torch.arange(1, ranking.ranks.shape[1] + 1, device=ranking.ranks.device)
    precisions = num_retrieved.double() / ranking.ranks
    return precisions.where(ranking.ranks <= limit, 0).sum(dim=1)
