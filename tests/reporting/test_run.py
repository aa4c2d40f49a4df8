"""Runs read from folders, and what their rows are called."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from reporting.readers.run_folders import read_folders
from reporting.readers.sources import read_all
from reporting.run import labels, tidy
from tests.run_folders import CONFIG, COST, write_run


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    claim = {"claim": "protocol=roth2020/cub200", "differences": {"trainer.epochs": {}}}
    values = [{"test/recall@1": 0.6, "train/dists@intra": 0.3}, {"test/recall@1": 0.5}]
    write_run(tmp_path, "cub200/margin_0badcafe/seed3", *values, protocol=claim)
    (run,) = read_folders(tmp_path)
    assert (run.dataset, run.group, run.seed) == ("cub200", "margin_0badcafe", 3)
    assert (run.name, run.state) == ("cub200/margin_0badcafe/seed3", "finished")
    assert (run.claim, list(run.deviations)) == ("protocol=roth2020/cub200", ["trainer.epochs"])
    assert run.commit == "0123456789abcdef"
    assert dict(run.cost) == COST
    assert [record["epoch"] for record in run.records] == [1, 2]


def test_a_failed_run_has_its_reason_and_its_numbers_so_far(tmp_path: Path) -> None:
    values = {"test/recall@1": 0.6, "test/rho_spectrum@2": 0.2}
    write_run(tmp_path, "cub200/margin_0badcafe/seed0", values, error="out of memory")
    write_run(tmp_path, "cub200/margin_0badcafe/seed1", error="no file")
    with (tmp_path / "cub200/margin_0badcafe/seed0/metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "ep')  # half a line of a killed process
    measured, empty = read_folders(tmp_path)
    assert (measured.state, measured.error) == ("failed", "RuntimeError: out of memory")
    assert "write_run" in (measured.traceback or "")
    assert (measured.readings["oracle"] or {})["test/recall@1"] == 0.6
    assert not any(empty.readings.values())


def test_one_row_per_number_and_train_is_read_at_the_best_test_recall(tmp_path: Path) -> None:
    spectra = [0.2, 0.4, 0.6]
    values = [
        {"test/recall@1": recall, "test/nmi": nmi, "train/rho_spectrum@2": rho}
        for recall, nmi, rho in zip([0.5, 0.7, 0.6], [0.3, 0.2, 0.1], spectra, strict=True)
    ]
    write_run(tmp_path, "cub200/margin_0badcafe/seed0", *values)
    numbers = tidy(read_folders(tmp_path)).set_index(["reading", "metric"])["value"]
    assert numbers["last", "test/recall@1"] == 0.6
    assert numbers["oracle", "test/recall@1"] == 0.7
    assert numbers["oracle", "test/nmi"] == 0.3
    assert numbers["oracle", "train/rho_spectrum@2"] == 0.4
    assert "selected" not in numbers.index.get_level_values(0)


def test_a_row_is_named_by_what_tells_it_apart(tmp_path: Path) -> None:
    other = {**CONFIG, "loss": {**CONFIG["loss"], "beta": 0.6}}
    many = {**CONFIG, "optimizer": {"a": 1, "b": 2, "c": 3, "d": 4}}
    configs = {
        "cub200/margin_00000000": CONFIG,
        "cub200/margin_00000001": other,
        "cars196/margin_00000002": other,
        "cub200/triplet_00000003": CONFIG,
        "sop/softmax_00000004": CONFIG,
        "sop/softmax_00000005": many,
    }
    for name, config in configs.items():
        for seed in (0, 1):  # what differs by the seed tells nothing
            own = {**config, "sampler": {"seed": seed}, "paths": {"runs": str(tmp_path)}}
            write_run(tmp_path, f"{name}/seed{seed}", {"test/recall@1": 0.5}, config=own)
    found = {"/".join(group): name for group, name in labels(read_folders(tmp_path)).items()}
    assert found == {
        "cub200/margin_00000000": "margin [beta=1.2]",
        "cub200/margin_00000001": "margin [beta=0.6]",
        "cars196/margin_00000002": "margin [beta=0.6]",
        "cub200/triplet_00000003": "triplet",
        "sop/softmax_00000004": "softmax [00000004]",
        "sop/softmax_00000005": "softmax [00000005]",
    }


def test_a_row_is_named_by_its_component_and_what_tells_equal_ones_apart(tmp_path: Path) -> None:
    samplers = {
        "0": {"_target_": "datasampler.balance.Balance", "batch_size": 8, "samples_per_class": 4},
        "1": {"_target_": "datasampler.greedy_coreset.GreedyCoreset", "softened": False, "m": 5},
        "2": {"_target_": "datasampler.greedy_coreset.GreedyCoreset", "softened": True, "m": 5},
    }
    for name, sampler in samplers.items():
        config = {**CONFIG, "sampler": sampler}
        write_run(
            tmp_path, f"sop/margin_0000000{name}/seed0", {"test/recall@1": 0.5}, config=config
        )
    assert sorted(labels(read_folders(tmp_path)).values()) == [
        "margin [sampler=balance]",
        "margin [sampler=greedy_coreset, softened=False]",
        "margin [sampler=greedy_coreset, softened=True]",
    ]


def test_a_row_is_named_by_its_hooks_where_another_has_others(tmp_path: Path) -> None:
    ema = {"_target_": "engine.hooks.ema.ExponentialMovingAverage", "decay": 0.9, "warmup": True}
    mine = {"_target_": "my_code.target_reached.TargetReached", "target": 0.7}
    hooks: list[dict[str, Any]] = [
        {},
        {"ema": ema},
        {"ema": {**ema, "decay": 0.99}},
        {"ema": ema, "mine": mine},
    ]
    for number, chosen in enumerate(hooks):
        name, config = f"sop/margin_0000000{number}/seed0", {**CONFIG, "hooks": chosen}
        write_run(tmp_path, name, {"test/recall@1": 0.5}, config=config)
    assert sorted(labels(read_folders(tmp_path)).values()) == [
        "margin",
        "margin [hooks=ema+mine]",
        "margin [hooks=ema, decay=0.99]",
        "margin [hooks=ema, decay=0.9]",
    ]


def test_sources_that_hold_nothing_or_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder; give a folder of runs or wandb="):
        read_all([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="there is no run in"):
        read_all([str(tmp_path)])
    write_run(tmp_path, "cub200/margin_0badcafe/seed0", {"test/recall@1": 0.6})
    with pytest.raises(UserError, match="cub200/margin_0badcafe/seed0 is in several of"):
        read_all([str(tmp_path), str(tmp_path / "cub200")])
