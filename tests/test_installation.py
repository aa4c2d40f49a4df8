"""The Makefile's installation, without a network: a place for torch, and the pinned versions."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-lock.txt"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that an installation reads, with no .venv beside them."""
    folder = tmp_path / "project"
    folder.mkdir()
    for file in [ROOT / "Makefile", *ROOT.glob("requirements*.txt")]:
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with CPU builds of torch and torchvision, as their names say."""
    folder = tmp_path / "a folder of wheels"
    folder.mkdir()
    for name in ("torch", "torchvision"):
        _write_wheel(folder, name, "99.0+cpu")
    return folder


def _write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: not-there\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def commands(project: Path, *words: str) -> list[str]:
    """What `make run` would do."""
    done = subprocess.run(
        ["make", "-n", "run", f"PYTHON={sys.executable}", *words],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def found(project: Path, pip: str) -> dict[str, str]:
    """The versions that a pip command of the Makefile would install, by their names."""
    environment = {key: value for key, value in os.environ.items() if key[:4] != "PIP_"}
    (project / ".venv").mkdir()
    (project / ".venv" / "torch.txt").write_text("torch>=2.11\ntorchvision>=0.26\n")
    words = [*shlex.split(pip)[1:], "--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        cwd=project,
        env={**environment, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    metadata = [entry["metadata"] for entry in json.loads(done.stdout)["install"]]
    return {entry["name"]: entry["version"] for entry in metadata}


def test_run_says_what_it_installs_how_large_it_is_and_how_long_it_takes(project: Path) -> None:
    said = " ".join(line for line in commands(project) if line.startswith("echo"))
    for part in ("Installing", "GB of disk", "minutes", "TORCH_INDEX"):
        assert part in said


def test_without_a_place_pip_finds_torch_as_everything_else(project: Path) -> None:
    pips = [line for line in commands(project) if "/pip " in line]
    assert [line.split() for line in pips] == [
        [".venv/bin/pip", "install", "-q", "-r", "requirements.txt"]
    ]


def test_torch_comes_from_a_folder_of_wheels_and_the_rest_from_elsewhere(
    project: Path, wheels: Path
) -> None:
    torch, rest = (
        line for line in commands(project, f"TORCH_INDEX={wheels}") if "/pip install" in line
    )
    assert found(project, torch) == {"torch": "99.0+cpu", "torchvision": "99.0+cpu"}
    assert str(wheels) not in rest
    assert "-r requirements.txt" in rest


def test_torch_comes_from_an_index(project: Path, wheels: Path) -> None:
    for wheel in list(wheels.iterdir()):
        folder = wheels / wheel.name.partition("-")[0]
        folder.mkdir()
        wheel.rename(folder / wheel.name)
        (folder / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    torch, _ = (
        line
        for line in commands(project, f"TORCH_INDEX={wheels.as_uri()}")
        if "/pip install" in line
    )
    assert found(project, torch) == {"torch": "99.0+cpu", "torchvision": "99.0+cpu"}


def test_the_requirements_of_torch_that_are_picked_are_those_of_the_project(project: Path) -> None:
    (grep,) = [line for line in commands(project, "TORCH_INDEX=x") if line.startswith("grep")]
    (project / ".venv").mkdir()
    subprocess.run(["bash", "-c", grep], cwd=project, check=True)
    picked = (project / ".venv" / "torch.txt").read_text().splitlines()
    assert [Requirement(line).name for line in picked] == ["torch", "torchvision"]


def test_locked_installs_the_pinned_versions(project: Path) -> None:
    pips = [line for line in commands(project, "LOCKED=1", "TORCH_INDEX=x") if "/pip " in line]
    assert len(pips) == 2
    assert all("-c requirements-lock.txt" in line for line in pips)


def pins() -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in LOCK.read_text().splitlines()]
    return dict(line.split("==") for line in lines if line)


def requirements(file: Path) -> Iterator[Requirement]:
    for line in file.read_text().splitlines():
        if line.startswith("-r "):
            yield from requirements(file.parent / line.removeprefix("-r ").strip())
        elif line.partition("#")[0].strip():
            yield Requirement(line.partition("#")[0])


def test_every_requirement_is_pinned_to_a_version_that_it_accepts() -> None:
    pinned = {canonicalize_name(name): version for name, version in pins().items()}
    for requirement in requirements(ROOT / "requirements-test.txt"):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_the_lock_states_its_platform_and_no_place() -> None:
    text = LOCK.read_text()
    assert re.search(r"^# .*Python 3\.\d+\.\d+ on \w+ \w+", text, re.MULTILINE)
    for line in text.splitlines():
        assert re.fullmatch(r"(#.*|[\w.-]+==[\w.+!-]+)?", line), line
    assert "://" not in text
