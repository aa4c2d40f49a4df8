"""Every published run that conf/experiment names composes, builds, and says what it reproduces."""

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from engine.configuration import CONF, check

EXPERIMENTS = sorted(
    str(path.relative_to(CONF / "experiment").with_suffix(""))
    for path in (CONF / "experiment").rglob("*.yaml")
)
PROTOCOLS = sorted(
    str(path.relative_to(CONF / "protocol").with_suffix(""))
    for path in (CONF / "protocol").rglob("*.yaml")
    if path.stem != "base"
)
LABELS = np.arange(11318).repeat(3)  # of a training set as large as SOP's


@cache
def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[*overrides, "num_classes=100"])
    check(config, [])
    return config


def values(config: DictConfig, *keys: str) -> list[Any]:
    return [OmegaConf.select(config, key) for key in keys]


def header(name: str) -> str:
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    return text[: text.index("defaults:")]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_composes_and_builds(name: str) -> None:
    config = composed(f"experiment={name}")
    for part in ("loss", "batchminer", "transform"):
        instantiate(config[part])
    assert len(instantiate(config.sampler)(labels=LABELS)) > 0
    assert instantiate(config.evaluation.measure).higher_is_better


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_header_says_what_it_reproduces(name: str) -> None:
    text = header(name)
    for field in ("command", "expected", "hardware"):
        assert f"#   {field} " in text
    assert f"experiment={name} " in text
    assert "https://" in text


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_stands_where_its_protocol_says(name: str) -> None:
    study, dataset, run = name.split("/")
    config = composed(f"experiment={name}")
    protocol = composed(f"protocol={study}/{dataset}")
    assert config.group.startswith(f"{study}_")
    assert run in config.group
    for key in ("dataset", "transform", "optimizer", "scheduler", "trainer", "validation"):
        assert config[key] == protocol[key], key


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_takes_another_loss(name: str) -> None:
    config = composed(f"protocol={name}", "loss=triplet", "batchminer=semihard")
    assert config.loss["_target_"] == "criteria.triplet.TripletMargin"
    assert config.batchminer["_target_"] == "batch_mining.semihard.SemiHardMiner"


def published(dataset: str) -> list[str]:
    return [name for name in EXPERIMENTS if name.startswith(f"roth2020/{dataset}/")]


def test_roth_et_al_ran_67_groups() -> None:
    assert [len(published(name)) for name in ("cub200", "cars196", "sop")] == [23, 23, 21]
    for name in published("sop"):
        assert not {"proxynca", "softtriple"} & set(name.split("/"))


@pytest.mark.parametrize(("dataset", "epochs"), [("cub200", 150), ("cars196", 150), ("sop", 100)])
def test_what_all_runs_of_roth_et_al_share(dataset: str, epochs: int) -> None:
    """The flags of their run list, so that a changed default of this project cannot move them."""
    config = composed(f"protocol=roth2020/{dataset}")
    keys = {
        "trainer.epochs": epochs,
        "trainer.iterations": None,
        "trainer.precision": "32-true",
        "trainer.evaluate_every_epochs": 1,
        "optimizer._target_": "torch.optim.Adam",
        "optimizer.lr": 1e-5,
        "optimizer.weight_decay": 4e-4,
        "scheduler._target_": "engine.schedule.constant",
        "sampler._target_": "datasampler.class_random.ClassRandom",
        "sampler.batch_size": 112,
        "sampler.samples_per_class": 2,
        "sampler.replacement": True,
        "backbone._target_": "architectures.resnet50.resnet50",
        "backbone.embedding_dim": 128,
        "backbone.batchnorm": "frozen_statistics",
        "backbone.pretrained": True,
        "transform.crop": 224,
        "transform.resize": 256,
        "validation._target_": "datasets.validation.none",
        "evaluation.measure.distance": "euclidean",
        "evaluation.measure.clustering.iterations": 20,
        "evaluation.measure.num_clusters": 100,
        "evaluation.train_metrics": True,
    }
    assert dict(zip(keys, values(config, *keys), strict=True)) == keys
    assert config.dataset["_target_"] == f"datasets.{dataset}.{dataset}"


def test_the_switching_probabilities_of_the_regularised_runs() -> None:
    expected = {
        "cub200": {"contrastive": 0.4, "margin_b06_distance": 0.4, "margin_b12_distance": 0.35},
        "cars196": dict.fromkeys(("contrastive", "margin_b06_distance", "snr_distance"), 0.35),
        "sop": dict.fromkeys(("contrastive", "margin_b12_distance", "triplet_distance"), 0.15),
    }
    expected["cub200"] |= {"triplet_distance": 0.4, "snr_distance": 0.3}
    for dataset, runs in expected.items():
        for run, probability in runs.items():
            miner = composed(f"experiment=roth2020/{dataset}/r_{run}").batchminer
            assert (miner.p_switch, miner.switch) == (probability, "both"), run


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if n.startswith("roth2020/")])
def test_the_embeddings_are_normalised_but_for_three_losses(name: str) -> None:
    raw = name.split("/")[-1] in ("npair", "generalized_lifted", "angular")
    assert composed(f"experiment={name}").backbone.normalize is not raw


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if n.startswith("roth2020/")])
def test_no_miner_of_roth_et_al_cuts_off_distances_above(name: str) -> None:
    assert composed(f"experiment={name}").batchminer.get("upper_cutoff") is None


def test_the_expected_numbers_of_roth_et_al_are_percentages_with_a_deviation() -> None:
    pattern = re.compile(r"oracle test/recall@1 (\d\d\.\d\d) ± (\d\.\d\d) \(percent; population")
    found = [pattern.search(header(name)) for name in EXPERIMENTS if name.startswith("roth2020/")]
    assert all(found)
    assert all(55 < float(match[1]) < 85 and float(match[2]) < 1 for match in found if match)
