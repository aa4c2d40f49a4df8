"""Every published run that conf/experiment names composes, builds, and says what it reproduces."""

import math
import re
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from datasets.table import make_table
from engine.config.check import check
from engine.config.run_name import CONF

EXPERIMENTS = sorted(
    str(path.relative_to(CONF / "experiment").with_suffix(""))
    for path in (CONF / "experiment").rglob("*.yaml")
)
SETTINGS = sorted({name.rpartition("/")[0] for name in EXPERIMENTS})  # study and dataset
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


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_run_composes_and_builds_and_stands_where_its_protocol_says(
    setting: str, subtests: pytest.Subtests
) -> None:
    protocol = composed(f"protocol={setting}")
    for name in runs_of(setting):
        with subtests.test(name):
            config = composed(f"experiment={name}")
            assert_it_builds(config)
            assert_it_stands_where_its_protocol_says(config, protocol, *name.split("/"))


def assert_it_builds(config: DictConfig) -> None:
    for part in ("loss", "batchminer", "transform"):
        instantiate(config[part])
    assert len(instantiate(config.sampler)(labels=LABELS)) > 0
    assert instantiate(config.evaluation.measure).higher_is_better


def assert_it_stands_where_its_protocol_says(
    config: DictConfig, protocol: DictConfig, study: str, _: str, run: str
) -> None:
    assert config.group.startswith(f"{study}_")
    assert run in config.group
    for key in ("dataset", "transform", "optimizer", "scheduler", "trainer", "validation"):
        assert config[key] == protocol[key], key


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_header_says_what_the_run_reproduces(setting: str, subtests: pytest.Subtests) -> None:
    for name in runs_of(setting):
        with subtests.test(name):
            text = header(name)
            for field in ("command", "expected", "hardware"):
                assert f"#   {field} " in text
            assert f"experiment={name} " in text
            assert "https://" in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_takes_another_loss(name: str) -> None:
    config = composed(f"protocol={name}", "loss=triplet", "batchminer=semihard")
    assert config.loss["_target_"] == "criteria.triplet.TripletMargin"
    assert config.batchminer["_target_"] == "batch_mining.semihard.SemiHardMiner"


def runs_of(setting: str) -> list[str]:
    return [name for name in EXPERIMENTS if name.startswith(f"{setting}/")]


def published(dataset: str) -> list[str]:
    return runs_of(f"roth2020/{dataset}")


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
        "scheduler._target_": "engine.learning_rate.constant",
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
        "trainer.storage_metrics": ["train/recall@1", "test/recall@1"],
    }
    assert dict(zip(keys, values(config, *keys), strict=True)) == keys
    assert {"recall@1", "recall@2", "recall@4"} <= set(config.metric)
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


@pytest.mark.parametrize("dataset", ["cub200", "cars196", "sop"])
def test_what_depends_on_the_loss_in_the_runs_of_roth_et_al(
    dataset: str, subtests: pytest.Subtests
) -> None:
    """Three losses take raw embeddings, two one positive; no miner cuts off distances above."""
    for name in published(dataset):
        with subtests.test(name):
            config, loss = composed(f"experiment={name}"), name.split("/")[-1]
            raw = loss in ("npair", "generalized_lifted", "angular")
            assert config.backbone.normalize is not raw
            drawn = config.batchminer["_target_"] == "batch_mining.one_positive.OnePositiveMiner"
            assert drawn is (loss in ("npair", "angular"))
            assert config.batchminer.get("upper_cutoff") is None


def test_the_expected_numbers_of_roth_et_al_are_percentages_with_a_deviation() -> None:
    pattern = re.compile(r"oracle test/recall@1 (\d\d\.\d\d) ± (\d\.\d\d) \(percent; population")
    found = [pattern.search(header(name)) for name in EXPERIMENTS if name.startswith("roth2020/")]
    assert all(found)
    assert all(55 < float(match[1]) < 85 and float(match[2]) < 1 for match in found if match)


def test_musgrave_et_al_tuned_14_losses_in_4_settings() -> None:
    found = [name.split("/")[1:] for name in EXPERIMENTS if name.startswith("musgrave2020/")]
    settings = {setting: {run for s, run in found if s == setting} for setting, _ in found}
    assert set(settings) == {"cub200", "cars196", "sop", "cub200_b256"}
    assert all(runs == settings["cub200"] and len(runs) == 14 for runs in settings.values())


@pytest.mark.parametrize(
    ("setting", "dataset", "every", "patience", "batch"),
    [
        ("cub200", "cub200", 200, 900, 32),
        ("cars196", "cars196", 500, 1400, 32),
        ("sop", "sop", 2000, 3900, 32),
        ("cub200_b256", "cub200", 200, 900, 256),
    ],
)
def test_what_all_runs_of_musgrave_et_al_share(
    setting: str, dataset: str, every: int, patience: int, batch: int
) -> None:
    config = composed(f"protocol=musgrave2020/{setting}")
    keys = {
        "trainer.iterations": 100_000,
        "trainer.evaluate_every_iterations": every,
        "trainer.patience": patience,
        "optimizer._target_": "torch.optim.RMSprop",
        "optimizer.lr": 1e-6,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 1e-4,
        "sampler.batch_size": batch,
        "sampler.samples_per_class": 4,
        "sampler.replacement": False,
        "backbone._target_": "architectures.bninception.bninception",
        "backbone.embedding_dim": 128,
        "backbone.batchnorm": "frozen",
        "transform.crop": 227,
        "transform.resize": 256,
        "transform.scale": [0.16, 1.0],
        "validation._target_": "datasets.validation.fold",
        "validation.folds": 4,
        "validation.shuffle": False,
        "evaluation.select_on": "val/map@r",
        "dataset._target_": f"datasets.{dataset}.{dataset}",
    }
    assert dict(zip(keys, values(config, *keys), strict=True)) == keys
    assert {"recall@1", "r_precision", "map@r"} <= set(config.metric)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("cars196/arcface", {"margin": math.radians(20.52), "scale": 49.5, "lr": 7.39e-6}),
        ("sop/ms_miner", {"alpha": 15.94, "beta": 156.61, "base": 0.72}),
        ("sop/proxynca", {"length": math.sqrt(10.73), "lr": 5.28e-4, "include_own": True}),
        ("cub200_b256/margin_class", {"margin": -0.0204, "beta": 0.1097, "beta_lr": 1.32e-2}),
        ("cub200/margin", {"margin": 0.0878, "beta": 0.7838, "num_classes": None}),
        ("cub200/softtriple", {"scale": 78.02, "gamma": 58.95, "tau": 0.3754, "margin": 0.4307}),
        ("sop/cosface", {"margin": 0.3364, "scale": 100.0, "lr": 2.16e-3}),
        ("cub200/contrastive", {"positive_margin": -0.2, "negative_margin": 0.3841}),
    ],
)
def test_the_numbers_that_musgrave_et_al_found(name: str, numbers: dict[str, float]) -> None:
    loss = composed(f"experiment=musgrave2020/{name}").loss
    for key, value in numbers.items():
        assert loss[key] == (value if value is None else pytest.approx(value, rel=5e-4)), key


def test_softtriple_of_musgrave_et_al_weighs_centers_as_their_library_did() -> None:
    """It divided the cosines by gamma too; multiplied, the closest center would decide alone."""
    loss = composed("experiment=musgrave2020/cub200/softtriple").loss
    criterion = instantiate(loss, num_classes=2, embedding_dim=4, num_sub_centers=2, scale=1.0)
    with torch.no_grad():
        criterion.prototypes.copy_(torch.eye(4))  # two centers of each class
    cosines = {0: 0.8, 1: 0.6}  # with the centers of the first class
    weights = {k: math.exp(cosine / 58.95) for k, cosine in cosines.items()}
    expected = sum(weights[k] * cosines[k] for k in weights) / sum(weights.values())
    logits = criterion.logits(torch.tensor([[0.8, 0.6, 0.0, 0.0]]))
    assert logits[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx(0.7, abs=1e-3), "all but the mean"


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.startswith("musgrave2020/")])
def test_classification_takes_one_image_of_a_class_and_the_others_four(
    setting: str, subtests: pytest.Subtests
) -> None:
    labels = np.arange(75).repeat(60)  # three folds of CUB200
    for name in runs_of(setting):
        with subtests.test(name):
            run = name.split("/")[-1]
            one = run in ("proxynca", "normalized_softmax", "cosface", "arcface", "softtriple")
            sampler = composed(f"experiment={name}").sampler
            assert sampler.samples_per_class == (1 if one else 4)
            assert len(next(iter(instantiate(sampler)(labels=labels)))) == sampler.batch_size


@pytest.mark.parametrize(
    ("study", "metric", "pattern"),
    [
        ("roth2020", "test/recall@1", r"oracle test/recall@1 ([\d.]+) ±"),
        ("musgrave2020", "test/map@r", r"concatenated test/map@r ([\d.]+)"),
    ],
)
def test_the_expected_numbers_are_the_published_ones(study: str, metric: str, pattern: str) -> None:
    """As results/published/ has them, which tables are compared with."""
    table = pd.read_csv(CONF.parent / "results" / "published" / f"{study}.csv")
    settings = ("main results", "concatenated")
    rows = table[(table["metric"] == metric) & table["setting"].isin(settings)]
    published = {(row.dataset, row.run): float(row.mean) for row in rows.itertuples(index=False)}
    found = {
        (name.split("/")[1], name.split("/")[2]): float(match[1])
        for name in EXPERIMENTS
        if name.startswith(f"{study}/") and (match := re.search(pattern, header(name)))
    }
    published.pop(("cub200", "pretrained"), None)
    published.pop(("cars196", "pretrained"), None)
    assert found == pytest.approx(published)


@pytest.mark.parametrize("dataset", ["cub200", "inshop"])
def test_the_recipe_of_online_metric_learning(dataset: str) -> None:
    config = composed(f"protocol=online2019/{dataset}")
    keys = {
        "trainer.iterations": 10_000,
        "trainer.evaluate_every_iterations": 50,
        "optimizer._target_": "torch.optim.Adam",
        "optimizer.lr": 1e-4,
        "optimizer.weight_decay": 0.0,
        "scheduler.milestones": [5000],
        "scheduler.gamma": 0.1,
        "scheduler.unit": "iteration",
        "sampler.batch_size": 128,
        "backbone.embedding_dim": 128,
        "backbone.batchnorm": "trained",
        "backbone.normalize": True,
    }
    assert dict(zip(keys, values(config, *keys), strict=True)) == keys
    ranks = {"cub200": (1, 2, 4, 8, 16, 32), "inshop": (1, 10, 20, 30, 40)}[dataset]
    assert {*(f"cmc@{rank}" for rank in ranks), "map", "nmi"} <= set(config.metric)


@pytest.mark.parametrize(
    ("dataset", "epochs", "lr", "head_lr"),
    [("cub200", 200, 1e-6, None), ("sop", 100, 1e-5, 2e-5)],
)
def test_the_recipe_of_roadmap(dataset: str, epochs: int, lr: float, head_lr: float | None) -> None:
    config = composed(f"protocol=roadmap2021/{dataset}")
    keys = {
        "trainer.epochs": epochs,
        "trainer.precision": "16-mixed",
        "trainer.evaluate_every_epochs": 5,
        "trainer.head_lr": head_lr,
        "optimizer.lr": lr,
        "sampler.batch_size": 128,
        "sampler.samples_per_class": 4,
        "backbone.embedding_dim": 512,
        "backbone.batchnorm": "frozen",
        "transform.crop": 224,
        "transform.scale": [0.16, 1.0],
    }
    assert dict(zip(keys, values(config, *keys), strict=True)) == keys


@pytest.mark.parametrize(("index", "validated"), [(0, range(25)), (3, range(75, 100))])
def test_a_quarter_of_the_sorted_training_classes_validates(index: int, validated: range) -> None:
    config = composed("protocol=musgrave2020/cub200", f"validation.index={index}")
    labels = np.arange(200).repeat(2)
    table = make_table(
        [str(number) for number in range(400)], labels, np.where(labels < 100, "train", "test")
    )
    split = instantiate(config.validation)(table)
    numbers = split.assign(label=split["label"].astype(int)).groupby("split")["label"].unique()
    assert sorted(numbers["val"]) == list(validated)
    assert sorted(numbers["test"]) == list(range(100, 200))
