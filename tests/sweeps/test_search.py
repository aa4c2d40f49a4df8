"""Searches with a function in the place of the runs; at the end one through the real command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import OmegaConf

from core.errors import UserError
from engine.config.run_name import CONF
from sweeps import search_space
from sweeps.job import Outcome
from sweeps.progress import SweepError
from sweeps.run_config import compose
from sweeps.search import Launch, StudyConfig, search, study_config
from sweeps.search_space import SpaceError, distribution, overrides, space_of
from tests.configured import choices, composed

ROOT = Path(__file__).parents[2]
ARGUMENTS = ["dataset=digits", "loss=softmax,triplet", "validation=classes"]
ONE = ["dataset=digits", "loss=softmax", "validation=classes"]


@contextmanager
def composing() -> Iterator[tuple[ConfigLoader, object]]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", [], RunMode.MULTIRUN)


def rules(tmp_path: Path, **others: object) -> StudyConfig:
    values = {
        "trials": 3,
        "parallel_trials": 1,
        "seeds": [],
        "average_over": [],
        "sampler_seed": 0,
    }
    return StudyConfig(**{**values, "folder": tmp_path / "searches", **others})


class Runs:
    """Stands for the launcher: a run's number is a function of its temperature or margin.

    Args:
        score: of that setting.
        kill_at: the run, counted from 1, in which the search is killed.
        error: of a run with a setting above `above`.
    """

    def __init__(self, kill_at: int = 0, error: str = "", above: float = 9.0) -> None:
        self.kill_at, self.error, self.above = kill_at, error, above
        self.ran: list[str] = []

    def launch(self, jobs: list[list[str]]) -> list[Outcome]:
        return [self.run(job) for job in jobs]

    def run(self, job: list[str]) -> Outcome:
        config, folder, names, _ = compose(self.loader, self.sweep, job)
        if folder.finished:
            return Outcome(folder.path, "skipped")
        self.ran.append(f"{folder.path.parent.name}/{folder.path.name}")
        if len(self.ran) == self.kill_at:
            raise KeyboardInterrupt
        setting = config.loss.temperature if names["loss"] == "softmax" else config.loss.margin
        folder.path.mkdir(parents=True)
        if setting > self.above:
            folder.write_json(folder.status, {"state": "failed", "error": self.error})
            return Outcome(folder.path, "failed", 1.0, self.error)
        number = {"val/recall@1": 1 - (setting - 0.2) ** 2 + config.seed, "test/recall@1": 0.0}
        folder.write_json(folder.summary, {"selected": number})
        folder.write_json(folder.status, {"state": "finished"})
        return Outcome(folder.path, "finished", 1.0)

    def search(self, asked: StudyConfig, runs: Path, *arguments: str) -> None:
        with composing() as (self.loader, self.sweep):
            everything = [f"paths.runs='{runs}'", *(arguments or ARGUMENTS)]
            launch: Launch = self.launch
            search(everything, asked, self.loader, self.sweep, launch)


def trials(folder: Path) -> dict[str, list[tuple[list[str], str, float]]]:
    """Settings, state and number of the trials of each study, by the name of the study."""
    return {
        path.parent.name: [
            (t["overrides"], t["state"], t["value"]) for t in json.loads(path.read_text())["trials"]
        ]
        for path in sorted(folder.glob("*/*/trials.json"))
    }


def test_every_loss_has_the_same_budget_and_its_winner_all_seeds(tmp_path: Path) -> None:
    runs = Runs()
    runs.search(rules(tmp_path, seeds=[0, 1]), tmp_path / "runs")
    found = trials(tmp_path / "searches")
    assert [name.split("-")[0] for name in found] == ["softmax", "triplet"]
    assert [len(tried) for tried in found.values()] == [3, 3]
    assert len(runs.ran) == 3 + 3 + 2 + 2
    for path in (tmp_path / "searches").glob("*/*/trials.json"):
        content = json.loads(path.read_text())
        best = max(content["trials"], key=lambda trial: trial["value"])
        assert content["best"]["overrides"] == best["overrides"]
        assert content["best"]["value"] > 0.9
        winner = OmegaConf.from_dotlist(best["overrides"])
        assert winner.loss
    seeds = sorted(path.name for path in (tmp_path / "runs").glob("*/*/seed*"))
    assert seeds == ["seed0", "seed0", "seed1", "seed1"]


@pytest.mark.parametrize("parallel_trials", [1, 2])
def test_a_search_that_was_killed_ends_as_one_that_was_not(
    tmp_path: Path, parallel_trials: int
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    Runs().search(rules(whole, trials=4, parallel_trials=parallel_trials), whole, *ONE)
    ran: list[str] = []
    for kill_at in (2, 2):
        runs = Runs(kill_at)
        with pytest.raises(KeyboardInterrupt):
            runs.search(rules(killed, trials=4, parallel_trials=parallel_trials), killed, *ONE)
        ran += runs.ran[:-1]
    runs = Runs()
    runs.search(rules(killed, trials=4, parallel_trials=parallel_trials), killed, *ONE)
    ran += runs.ran
    assert trials(killed / "searches") == trials(whole / "searches")
    assert len(ran) == len(set(ran)) == 4, "no trial lost, none run twice"


def test_a_larger_budget_goes_on_and_another_space_starts_anew(tmp_path: Path) -> None:
    first, second, third = Runs(), Runs(), Runs()
    first.search(rules(tmp_path, trials=1), tmp_path, *ONE)
    second.search(rules(tmp_path, trials=2), tmp_path, *ONE)
    assert (len(first.ran), len(second.ran)) == (1, 1)
    third.search(rules(tmp_path, trials=1), tmp_path, *ONE, "loss.lr=1e-3")
    assert len(third.ran) == 1, "a key fixed on the command line is not searched"
    (fixed,) = [t for t in trials(tmp_path / "searches").values() if len(t) == 1]
    assert all(len(settings) == 1 for settings, _, _ in fixed)


def test_divergence_is_a_result_and_counts(tmp_path: Path) -> None:
    runs = Runs(error="TrainingError: step 3: the loss is nan", above=0.4)
    runs.search(rules(tmp_path), tmp_path, "dataset=digits", "loss=triplet", "validation=classes")
    (tried,) = trials(tmp_path / "searches").values()
    assert len(tried) == len(runs.ran) == 3
    assert {state for _, state, _ in tried} == {"COMPLETE", "FAIL"}


def test_any_other_failure_ends_the_search_and_its_trial_is_tried_again(tmp_path: Path) -> None:
    runs = Runs(error="OutOfMemoryError: CUDA", above=0.0)
    with pytest.raises(SweepError, match="2 of 2 runs did not finish"):
        runs.search(rules(tmp_path, trials=1), tmp_path)
    again = Runs()
    for status in list(tmp_path.rglob("status.json")):
        status.parent.rename(status.parent.with_name("was_seed0"))  # Runs writes afresh
    again.search(rules(tmp_path, trials=1), tmp_path)
    assert again.ran == runs.ran
    assert [len(tried) for tried in trials(tmp_path / "searches").values()] == [1, 1]


def test_a_trial_is_the_mean_over_its_runs(tmp_path: Path) -> None:
    runs = Runs()
    asked = rules(tmp_path, trials=1, average_over=["seed=0,4"])
    runs.search(asked, tmp_path, "dataset=digits", "loss=triplet", "validation=classes")
    assert len(runs.ran) == 2
    (tried,) = trials(tmp_path / "searches").values()
    for (setting,), _, value in tried:
        score = 1 - (float(setting.split("=")[1]) - 0.2) ** 2
        assert value == pytest.approx(score + 2, abs=1e-3)


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("validation=none", "validation=classes or validation=fold"),
        ("validation=samples", "validation=classes or validation=fold"),
        ("evaluation.select_on=test/recall@1", "not test"),
    ],
)
def test_test_data_never_chooses(tmp_path: Path, argument: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        Runs().search(rules(tmp_path), tmp_path, *ONE, argument)
    assert not list((tmp_path).rglob("*.db"))


def test_two_searches_at_once_are_refused(tmp_path: Path) -> None:
    class Impatient(Runs):
        def launch(self, jobs: list[list[str]]) -> list[Outcome]:
            command = [sys.executable, "-c", HOLD, str(ROOT), str(tmp_path)]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
            assert "is being written by process" in said
            return super().launch(jobs)

    Impatient().search(rules(tmp_path, trials=1), tmp_path, *ONE)


HOLD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tracking.run_folder import RunFolder
for database in Path(sys.argv[2]).rglob("study.db"):
    RunFolder(database.parent).locked().__enter__()
"""


def test_every_loss_can_be_searched() -> None:
    assert choices("search") == choices("loss")


@pytest.mark.parametrize("loss", choices("search"))
def test_a_declared_space_fits_its_loss(loss: str) -> None:
    """Its keys are those of the loss, it holds the defaults, and both of its ends build one."""
    config = composed(f"loss={loss}")
    declared = space_of(loss, [])
    for key, limits in declared.items():
        low, high = getattr(limits, "low"), getattr(limits, "high")  # noqa: B009 (numbers have them)
        assert low <= OmegaConf.select(config, key, throw_on_missing=True) <= high
    for end in ("low", "high"):
        changed = config.copy()
        for key, limits in declared.items():
            OmegaConf.update(changed, key, getattr(limits, end))
        instantiate(changed.loss)


def test_losses_without_a_space_are_named_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, without = search_space.file_of, ("npair", "vicreg")
    monkeypatch.setattr(
        search_space, "file_of", lambda *of: None if of[0] in without else found(*of)
    )
    runs = Runs()
    with pytest.raises(SpaceError, match=r"no search space for npair, vicreg: write keys"):
        runs.search(rules(tmp_path), tmp_path, *ONE[::2], "loss=triplet,vicreg,npair")
    assert not list(tmp_path.rglob("*.db"))
    assert not runs.ran


def test_a_space_that_is_none_says_why() -> None:
    with pytest.raises(SpaceError, match="no search space for nothing: write"):
        space_of("nothing", [])
    with pytest.raises(SpaceError, match="every key is fixed"):
        space_of("triplet", ["loss.margin"])
    for wrong in ({"low": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"hi": 1}):
        with pytest.raises(SpaceError, match=r"^loss\.margin: "):
            distribution("loss.margin", wrong)


def test_overrides_are_short() -> None:
    values = {"a": 0.123456789, "b": 1.0e-5, "c": 3, "d": None, "e": "euclidean"}
    assert overrides(values) == ["a=0.1235", "b=1e-05", "c=3", "d=null", "e=euclidean"]


@pytest.mark.extended
def test_the_real_command_resumes_after_a_kill(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "main.py", "-m", "hydra/sweeper=search", "hydra.sweeper.trials=2"),
        *(f"hydra.sweeper.folder={tmp_path}/searches", "hydra.sweeper.seeds=[0]"),
        *(f"paths.runs={tmp_path}/runs", "dataset=digits", "metric=[recall]", "sampler=random"),
        *("validation=classes", "loss=softmax", "tracker.mode=disabled", "trainer.workers=0"),
        "trainer.iterations=1",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as first:
        while len(list(tmp_path.rglob("status.json"))) < 2:
            assert first.poll() is None, "the search ended before"
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGKILL)  # the trial that runs is left alone and ends by itself
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (tried,) = trials(tmp_path / "searches").values()
    assert [state for _, state, _ in tried] == ["COMPLETE"] * 2
    logs = list(tmp_path.rglob("output.log"))
    assert [log.read_text().count("summary.json") for log in logs] == [1, 1, 1]


def test_the_former_names_of_settings_still_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A user repeats a search with the command of an earlier version."""
    former = {"at_once": 2, "repeats": ["seed=0,4"]}
    new = {"trials": 3, "parallel_trials": 1, "seeds": [], "average_over": [], "sampler_seed": 0}
    config = study_config({**new, **former, "folder": tmp_path})
    assert (config.parallel_trials, config.average_over) == (2, ["seed=0,4"])
    assert caplog.messages == [
        "hydra.sweeper.at_once is deprecated, write hydra.sweeper.parallel_trials",
        "hydra.sweeper.repeats is deprecated, write hydra.sweeper.average_over",
    ]
    caplog.clear()
    study_config({**new, "at_once": None, "repeats": None, "folder": tmp_path})
    assert not caplog.messages
