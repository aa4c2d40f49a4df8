"""Whatever a user writes on the command line is one line of error, or a run that can be built."""

import random
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from core.errors import UserError
from engine.config.error_line import EXPECTED_ERRORS, explain
from engine.config.run_name import CONF
from engine.config.start import check_start
from engine.config.trackers import tracker_nodes
from sweeps.run_config import run_folder
from tests.samplers import build_sampler

SEED, DRAWS = 0, 300
GROUPS = ("loss", "batchminer", "sampler", "optimizer", "scheduler", "transform", "validation")
LIKELY = ("0", "1", "2", "4", "0.5", "1.0", "true", "false", "null")  # often of the right type
VALUES = (
    *("null", "true", "no", "''", "abc", "nan", "inf", "-inf", "[]", "{}", "[1,2]", "{a: 1}"),
    *("-1", "2.5", "-0.5", "1e-3", "1e-3x", "1e30", "1e400", str(10**30), str(2**63)),
    *("'ünïcödé'", "'日本'", "'a b'", "../x", "/x", "'\\t'", "x" * 300, "???", "'${nope}'"),
    *("'${seed}'", "this", "antigravity", "os.system", "core.reducer.Mean", "5.5.5"),
)


class Touched(BaseException):
    """A draw reached what no check may reach; not an Exception, so that nothing explains it."""


@pytest.fixture(autouse=True)
def nothing_outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, no image and no data."""

    def touch(*_args: object, **_options: object) -> None:
        raise Touched

    monkeypatch.setattr(socket.socket, "connect", touch)
    monkeypatch.setattr(socket, "getaddrinfo", touch)
    monkeypatch.setattr(Image, "open", touch)
    monkeypatch.setattr("datasets.csv.csv", touch)
    monkeypatch.setattr("datasets.digits.digits", touch)
    yield
    GlobalHydra.instance().clear()


def leaves(node: DictConfig, key: str = "") -> Iterator[str]:
    """Every dotted key below a node, those of groups and components as well."""
    for name in node:
        full = f"{key}.{name}".lstrip(".")
        if "@" in full or full == "hydra":  # the grammar of overrides takes no name of a metric
            continue
        yield full
        if OmegaConf.is_dict(child := node._get_node(name)) and not child._is_interpolation():
            yield from leaves(child, full)


def misspelt(rng: random.Random, key: str) -> str:
    at = rng.randrange(len(key))
    return rng.choice([key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:], f"{key}s"])


def drawn(rng: random.Random, tree: Sequence[str]) -> list[str]:
    """The overrides of one draw: a few choices, and one to three values of their tree."""
    base, keys = ["dataset=digits"], list(tree)
    for group in rng.sample(GROUPS, k=rng.choice((0, 1, 1, 2))):
        file = rng.choice(sorted((CONF / group).glob("*.yaml")))
        content = OmegaConf.load(file)
        assert isinstance(content, DictConfig)
        base.append(f"{group}={file.stem}")
        keys += 2 * [key for key in leaves(content, group) if "defaults" not in key]
    for _ in range(rng.choice((1, 1, 1, 2))):
        key = rng.choice(keys)
        if rng.random() < 0.15:
            key = misspelt(rng, key)
        sign = rng.choices(("", "+", "++", "~"), weights=(24, 1, 6, 1))[0]
        value = rng.choice(LIKELY if rng.random() < 0.5 else VALUES)
        if (CONF / key).is_dir() and value == "[1,2]":
            value = "[a,b]"  # a list of choices; Hydra ends with a TypeError where it has numbers
        base.append(f"~{key}" if sign == "~" else f"{sign}{key}={value}")
    return base


def composed(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=overrides, return_hydra_config=True)


def started(overrides: list[str], runs: Path) -> None:
    """What main.py does until it reads data; then everything that a run is made of."""
    whole = composed(overrides)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    run_folder(config, whole.hydra.runtime.choices)
    check_start(config, overrides)
    assert not runs.exists()
    config.num_classes = 100
    if "pretrained" in config.backbone:
        config.backbone.pretrained = False
    with torch.device("meta"):  # shapes alone, of whatever size
        built(config)


def built(config: DictConfig) -> None:
    assert callable(instantiate(config.backbone))
    assert callable(instantiate(config.loss))
    build_sampler(config.sampler, list(range(100)) * 40)
    for part in ("optimizer", "scheduler", "validation"):
        assert callable(instantiate(config[part]))
    trackers = OmegaConf.to_container(config.tracker, resolve=True)
    assert isinstance(trackers, dict)
    assert all(callable(instantiate(node)) for node in tracker_nodes(trackers).values())
    assert instantiate(config.transform).train
    instantiate(config.evaluation.measure)


@pytest.mark.extended
def test_every_draw_is_refused_in_one_line_or_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user swaps types, leaves values empty, writes huge or negative ones and misspells keys."""
    monkeypatch.chdir(tmp_path)
    rng, tree = random.Random(SEED), list(leaves(composed(["dataset=digits"])))
    valid, refused, wrong = 0, 0, []
    for _ in range(DRAWS):
        overrides = drawn(rng, tree)
        said = outcome(overrides, tmp_path / "runs")
        valid, refused = valid + (said == ""), refused + (said != "")
        if said.startswith("Traceback") or "\n" in said:
            wrong.append(f"{' '.join(overrides)} -> {said}")
    assert not wrong, "\n".join(wrong)
    assert min(valid, refused) > DRAWS // 20, f"{valid} valid draws, {refused} refused ones"


def outcome(overrides: list[str], runs: Path) -> str:
    """The line of an error, nothing, or the type of what main.py does not explain."""
    try:
        started(overrides, runs)
    except EXPECTED_ERRORS as error:
        return explain(error) or "Traceback: no message"
    except (Exception, Touched) as error:
        return f"Traceback {type(error).__name__}: {error}"
    return ""


def test_a_draw_that_fails_is_noticed(tmp_path: Path) -> None:
    """The harness itself: what is no `UserError` is reported as a traceback."""
    assert "Traceback" in outcome([5], tmp_path)  # type: ignore[list-item]
    assert issubclass(UserError, EXPECTED_ERRORS)
