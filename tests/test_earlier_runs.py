"""Runs of an earlier version keep their folder, stay readable and give their numbers again.

tests/earlier_runs/<commit>/ holds a run folder that the code of that commit wrote (without its
older checkpoints) and `groups.json`: the group, hash included, that it gave to many command lines;
those of presets whose results changed since, as the CHANGELOG says, are left out.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from engine.config.run_name import CONF, group_name
from scripts.aggregate import main as aggregate
from scripts.evaluate import main as evaluate

EARLIER = Path(__file__).parent / "earlier_runs" / "0809b94"
GROUP = "digits/margin-distance-convnet_d20e8af1"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A copy of the run, as it lies in the tree of somebody who updates the code."""
    folder = tmp_path / "runs"
    shutil.copytree(EARLIER / "digits", folder / "digits")
    return folder


@pytest.fixture(scope="module")
def composed() -> Iterator[None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.usefixtures("composed")
def test_every_configuration_keeps_its_folder() -> None:
    moved = {}
    for line, expected in json.loads((EARLIER / "groups.json").read_text()).items():
        config = compose("config", line.split(), return_hydra_config=True)
        choices = dict(config.hydra.runtime.choices)
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        if group_name(own, choices) != expected:
            moved[line] = expected
    assert not moved


def test_the_table_has_the_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aggregate([str(runs), "--metrics", "recall@1", "map@r"])
    summary = json.loads((runs / GROUP / "seed0" / "summary.json").read_text())
    shown = f"{100 * summary['last']['test/recall@1']:.1f}"
    assert shown in capsys.readouterr().out


def test_it_evaluates_to_the_numbers_it_had(runs: Path) -> None:
    folder = runs / GROUP / "seed0"
    evaluate([f"run={folder}", "name=again", "metric=[recall,map_at_r]"])
    again = json.loads((folder / "evaluation" / "again" / "metrics.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())["last"]
    for name, value in again.items():
        if f"test/{name}" in summary:
            assert value == pytest.approx(summary[f"test/{name}"], abs=2e-3), name


def test_it_is_evaluated_with_keys_that_were_added_since(runs: Path) -> None:
    folder = runs / GROUP / "seed0"
    truncate = "{_target_: evaluation.transforms.truncate.Truncate, dim: 2}"
    options = ["name=short", "draw=false", "metric=[rho_spectrum]"]
    evaluate([f"run={folder}", *options, f"evaluation.measure.transform={truncate}"])
    short = json.loads((folder / "evaluation" / "short" / "metrics.json").read_text())
    assert len(short["metrics"]["test/rho_spectrum@0"]) == 2
