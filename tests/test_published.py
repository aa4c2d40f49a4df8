"""Presets give the loss, the gradient and the tuples of the code they name, or the page says not.

A user compares a row of a published study with a run of the same name here.
"""

import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from hydra.utils import instantiate
from scipy.stats import chi2_contingency

from core.types import Miner, Pairs
from tests.batches import listed
from tests.configured import CONF, composed
from tests.published import EXPERIMENTS, GOLDEN, STUDIES, agreement, batch, golden, runs

PAGE = CONF.parent / "docs" / "protocols.md"
BATCHES = ("pairs", "repeated", "odd")
FIRST = [e for e in EXPERIMENTS if "/cub200/" in e]  # the other datasets': their files are compared
RAN = [*FIRST, "roth2020/sop/histogram"]
OTHERS = [e for e in EXPERIMENTS if e not in FIRST]
OF_THE_DATASET = {"p_switch", "lr", "num_nodes"}  # numbers that a study changed between datasets


@cache
def stated() -> dict[str, list[str]]:
    """Of each run that the page says to differ, what it says of the three batches."""
    rows = re.findall(r"^\| `(\w+/\w+/\w+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")[:3]] for name, cells in rows}


def test_the_page_speaks_of_runs_that_are_compared() -> None:
    assert stated().keys() <= set(RAN)
    assert len(stated()) > 5


@pytest.mark.parametrize("experiment", RAN)
def test_loss_and_gradient_are_those_of_the_named_code_or_as_the_page_says(experiment: str) -> None:
    """A user gives `experiment=roadmap2021/cub200/roadmap`, and gets the loss of the authors."""
    for name, cell in zip(BATCHES, stated().get(experiment, ["same"] * 3), strict=True):
        if "raises" in runs(experiment)[name]:
            assert cell == "raises", name
            continue
        found = agreement(experiment, name)
        if cell == "same":
            assert found.value == pytest.approx(1, abs=2e-4), name
            assert found.length == pytest.approx(1, abs=1e-3), name
            assert found.cosine > 0.99999, name
            assert found.of_parameters > 0.99999, name
        else:
            page = [float(number) for number in cell.split(" · ")]
            now = " · ".join(f"{number:.3f}" for number in found[:3])
            assert page == pytest.approx(found[:3], abs=1.5e-3), f"{experiment}, {name}: {now}"


@pytest.mark.parametrize("experiment", OTHERS)
def test_other_datasets_change_only_numbers_that_their_study_changed(experiment: str) -> None:
    study, _, run = experiment.split("/")
    here, first = (content(name) for name in (experiment, f"{study}/cub200/{run}"))
    differing = {key for key in here | first if here.get(key) != first.get(key)}
    assert {key.split(".")[-1] for key in differing} <= OF_THE_DATASET


def content(experiment: str) -> dict[str, Any]:
    """The keys of an experiment's file, dotted, and the choices of its defaults list."""
    read = yaml.safe_load((CONF / "experiment" / f"{experiment}.yaml").read_text())
    choices = [choice for choice in read.pop("defaults") if "override /protocol" not in choice]
    return {"defaults": choices, **flattened(read)}


def flattened(node: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{above}{key}"
        found |= flattened(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found


MINERS = {  # in their code -> here
    "random": ["experiment=roth2020/cub200/triplet_random"],
    "semihard": ["experiment=roth2020/cub200/triplet_semihard"],
    "softhard": ["experiment=roth2020/cub200/triplet_softhard"],
    "distance": ["experiment=roth2020/cub200/triplet_distance"],
    "rho_distance": ["experiment=roth2020/cub200/r_contrastive"],
    "npair": ["experiment=roth2020/cub200/npair"],
    "parametric": [  # which no run of theirs has
        *("batchminer=parametric", "batchminer.distribution=hards"),
        *("batchminer.num_bins=29", "batchminer.clip=true"),
    ],
}


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("mining", MINERS)
def test_miners_draw_the_same_tuples_equally_often(mining: str, name: str) -> None:
    there = golden("roth2020")["miners"][mining][name]
    if "raises" in there:
        return  # for a sample alone in its class; miners here leave it out
    expected = Counter({tuple(found[:3]): found[3] for found in there["triplets"]})
    embeddings, labels = batch("roth2020", name)
    if mining == "distance":  # a sample alone in its class is its own positive there
        expected = Counter({key: n for key, n in expected.items() if key[0] != key[1]})
    miner = instantiate(composed(*MINERS[mining]).batchminer)
    drawn = drawn_by(miner, F.normalize(embeddings.detach(), dim=1), labels, times=300)
    assert drawn.keys() <= expected.keys()
    assert p_of_same_odds(drawn, expected) > 1e-3


def drawn_by(
    miner: Miner, embeddings: torch.Tensor, labels: torch.Tensor, times: int
) -> Counter[tuple[int, ...]]:
    drawn: Counter[tuple[int, ...]] = Counter()
    for _ in range(times):
        tuples = miner(embeddings, labels)
        if isinstance(tuples, Pairs):  # one positive and all negatives of each anchor
            drawn.update((a, p, -1) for a, p in tuples.positives.nonzero().tolist())
        else:
            drawn.update(listed(tuples))
    return drawn


def p_of_same_odds(first: Counter[Any], second: Counter[Any]) -> float:
    """p value of two lists of counts under the same odds; what is rare is counted together."""
    kept = {key: (first[key], n) for key, n in second.items() if first[key] + n >= 30}
    kept["the rest"] = tuple(
        all_of_it.total() - sum(counts[which] for counts in kept.values())
        for which, all_of_it in enumerate((first, second))
    )
    return float(chi2_contingency([counts for counts in kept.values() if any(counts)]).pvalue)


@pytest.mark.parametrize("study", STUDIES)
def test_golden_numbers_say_where_they_come_from(study: str) -> None:
    assert golden(study)["repository"].startswith("https://github.com/")
    assert re.fullmatch(r"[0-9a-f]{40}", golden(study)["commit"])
    about = (GOLDEN / "README.md").read_text()
    assert golden(study)["repository"] in about
    assert golden(study)["commit"] in about
    assert golden(study)["commit"][:7] in PAGE.read_text()
