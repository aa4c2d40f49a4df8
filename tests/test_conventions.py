"""The house rules that a machine can check."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_object

import datasets

ROOT = Path(__file__).parent.parent
PACKAGE_OF = {  # config group -> package that implements it
    "loss": "criteria",
    "batchminer": "batch_mining",
    "sampler": "datasampler",
    "backbone": "architectures",
    "dataset": "datasets",
    "metric": "evaluation",
}
ONE_TO_ONE = ("loss", "batchminer", "sampler")  # conf/loss/margin.yaml is criteria/margin.py
COMPONENTS = sorted(
    path
    for package in PACKAGE_OF.values()
    for path in (ROOT / package).glob("*.py")
    if path.name != "__init__.py"
)
CONFIGS = sorted((ROOT / "conf").rglob("*.yaml"))
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def targets(node: object) -> list[str]:
    if isinstance(node, list):
        return [target for child in node for target in targets(child)]
    if not isinstance(node, dict):
        return []
    own = [node["_target_"]] if "_target_" in node else []
    return own + [target for child in node.values() for target in targets(child)]


def test_our_datasets_package_is_the_one_imported() -> None:
    """A package of Hugging Face is called `datasets` too."""
    assert Path(datasets.__file__).is_relative_to(ROOT)


def test_the_checks_below_check_something() -> None:
    assert len(CONFIGS) > 30
    assert len(COMPONENTS) > 30


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_every_target_exists(config: Path) -> None:
    for target in targets(yaml.safe_load(config.read_text())):
        assert callable(get_object(target)), target


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_component_sits_where_its_name_says(config: Path) -> None:
    """conf/loss/triplet.yaml configures criteria/triplet.py, nothing else."""
    group = config.parent.name
    content = yaml.safe_load(config.read_text())
    if group in ONE_TO_ONE and content.get("_target_", "types.NoneType") != "types.NoneType":
        assert content["_target_"].startswith(f"{PACKAGE_OF[group]}.{config.stem}.")
    elif group in PACKAGE_OF:
        assert all(
            target.split(".")[0] in (PACKAGE_OF[group], "types") for target in targets(content)
        )


@pytest.mark.parametrize("group", ONE_TO_ONE)
def test_every_component_has_a_config(group: str) -> None:
    modules = {path.stem for path in COMPONENTS if path.parent.name == PACKAGE_OF[group]}
    configs = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    presets = {
        name for name in configs if "_target_: " + PACKAGE_OF[group] not in conf(group, name)
    }
    assert modules == configs - presets


def conf(group: str, name: str) -> str:
    return (ROOT / "conf" / group / f"{name}.yaml").read_text()


@pytest.mark.parametrize("group", ["loss", "batchminer", "sampler"])
def test_every_component_has_a_test_of_its_own(group: str) -> None:
    package = PACKAGE_OF[group]
    modules = {path.stem for path in COMPONENTS if path.parent.name == package}
    tests = {path.stem for path in (ROOT / "tests" / package).glob("test_*.py")}
    assert {f"test_{module}" for module in modules} <= tests


@pytest.mark.parametrize("module", COMPONENTS, ids=name_of)
def test_a_component_fits_on_three_screens(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 200


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_a_config_names_no_machine(config: Path) -> None:
    assert not re.search(r"(^|[\s:\"'])/(home|root|mnt|data)/", config.read_text())


def test_no_module_is_a_bag() -> None:
    bags = {"utils", "util", "common", "misc", "helpers", "helper", "tools"}
    assert not bags & {Path(name).stem for name in TRACKED}


def test_packages_export_nothing_by_themselves() -> None:
    """That of the commands is no package to import from: it runs before any of them does."""
    for name in TRACKED:
        if name.endswith("__init__.py") and name != "scripts/__init__.py":
            assert not (ROOT / name).read_text().strip(), name


def test_criteria_and_miners_never_leave_the_device() -> None:
    """No .item(), .cpu(), .numpy() or .tolist() where a training step would wait for it."""
    for path in COMPONENTS:
        if path.parent.name in ("criteria", "batch_mining"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    assert node.func.attr not in ("item", "cpu", "numpy", "tolist"), name_of(path)
