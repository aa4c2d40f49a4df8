"""Losses of the experiments, as their YAML builds them, beside the numbers of the code they name.

tests/golden/ has those numbers, and how they were made.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import Tensor, nn

from core.types import Pairs, Triplets, Tuples
from tests.configured import CONF, composed

GOLDEN = Path(__file__).parent / "golden"
STUDIES = ("roth2020", "online2019", "roadmap2021")
EXPERIMENTS = [
    str(path.relative_to(CONF / "experiment").with_suffix(""))
    for study in STUDIES
    for path in sorted((CONF / "experiment" / study).rglob("*.yaml"))
]


class Agreement(NamedTuple):
    """How a loss here compares with that of a golden batch."""

    value: float  # here / there
    length: float  # of the gradient, here / there
    cosine: float  # of the two gradients
    of_parameters: float  # cosine of their gradients, 1 where there are none


@cache
def golden(study: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{study}.json").read_text())


def run_of(experiment: str) -> str:
    """The golden run of an experiment; that with 11 bins has its own."""
    run = experiment.split("/")[-1]
    return "histogram_11" if experiment == "roth2020/sop/histogram" else run


def runs(experiment: str) -> dict[str, dict[str, Any]]:
    """The golden numbers of an experiment by batch."""
    return golden(experiment.split("/")[0])["runs"][run_of(experiment)]


def batch(study: str, name: str) -> tuple[Tensor, Tensor]:
    found = golden(study)["batches"][name]
    return torch.tensor(found["embeddings"], requires_grad=True), torch.tensor(found["labels"])


def agreement(experiment: str, name: str) -> Agreement:
    """The preset's loss on a golden batch, given the tuples that were drawn there."""
    config, there = composed(f"experiment={experiment}"), runs(experiment)[name]
    embeddings, labels = batch(experiment.split("/")[0], name)
    criterion = instantiate(config.loss)
    transposed = config.loss["_target_"] == "criteria.softtriple.SoftTriple"
    _set_parameter(criterion, there.get("parameter"), transposed)
    unit = F.normalize(embeddings, dim=1) if config.backbone.normalize else embeddings
    loss = criterion(unit, labels, _drawn(there, labels))
    loss.backward()
    gradient = torch.tensor(there["gradient"])
    of_parameters = 1.0
    if "parameter_gradient" in there:
        (parameter,) = criterion.parameters()
        expected = torch.tensor(there["parameter_gradient"])
        of_parameters = _cosine(parameter.grad, expected.T if transposed else expected)
    return Agreement(
        loss.item() / there["value"],
        (embeddings.grad.norm() / gradient.norm()).item(),
        _cosine(embeddings.grad, gradient),
        of_parameters,
    )


def _cosine(first: Tensor, second: Tensor) -> float:
    return F.cosine_similarity(first.flatten(), second.flatten(), dim=0).item()


def _set_parameter(criterion: nn.Module, values: list[Any] | None, transposed: bool) -> None:
    if values is not None:
        (parameter,) = criterion.parameters()
        initial = torch.tensor(values)
        with torch.no_grad():
            parameter.copy_((initial.T if transposed else initial).reshape(parameter.shape))


def _drawn(there: dict[str, Any], labels: Tensor) -> Tuples | None:
    """The tuples that the code drew there; None if it draws none."""
    if "triplets" in there:
        return Triplets(*torch.tensor(there["triplets"]).T)
    if "positives" not in there:
        return None
    negatives = labels[:, None] != labels
    positives = torch.zeros_like(negatives)
    positives[tuple(torch.tensor(there["positives"]).T)] = True
    return Pairs(positives, negatives)
