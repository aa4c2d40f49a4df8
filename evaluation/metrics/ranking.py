"""What every retrieval metric needs to know: at which ranks the relevant items come."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Scores

ABSENT = torch.iinfo(torch.int64).max  # fills up the rows of queries with fewer relevant items


class Ranking(NamedTuple):
    """Q queries and where in the whole gallery, nearest first, their relevant items come.

    A gallery item is relevant if it has the label of the query and is not the query itself. Every
    query has at least one. Ranks count the gallery without the query and start at 1; an irrelevant
    item exactly as near as a relevant one comes first, so that ties never flatter and no rank
    depends on the order of the samples.

    Row q holds the ranks of query q's relevant items, ascending, then `ABSENT`: `[1, 3]` if the
    nearest and the third nearest item are the relevant ones.
    """

    ranks: Int[Tensor, "Q R"]
    num_relevant: Int[Tensor, " Q"]  # R_q >= 1
    class_size: Int[Tensor, " Q"]  # gallery items of the query's label, the query included if in it


def sum_of_precisions(ranking: Ranking, depth: Int[Tensor, " Q"] | int) -> Scores:
    """Σ P(r) over the relevant items at ranks r <= depth, P(r) = (relevant among the first r) / r.

    The i-th relevant item, at rank r_i, has precision i / r_i. `depth` is one for all queries or
    one for each. Every average precision is this sum over a number that its definition chooses.
    """
    limit = depth[:, None] if isinstance(depth, Tensor) else depth
    found = torch.arange(1, ranking.ranks.shape[1] + 1, device=ranking.ranks.device)
    precisions = found.double() / ranking.ranks
    return precisions.where(ranking.ranks <= limit, 0).sum(dim=1)
