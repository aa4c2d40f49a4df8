"""What is equal by definition has equal values for any embeddings; the rest has not."""

import itertools

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_object

from engine.config.run_name import CONF
from evaluation.evaluator import Evaluator
from tracking.equal_metrics import AT_ONE, equal_metrics

AT = {f"{target.rpartition('.')[2]}@{k}": (target, k) for target in AT_ONE for k in (1, 2)}
CONFIGS = {name: {"_target_": target, "k": k} for name, (target, k) in AT.items()}


@pytest.fixture(scope="module")
def values() -> dict[str, list[float]]:
    """The values of each metric for several sets of random embeddings."""
    rng = np.random.default_rng(0)
    evaluate = Evaluator(
        {
            name: lambda ranking, target=target, k=k: get_object(target)(ranking, k)
            for name, (target, k) in AT.items()
        }
    )
    found: dict[str, list[float]] = {name: [] for name in AT}
    for _ in range(5):
        embeddings = torch.from_numpy(rng.normal(size=(60, 3)))
        results = evaluate(embeddings, torch.from_numpy(rng.integers(12, size=60)))
        for name, seen in found.items():
            seen.append(results[name])
    return found


def test_metrics_are_equal_where_it_says_so_and_nowhere_else(
    values: dict[str, list[float]],
) -> None:
    equal = equal_metrics(CONFIGS)
    for one, other in itertools.combinations(AT, 2):
        assert (values[one] == values[other]) == (equal[one] == equal[other]), (one, other)


def test_the_only_equal_metrics_of_the_repository_are_known() -> None:
    metrics = {}
    for file in sorted((CONF / "metric").glob("*.yaml")):
        metrics |= yaml.safe_load(file.read_text())
    equal = {name: other for name, other in equal_metrics(metrics).items() if name != other}
    assert equal == {"precision@1": "cmc@1", "recall@1": "cmc@1", "recall@10": "cmc@10"}
