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
    "method": "methods",
    "backbone": "architectures",
    "dataset": "datasets",
    "metric": "evaluation",
}
ONE_TO_ONE = ("loss", "batchminer", "sampler")  # conf/loss/margin.yaml is criteria/margin.py
COMPONENTS = sorted(
    path
    for package in PACKAGE_OF.values()
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)
CONFIGS = sorted((ROOT / "conf").rglob("*.yaml"))
NO_PACKAGES = ("tests", "docs", "hydra_plugins")  # Hydra refuses an __init__.py in its plugins
GROUPS = sorted({path.relative_to(ROOT / "conf").parts[0] for path in CONFIGS})
every_group = pytest.mark.parametrize("group", GROUPS)
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.splitlines()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def configs(group: str) -> list[Path]:
    """conf/config.yaml is a group of its own."""
    return [path for path in CONFIGS if path.relative_to(ROOT / "conf").parts[0] == group]


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


@every_group
def test_every_target_exists(group: str, subtests: pytest.Subtests) -> None:
    for config in configs(group):
        for target in targets(yaml.safe_load(config.read_text())):
            with subtests.test(name_of(config), target=target):
                assert callable(get_object(target))


@pytest.mark.parametrize("group", PACKAGE_OF)
def test_a_component_sits_where_its_name_says(group: str, subtests: pytest.Subtests) -> None:
    """conf/loss/triplet.yaml configures criteria/triplet.py, nothing else."""
    for config in (path for path in CONFIGS if path.parent.name == group):
        with subtests.test(name_of(config)):
            content = yaml.safe_load(config.read_text())
            own = content.get("_target_", "types.NoneType")
            if group in ONE_TO_ONE and own != "types.NoneType":
                assert own.startswith(f"{PACKAGE_OF[group]}.{config.stem}.")
            else:
                packages = {target.split(".")[0] for target in targets(content)}
                assert packages <= {PACKAGE_OF[group], "torch", "types"}


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


def test_a_component_fits_on_three_screens(subtests: pytest.Subtests) -> None:
    for module in COMPONENTS:
        with subtests.test(name_of(module)):
            assert len(module.read_text().splitlines()) <= 200


@every_group
def test_a_config_names_no_machine(group: str, subtests: pytest.Subtests) -> None:
    for config in configs(group):
        with subtests.test(name_of(config)):
            assert not re.search(r"(^|[\s:\"'])/(home|root|mnt|data)/", config.read_text())


def test_git_ignores_no_file_of_ours() -> None:
    """A new file of an ignored folder would be missing in every clone."""
    listing = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    ignored = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not ignored.stdout
    packages = {(ROOT / name).parent for name in TRACKED if name.endswith(".py")} - {ROOT}
    ours = [path for path in packages if path.relative_to(ROOT).parts[0] not in NO_PACKAGES]
    assert [path for path in ours if not (path / "__init__.py").exists()] == []


def test_no_module_is_a_bag() -> None:
    bags = {"utils", "util", "common", "misc", "helpers", "helper", "tools"}
    assert not bags & {Path(name).stem for name in TRACKED}


def test_packages_export_nothing_by_themselves() -> None:
    """That of the commands is no package to import from: it runs before any of them does."""
    for name in TRACKED:
        if name.endswith("__init__.py") and name != "scripts/__init__.py":
            assert not (ROOT / name).read_text().strip(), name


def test_losses_miners_and_methods_never_leave_the_device() -> None:
    """No .item(), .cpu(), .numpy() or .tolist() where a training step would wait for it."""
    for path in COMPONENTS:
        if path.parent.name in ("criteria", "batch_mining", "methods"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    assert node.func.attr not in ("item", "cpu", "numpy", "tolist"), name_of(path)
