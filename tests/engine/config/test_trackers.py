"""The trackers of a configuration: none, one or several, and what is refused before a run."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from engine.config import trackers
from engine.config.check import check
from engine.config.command_line import check_choices
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF, group_name
from engine.config.trackers import build_trackers, check_trackers, tracker_nodes

CHOICES = {"loss": "margin", "batchminer": "distance", "backbone": "resnet50"}
BACKENDS = {
    "tracker": "tracking.wandb_logger.WandbLogger",
    "tracker.tensorboard": "tracking.tensorboard_logger.TensorBoardLogger",
    "tracker.mlflow": "tracking.mlflow_logger.MlflowLogger",
    "tracker.comet": "tracking.comet_logger.CometLogger",
}


def composed(*overrides: str) -> DictConfig:
    check_choices(overrides)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=["dataset=digits", *overrides])


def content(config: DictConfig) -> dict[str, Any]:
    """The group of trackers as plain containers."""
    plain = OmegaConf.to_container(config.tracker, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def nodes(config: DictConfig) -> dict[str, Any]:
    return tracker_nodes(content(config))


@pytest.mark.parametrize(
    ("choice", "keys"),
    [
        ("wandb", ["tracker"]),
        ("[wandb]", ["tracker"]),
        ("tensorboard", ["tracker.tensorboard"]),
        ("[wandb,tensorboard]", ["tracker", "tracker.tensorboard"]),
        ("[mlflow,wandb]", ["tracker", "tracker.mlflow"]),
        ("[wandb,tensorboard,mlflow,comet]", list(BACKENDS)),
        ("none", []),
        ("[]", []),
        ("[none,comet]", ["tracker.comet"]),
    ],
)
def test_any_number_of_trackers_is_chosen(choice: str, keys: list[str]) -> None:
    config = composed(f"tracker={choice}")
    check(config, [])
    assert {key: node["_target_"] for key, node in nodes(config).items()} == {
        key: BACKENDS[key] for key in keys
    }


def test_wandb_is_the_default_and_keeps_its_keys() -> None:
    config = composed("tracker.mode=disabled", "tracker.project=mine")
    check(config, [])
    assert (config.tracker.mode, config.tracker.project) == ("disabled", "mine")
    several = composed(
        "tracker=[wandb,mlflow]", "tracker.mode=online", "tracker.mlflow.uri=http://x"
    )
    check(several, [])
    found = nodes(several)
    assert (found["tracker"]["mode"], found["tracker.mlflow"]["uri"]) == ("online", "http://x")


def test_the_folder_of_a_run_is_the_same_with_any_tracker() -> None:
    choices = ("wandb", "none", "[wandb,tensorboard,mlflow,comet]")
    names = {group_name(composed(f"tracker={choice}"), CHOICES) for choice in choices}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tracker=[wandb,mlflow]", "tracker.mode=onlin"], "tracker.mode=onlin: must be one of"),
        (["tracker=mlflow", "tracker.mlflow.timeout=-1"], "tracker.mlflow.timeout=-1: must be"),
        (["tracker=comet", "tracker.comet.project=null"], "tracker.comet.project=null: must be"),
        (["tracker=none", "++tracker.mode=online"], "tracker.mode=online: must be a node whose"),
        (["tracker=5"], "tracker=5: must name a file of conf/tracker/"),
    ],
)
def test_a_wrong_value_is_named(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check(composed(*overrides), [])
    assert str(raised.value).startswith(message)


def test_a_value_in_place_of_the_group_is_named() -> None:
    with pytest.raises(ConfigurationError, match="tracker=5: must hold choices of conf/tracker/"):
        tracker_nodes(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "comet"])
def test_a_client_that_is_not_installed_is_named_with_its_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    package = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "comet": "comet_ml"}[name]
    with pytest.raises(ConfigurationError) as raised:
        check_trackers(content(composed(f"tracker={name}")))
    assert str(raised.value) == (
        f"tracker.{name}: the package {package} is not installed: "
        "pip install -r requirements-trackers.txt"
    )
    check_trackers(content(composed()))  # W&B is in requirements.txt


def test_the_packages_are_those_of_the_requirements() -> None:
    text = (CONF.parent / "requirements-trackers.txt").read_text()
    listed = {line.partition(">=")[0] for line in text.splitlines() if ">=" in line}
    assert listed == {"tensorboard", "mlflow-skinny", "comet_ml"}


@pytest.mark.parametrize("uri", ["http://me:secret@host:5000", "postgresql://me:secret@host/db"])
def test_a_password_is_refused_as_the_run_folder_would_record_it(uri: str) -> None:
    config = composed("tracker=mlflow")
    config.tracker.mlflow.uri = uri
    with pytest.raises(ConfigurationError) as raised:
        check_trackers(content(config))
    assert str(raised.value).startswith("tracker.mlflow.uri: must not hold a user or password")
    assert "secret" not in str(raised.value)


def test_none_builds_no_tracker(tmp_path: Path) -> None:
    config = composed("tracker=none")
    config.num_classes = 2
    with build_trackers(config, tmp_path) as built:
        built.resume([])
        built.log(1, {"train/loss": 1.0})
        built.finish({"last": {}, "selected": None, "oracle": {}})
    assert list(tmp_path.iterdir()) == []


class Mine:
    """A tracker of somebody else."""

    def __init__(
        self, word: str, *, folder: Path, config: dict[str, Any], name: str | None
    ) -> None:
        self.given = (word, folder, config["seed"], name)
        self.logged: list[object] = []

    def log(self, step: int, values: dict[str, Any]) -> None:
        self.logged.append((step, values))

    def __enter__(self) -> "Mine":
        return self

    def __exit__(self, *_: object) -> None:
        self.logged.append("closed")


def test_a_tracker_of_a_user_gets_its_keys_and_the_run(tmp_path: Path) -> None:
    """As conf/tracker/mine.yaml in the folder of --config-dir."""
    config = composed("tracker=none", "seed=3")
    config.num_classes = 2
    node = {"_target_": f"{__name__}.Mine", "_partial_": True, "word": "hello"}
    OmegaConf.update(config, "tracker", {"mine": node}, force_add=True)
    with build_trackers(config, tmp_path) as built:
        built.log(1, {"train/loss": 1.0})
    (mine,) = built.trackers
    assert isinstance(mine, Mine)
    assert mine.given == ("hello", tmp_path, 3, None)
    assert mine.logged == [(1, {"train/loss": 1.0}), "closed"]
