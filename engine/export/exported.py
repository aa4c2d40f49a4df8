"""Exported run: what a model card describes."""

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from engine.config.dataset import dataset_name
from engine.export.parity import Parity
from engine.load import TrainedEmbedder
from tracking.run_files import OverridesFile, read_config, read_json
from tracking.run_folder import RunFolder

ABSOLUTE = re.compile(r"(/|~|[A-Za-z]:[\\/]).+")  # paths of the machine of the run


class Exported(NamedTuple):
    """An exported run: the run, the file, and their comparison.

    Args:
        embedder: the run.
        step: the optimizer step of its weights.
        file: the name of the exported file.
        preprocessing: see `describe_preprocessing`.
        parity: the comparison of the file with the run.
    """

    embedder: TrainedEmbedder
    step: int
    file: str
    preprocessing: Mapping[str, Any]
    parity: Parity

    @property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return RunFolder(self.embedder.run.folder)

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that the run recorded, as plain data without folders."""
        return {str(k): without_folders(v) for k, v in read_config(self.folder.config).items()}

    @property
    def command(self) -> str:
        """The command of the run, without folders."""
        overrides = read_json(self.folder.overrides, OverridesFile).get("overrides", [])
        parts = [override.partition("=") for override in overrides]
        portable = [f"{key}{equals}{without_folders(value)}" for key, equals, value in parts]
        return shlex.join(["python", "main.py", *portable])

    @property
    def run(self) -> str:
        """The run: <dataset>/<group>/seed<k>."""
        return "/".join(self.embedder.run.folder.parts[-3:])

    @property
    def dataset(self) -> str:
        """The name of the dataset."""
        dataset = self.config["dataset"]
        return dataset_name(dataset, choice(dataset))

    @property
    def evaluated(self) -> str:
        """The name of the dataset whose images were embedded."""
        dataset = self.embedder.config.dataset
        return dataset_name(dataset, choice(dataset))


def choice(node: Mapping[str, Any] | None) -> str:
    """The name of a choice: the module of its class; `none` without one."""
    return str(node["_target_"]).split(".")[-2] if node else "none"


def without_folders(node: Any) -> Any:  # noqa: ANN401 - any plain value of a configuration
    """Plain data in which an absolute path is its last name only."""
    if isinstance(node, Mapping):
        return {key: without_folders(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_folders(value) for value in node]
    if isinstance(node, str) and ABSOLUTE.fullmatch(node):
        return PurePath(node).name
    return node
