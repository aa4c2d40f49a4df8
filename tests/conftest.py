"""Miniature datasets for any test; each fixture is the folder to give as `paths.data`."""

import os
from pathlib import Path

import pytest

import datasets
from tests.trees import write_cars196, write_cub200, write_inshop, write_sop


@pytest.fixture
def cub200_tree(tmp_path: Path) -> Path:
    return write_cub200(tmp_path)


@pytest.fixture
def cars196_tree(tmp_path: Path) -> Path:
    return write_cars196(tmp_path)


@pytest.fixture
def sop_tree(tmp_path: Path) -> Path:
    return write_sop(tmp_path)


@pytest.fixture
def inshop_tree(tmp_path: Path) -> Path:
    return write_inshop(tmp_path)


@pytest.fixture
def omniglot_root() -> str:
    """The folder that holds the real `omniglot`, which the repository has."""
    return str(Path(datasets.__file__).parent)


@pytest.fixture
def grocery_store_root() -> str:
    """The folder that holds the real `grocery_store`; skips where there is none."""
    return data_folder("grocery_store/dataset/classes.csv")


def data_folder(file: str) -> str:
    """The folder of datasets that has a file; skips where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    for root in (os.environ.get("DML_DATA"), beside):
        if root and (Path(root) / file).exists():
            return str(root)
    pytest.skip(f"no real data: set DML_DATA to the folder that holds {file}")
