"""What every query scores by every metric of the ranking, all of them on one search."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Scores
from evaluation.embedded_set import EmbeddedSet
from evaluation.metrics.metric import Metric, check_value


class QueryScores(NamedTuple):
    """The queries with something to find, and a score for each by every metric."""

    queries: Int[Tensor, " Q"]  # indices into the embeddings, ascending
    by_metric: dict[str, Scores]


def score_queries(embedded_set: EmbeddedSet, metrics: Mapping[str, Metric]) -> QueryScores:
    """Search once and score every query with something to find by all `metrics`.

    Args:
        metrics: name -> metric of a ranking.
    """
    queries = [embedded_set.queries[:0]]
    scores = {name: [embedded_set.queries[:0].double()] for name in metrics}
    for some, ranking in embedded_set.rankings() if metrics else ():
        queries.append(some)
        for name, metric in metrics.items():
            score = metric(ranking=ranking)
            check_value(name, score, f"one score per query, ({len(some)},)", (len(some),))
            scores[name].append(score)
    found, order = torch.cat(queries).sort()
    return QueryScores(found, {name: torch.cat(parts)[order] for name, parts in scores.items()})
