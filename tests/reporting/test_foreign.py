"""Run folders and W&B projects that somebody else made: what they say is data and never runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from engine.config.compose import compose_run
from engine.run_arguments import run_and_config
from reporting.directions import directions
from scripts import aggregate, evaluate, plot, report
from tests.run_folders import CONFIG, write_run, write_study

METRICS = {"test/recall@1": 0.1, "test/recall@2": 0.2, "test/nmi": 0.1}


def writes(marker: Path) -> dict[str, Any]:
    """A node that writes a file where it is instantiated, by this project's own means."""
    target = "core.files.write_text_atomically"
    return {"_target_": target, "path": {"_target_": "pathlib.Path", "_args_": [str(marker)]}}


def hostile(marker: Path) -> dict[str, Any]:
    """A configuration that runs code wherever a result or a run could be read from it."""
    write = writes(marker) | {"text": "x"}
    code = f"open({str(marker)!r}, 'w')"
    return {
        **CONFIG,
        "metric": {
            "recall@1": {"_target_": "sympy.sympify", "a": code},
            "nmi": {"_target_": "evaluation.metrics.nmi.nmi", "_partial_": True, "extra": write},
            "own": write,
        },
        "loss": write,
        "backbone": {**CONFIG["backbone"], "nested": [{"deep": [write]}]},
    }


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.fixture
def runs(tmp_path: Path, marker: Path) -> Path:
    """Three honest methods of two seeds, and one that runs code."""
    study = {"cub200": {"a": [0.5, 0.6], "b": [0.4, 0.5], "c": [0.3, 0.2]}}
    root = write_study(tmp_path / "runs", study)
    for seed in (0, 1):
        name = f"cub200/evil_0000000a/seed{seed}"
        write_run(root, name, METRICS, config=hostile(marker))
    failed = "cub200/failed_0000000b/seed0"
    write_run(root, failed, METRICS, config=hostile(marker), error="stopped")
    return root


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "aggregate": lambda sources: aggregate.main(
        [*sources, "--metrics", "recall@1", "nmi", "--allow-missing", "--commands", "--cost"]
    ),
    "tests": lambda sources: aggregate.main([*sources, "--tests", "--allow-missing"]),
    "report": lambda sources: report.main([*sources, "--out", f"{sources[0]}/../report"]),
    "plot": lambda sources: plot.main([*sources, "--out", f"{sources[0]}/../figures"]),
}


@pytest.mark.parametrize("name", ["aggregate", "report", "plot"])
def test_a_run_folder_that_holds_code_is_read_and_not_run(
    name: str, runs: Path, marker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user tabulates a folder from a colleague, and its config.yaml names other code."""
    COMMANDS[name]([str(runs)])
    told = capsys.readouterr()
    assert not marker.exists()
    assert "recall@1 of cub200/evil_0000000a/seed0 and 2 more is measured by sympy" in told.err
    if name == "aggregate":
        assert "| a | **55.0** ± 7.1 | **27.5**" in told.out
        assert "| evil | " in told.out


def test_the_metric_of_a_stranger_has_no_direction() -> None:
    """A run measured a metric of ours with another k, and one by a function of its own."""
    metric = {
        "recall@7": {
            "_target_": "evaluation.metrics.recall.recall_at_k",
            "_partial_": True,
            "k": 7,
        },
        "fnmr@x": {
            "_target_": "evaluation.metrics.fnmr.fnmr_at_fmr",
            "_partial_": True,
            "rate": 0.5,
        },
        "found@5": {"_target_": "hits.found", "_partial_": True, "k": 5},
        "recall@1": {"_target_": "evaluation.metrics.dists.ratio"},
        "odd": "text",
    }
    names = ["recall@7", "recall@7/class_average", "recall@7/std", "fnmr@x", *metric]
    of_parts = ["slice_1/recall@7", "slice_1/fnmr@x/low", "slice_1/nmi/std", "slice_1/mine"]
    assert list(directions([{"metric": metric}], of_parts).values()) == [True, False, None, None]
    assert directions([{}, {"metric": metric}], names) == {
        "recall@7": True,
        "recall@7/class_average": True,
        "recall@7/std": None,
        "fnmr@x": False,
        "found@5": None,
        "recall@1": True,
        "odd": None,
    }


def saved(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The folder of a run of the digits, as far as `evaluate` reads it before it builds."""
    folder = tmp_path / "digits" / "group_00000000" / "seed0"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.pt").touch()
    composed = compose_run(["dataset=digits", "num_classes=5", "paths.data=data"])
    config = yaml.safe_load(OmegaConf.to_yaml(composed, resolve=True))
    change(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


TARGETS = (
    *("os.system", "builtins.eval", "core.files.write_text_atomically", "datasets.csv.write_csv"),
    *("hydra.utils.get_method", "hydra.utils.instantiate", "hydra._internal.utils._locate"),
    *("types.FunctionType", "evaluation.per_query.save", "criteria.margin.torch.load"),
    *("torch.optim.Optimizer.register_step_pre_hook", "torch.load", "antigravity", "this", "", 5),
    *(None, {"a": "b"}, ["os.system"], "architectures.pretrained.unavailable"),
    *("torch.nn.init._no_grad_fill_", "torch.nn.init.calculate_gain", "torch.nn.init.none_"),
)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_run_is_rebuilt_from_this_project_alone(
    target: object, tmp_path: Path, marker: Path
) -> None:
    """A user evaluates the run of a stranger, whose backbone, metric or loss is other code."""
    node = {"_target_": target, "_args_": [f"touch {marker}"]}
    places: dict[str, Callable[[dict[str, Any]], object]] = {
        "backbone": lambda config: config["backbone"].update(node),
        "metric.nmi": lambda config: config["metric"]["nmi"].update(node),
        "loss.own": lambda config: config["loss"].update(own={"_args_": [[node]]}),
    }
    place = sorted(places)[TARGETS.index(target) % len(places)]
    with pytest.raises(SystemExit) as ended:
        evaluate.main([f"run={saved(tmp_path, places[place])}"])
    said = str(ended.value)
    assert said.startswith("error: ")
    assert "is no component of this project" in said
    assert f"config.yaml: {place}" in said
    assert "\n" not in said
    assert not marker.exists()


def test_the_environment_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's run asks for an environment variable in a value that would be uploaded."""
    monkeypatch.setenv("A_SECRET", "planted")
    folder = saved(tmp_path, lambda c: c["tracker"].update(project="${oc.env:A_SECRET}"))
    with pytest.raises(SystemExit, match=r"tracker\.project=.*no interpolation") as ended:
        evaluate.main([f"run={folder}"])
    assert "planted" not in str(ended.value)


def test_a_package_is_accepted_where_the_command_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user evaluates a run of his own, whose backbone is of his own package."""
    (tmp_path / "mypackage.py").write_text("def net(**_):\n    raise ValueError('mine')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = saved(tmp_path, lambda c: c["backbone"].update(_target_="mypackage.net"))
    with pytest.raises(SystemExit, match=r"trust=\[mypackage\] accepts that package"):
        evaluate.main([f"run={folder}"])
    with pytest.raises(SystemExit, match=r"checkpoint .* is damaged"):  # past its configuration
        evaluate.main([f"run={folder}", "trust=[mypackage]"])
    with pytest.raises(SystemExit, match="is no component of this project"):
        evaluate.main([f"run={folder}", "trust=[mypack]"])


def test_the_runs_of_this_project_are_rebuilt(tmp_path: Path) -> None:
    """What conf/ names needs no trust, with its defaults and with other parts of this project."""

    def change(config: dict[str, Any]) -> None:
        config["loss"]["reducer"] = {"_target_": "core.reducer.PerAnchor"}
        config["loss"]["init"] = {"_target_": "torch.nn.init.normal_", "_partial_": True}
        config["scheduler"] = {"_target_": "torch.optim.lr_scheduler.StepLR", "_partial_": True}
        config["optimizer"]["_target_"] = "torch.optim.NAdam"

    _, config = run_and_config([f"run={saved(tmp_path, change)}"])
    assert config.backbone._target_ == "architectures.convnet.convnet"


@pytest.mark.parametrize("name", ["../..", "a/b", "/abs", "..", "a\nb"])
def test_an_evaluation_stays_in_its_run(name: str, tmp_path: Path) -> None:
    """A user names an evaluation by a path."""
    folder = saved(tmp_path, lambda _: None)
    with pytest.raises(SystemExit, match=r"name=.*must be the name of one folder or file"):
        evaluate.main([f"run={folder}", f"name='{name}'"])


@pytest.mark.parametrize("project", ["../..", "team", "team/..", "/etc", "a/b/c", "team/"])
def test_a_download_stays_in_the_cache(project: str, tmp_path: Path) -> None:
    """A user gives a path where a W&B project belongs."""
    with pytest.raises(SystemExit, match=r"wandb=.* must be <entity>/<project>"):
        aggregate.main([f"wandb={project}", "--cache", str(tmp_path / "a" / "b")])
    assert not list(tmp_path.rglob("*"))


def test_a_metric_of_other_weights_has_the_direction_of_the_metric() -> None:
    names = ["ema/recall@1", "ema/dists@intra", "ema/recall@1/std", "ema/unknown"]
    assert directions([{}], names) == {
        "ema/recall@1": True,
        "ema/dists@intra": directions([{}], ["dists@intra"])["dists@intra"],
        "ema/recall@1/std": None,
        "ema/unknown": None,
    }
