"""The how-to pages: their files and commands, run unchanged in an empty folder elsewhere."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from omegaconf import DictConfig, OmegaConf

from tests.pages import commands, files, write_files
from tests.programs import ROOT, Server
from tests.run_server import Runs, server  # noqa: F401 - a fixture

PAGES = ROOT / "docs" / "how_to"
EXAMPLES = {  # page -> the group and the class or function of its component
    "add_a_miner": ("batchminer", "my_code.radius.RadiusMiner"),
    "add_a_sampler": ("sampler", "my_code.sqrt_classes.SqrtClasses"),
    "add_a_metric": ("metric", "my_code.minp.inverse_negative_penalty"),
    "add_a_dataset": ("dataset", "my_code.image_folder.image_folder"),
    "add_a_backbone": ("backbone", "my_code.shufflenet.shufflenet"),
    "add_a_method": ("method", "my_code.class_mixup.ClassMixup"),
    "add_a_hook": ("hooks", "my_code.target_reached.TargetReached"),
}
HERE = "/path/to/this/repository"  # stands for it on the pages


class Followed(NamedTuple):
    """A page after all its commands: the folder they ran in, and what each said."""

    folder: Path
    said: dict[str, str]

    @property
    def run(self) -> Path:
        (run,) = self.folder.glob("runs/*/*/seed0")
        return run

    @property
    def config(self) -> DictConfig:
        config = OmegaConf.load(self.run / "config.yaml")
        assert isinstance(config, DictConfig)
        return config

    @property
    def last(self) -> dict[str, float]:
        """The results of the last evaluation."""
        return json.loads((self.run / "summary.json").read_text())["last"]


def follow(page: Path, runs: Runs, folder: Path) -> Followed:
    """Copy the files of a page into an empty folder and run its commands, one after the other."""
    folder.mkdir()
    write_files(page, folder)
    variables: dict[str, str] = {}
    said = {}
    for line in commands(page):
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            value = value.replace(HERE, str(ROOT))
            variables[name] = value.replace("$BENCHMARK", variables.get("BENCHMARK", ""))
            continue
        ended = runs.command(line, folder, **variables)
        assert ended.code == 0, f"{line}\n{ended.said}"
        said[line] = ended.said
    return Followed(folder, said)


@pytest.fixture(scope="module", params=EXAMPLES)
def page(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def followed(
    page: str,
    server: Server,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Followed:
    folder = tmp_path_factory.mktemp(page)
    return follow(
        PAGES / f"{page}.md", Runs(server, folder / "runs", folder / "log"), folder / "mine"
    )


def test_the_oracle_test_of_the_page_passes(followed: Followed) -> None:
    (said,) = (said for line, said in followed.said.items() if "-m pytest" in line)
    assert " passed" in said
    assert "failed" not in said
    assert "skipped" not in said


def test_the_run_is_finished_and_has_the_component(page: str, followed: Followed) -> None:
    assert json.loads((followed.run / "status.json").read_text())["state"] == "finished"
    group, target = EXAMPLES[page]
    found = followed.config[group]
    parts = found.values() if group in ("metric", "hooks") else [found]
    assert target in [part._target_ for part in parts]
    assert followed.last["step"] > 0
    assert 0.4 < followed.last["test/recall@1"] <= 1


def test_what_the_command_line_says_arrives(page: str, followed: Followed) -> None:
    config = followed.config
    said = {
        "add_a_miner": lambda: config.batchminer.k == 3 and config.loss.miner.k == 3,
        "add_a_sampler": lambda: config.sampler.batch_size == 40,
        "add_a_metric": lambda: 0 < followed.last["test/minp"] < 1,
        "add_a_dataset": lambda: followed.last["test/num_queries"] == 5 * 20,
        "add_a_backbone": lambda: config.backbone.embedding_dim == 64,
        "add_a_method": lambda: config.method.weight == 0.5,
        "add_a_hook": lambda: config.hooks.target_reached.target == 0.7 and stopped_early(followed),
    }
    assert said[page]()


def stopped_early(followed: Followed) -> bool:
    """Whether the two last evaluations have reached the target."""
    lines = (followed.run / "metrics.jsonl").read_text().splitlines()
    values = [
        record["val/recall@1"] for record in map(json.loads, lines) if "val/recall@1" in record
    ]
    return followed.last["step"] < 400 and min(values[-2:]) >= 0.7


def test_a_page_has_one_component_one_yaml_and_one_test(page: str) -> None:
    group, target = EXAMPLES[page]
    module = target.rpartition(".")[0]
    name = module.rpartition(".")[2]
    shown = files(PAGES / f"{page}.md")
    wanted = {f"{module.replace('.', '/')}.py", f"my_conf/{group}/{name}.yaml", f"test_{name}.py"}
    assert wanted <= set(shown)
    assert target in shown[f"my_conf/{group}/{name}.yaml"]


def test_a_run_with_a_metric_of_ones_own_is_measured_again(page: str, followed: Followed) -> None:
    if page != "add_a_metric":
        return
    (file,) = followed.run.glob("evaluation/*/metrics.json")
    measured = json.loads(file.read_text())["metrics"]["test/minp"]
    assert measured == pytest.approx(followed.last["test/minp"])
