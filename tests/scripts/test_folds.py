"""Folds of a tiny dataset, trained for two steps, measured singly and joined."""

import json
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from core.errors import UserError
from engine.config.run_name import CONF
from engine.train import train_and_evaluate
from reporting.cross_validation import format_cell, summarize_seeds
from reporting.readers.folds import folds_by_seed
from scripts.folds import main
from sweeps.run_config import run_folder

TINY = (
    *("dataset=digits", "metric=[recall,map_at_r]", "evaluation.select_on=val/map@r"),
    *("trainer.iterations=2", "trainer.evaluate_every_iterations=1", "trainer.workers=0"),
    *("sampler.batch_size=10", "sampler.samples_per_class=5", "tracker.mode=disabled"),
    *("validation=fold", "validation.folds=2"),
)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folds of the digits 0 to 4, two seeds; two steps each, all in this process."""
    runs = tmp_path_factory.mktemp("runs")
    for index, seed in product((0, 1), (0, 1)):
        own = (f"validation.index={index}", f"seed={seed}", f"paths.runs={runs}")
        with initialize_config_dir(str(CONF), version_base="1.3"):
            whole = compose("config", overrides=[*TINY, *own], return_hydra_config=True)
        config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        folder = run_folder(config, whole.hydra.runtime.choices)
        with folder.locked(), folder.running():
            train_and_evaluate(config, folder, claim=None)
    return sorted(runs.glob("digits/*"))


def selected(run: Path) -> dict[str, Any]:
    reading: dict[str, Any] = json.loads((run / "summary.json").read_text())["selected"]
    return reading


@pytest.mark.extended
def test_separated_is_the_mean_of_what_the_runs_reached(
    groups: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(groups) == 2
    out = tmp_path / "folds.json"
    main([*map(str, groups), "--out", str(out)])
    printed = capsys.readouterr().out
    content = json.loads(out.read_text())
    for seed in (0, 1):
        runs = [selected(group / f"seed{seed}") for group in groups]
        for metric in ("recall@1", "map@r"):
            expected = fmean(run[f"test/{metric}"] for run in runs)
            assert content["seeds"][str(seed)]["separated"][metric] == pytest.approx(expected)
    values = [content["seeds"][seed]["concatenated"]["map@r"] for seed in ("0", "1")]
    row = content["over_seeds"]["map@r"]["concatenated"]
    assert row["mean"] == pytest.approx(fmean(values))
    half = 12.7062 * abs(values[0] - values[1]) / 2  # t of one degree of freedom
    assert row["half_interval"] == pytest.approx(half, rel=1e-4)
    assert f"{100 * row['mean']:.2f} ± {100 * half:.2f}" in printed
    singly = content["over_seeds"]["map@r"]["separated"]["mean"]
    assert row["mean"] != pytest.approx(singly, abs=1e-6), "two models together are another model"


def run(
    root: Path, group: str, seed: int, index: int, lr: float = 0.1, state: str = "finished"
) -> Path:
    """What is left of a run, as far as folds are concerned."""
    folder = root / group / f"seed{seed}"
    folder.mkdir(parents=True)
    config = {
        "seed": seed,
        "sampler": {"seed": seed},
        "batchminer": {},
        "loss": {},
        "optimizer": {"lr": lr},
        "validation": {"_target_": "datasets.validation.fold", "index": index, "folds": 2},
    }
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    (folder / "status.json").write_text(json.dumps({"state": state}))
    (folder / "summary.json").write_text("{}")
    return folder.parent


def test_every_seed_with_every_fold(tmp_path: Path) -> None:
    groups = [run(tmp_path, f"group{index}", seed=3, index=index) for index in (1, 0)]
    folders = {index: tmp_path / f"group{index}" / "seed3" for index in (0, 1)}
    assert folds_by_seed(groups) == {3: folders}


def test_a_missing_fold_is_named(tmp_path: Path) -> None:
    groups = [run(tmp_path, "a", 0, 0), run(tmp_path, "b", 0, 1, state="failed")]
    with pytest.raises(UserError, match="seed 0 lacks fold 1"):
        folds_by_seed(groups)


def test_a_fold_counts_once(tmp_path: Path) -> None:
    groups = [run(tmp_path, "a", 0, 0), run(tmp_path, "b", 0, 0)]
    with pytest.raises(UserError, match=r"fold 0 is there twice, the second in .*b/seed0"):
        folds_by_seed(groups)


def test_folds_of_two_configurations_do_not_mix(tmp_path: Path) -> None:
    groups = [run(tmp_path, "a", 0, 0), run(tmp_path, "b", 0, 1, lr=0.2)]
    with pytest.raises(UserError, match=r"another configuration .*: optimizer\.lr"):
        folds_by_seed(groups)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        folds_by_seed([tmp_path])


def test_one_seed_has_no_interval() -> None:
    numbers = {"separated": {"map@r": 0.25}, "concatenated": {"map@r": 0.5}}
    rows = summarize_seeds({0: numbers})
    assert [format_cell(rows["map@r"][way]) for way in numbers] == ["25.00 (n=1)", "50.00 (n=1)"]


def test_a_seed_that_cannot_be_read_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user joins folds of which one is damaged, and one is of a stranger and names other code."""
    groups = [run(tmp_path, "a", seed, 0) for seed in (0, 1, 2)][:1]
    groups += [run(tmp_path, "b", seed, 1) for seed in (0, 1, 2)][:1]
    (tmp_path / "a" / "seed0" / "config.yaml").write_text("{")
    evil = OmegaConf.load(tmp_path / "b" / "seed2" / "config.yaml")
    evil.loss = {"_target_": "os.system"}
    OmegaConf.save(evil, tmp_path / "b" / "seed2" / "config.yaml")
    folders = {index: tmp_path / name / "seed1" for index, name in enumerate("ab")}
    assert folds_by_seed(groups) == {1: folders}
    first, second = capsys.readouterr().err.splitlines()
    assert f"left out: seed0, for {tmp_path}/a/seed0/config.yaml is damaged (" in first
    assert f"{tmp_path}/b/seed2/config.yaml: loss._target_: os.system is no component" in second
