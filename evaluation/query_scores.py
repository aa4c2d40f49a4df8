"""Query scores: the score of every query by every retrieval metric, from one search."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from core.types import Scores
from evaluation.embedded_set import EmbeddedSet
from evaluation.metrics.metric import Metric, check_value


class QueryScores(NamedTuple):
    """Query scores: the queries with a relevant item, and their scores by every metric."""

    queries: Int[Tensor, " Q"]  # indices into the embeddings, ascending
    by_metric: dict[str, Scores]


def score_queries(embedded_set: EmbeddedSet, metrics: Mapping[str, Metric]) -> QueryScores:
    """Search once and score every query that has a relevant item by all `metrics`.

    Args:
        metrics: name -> retrieval metric.
    """
    queries = [embedded_set.queries[:0]]
    scores = {name: [embedded_set.queries[:0].double()] for name in metrics}
    for chunk, ranking in embedded_set.rankings() if metrics else ():
        queries.append(chunk)
        for name, metric in metrics.items():
            score = metric(ranking=ranking)
            check_value(name, score, f"one score per query, ({len(chunk)},)", (len(chunk),))
            scores[name].append(score)
    ascending, order = torch.cat(queries).sort()
    by_metric = {name: torch.cat(chunks)[order] for name, chunks in scores.items()}
    return QueryScores(ascending, by_metric)
