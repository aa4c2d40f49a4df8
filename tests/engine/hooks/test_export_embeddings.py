"""The files of exported embeddings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.hooks.export_embeddings import ExportEmbeddings
from engine.hooks.hook import EmbeddedSplit
from tests.engine.hooks.contexts import context


def split(name: str, step: int) -> EmbeddedSplit:
    embeddings = torch.full((3, 2), float(step))
    labels = torch.tensor([1, 0, 1])
    return EmbeddedSplit(name, embeddings, labels, ["b.png", "ä.png", "c.png"], ["cat", "dog"])


def export(folder: Path, hook: ExportEmbeddings, *names: str) -> list[str]:
    """The names of the files after two evaluations."""
    hook.start(context(folder=folder))
    for step in (10, 20):
        for name in names:
            hook.after_embedding(context(step, folder=folder), split(name, step))
    return sorted(path.name for path in (folder / "embeddings").iterdir())


def test_a_file_has_embeddings_labels_classes_and_paths(tmp_path: Path) -> None:
    export(tmp_path, ExportEmbeddings(), "test")
    with np.load(tmp_path / "embeddings" / "test_20.npz") as file:
        assert sorted(file) == ["classes", "embeddings", "labels", "paths"]
        assert file["embeddings"].dtype == np.float32
        assert file["embeddings"].tolist() == [[20, 20]] * 3
        assert file["labels"].tolist() == [1, 0, 1]
        assert file["classes"].tolist() == ["dog", "cat", "dog"]
        assert file["paths"].tolist() == ["b.png", "ä.png", "c.png"]


def test_the_last_evaluation_of_each_split_stays(tmp_path: Path) -> None:
    names = ("test", "test/ema", "val")
    assert export(tmp_path, ExportEmbeddings(), *names) == [
        *("test_20.npz", "test_ema_20.npz", "val_20.npz"),
    ]


def test_all_evaluations_stay_where_asked(tmp_path: Path) -> None:
    assert export(tmp_path, ExportEmbeddings("all"), "test") == ["test_10.npz", "test_20.npz"]


def test_only_the_splits_that_are_asked_for(tmp_path: Path) -> None:
    hook = ExportEmbeddings("all", ["test"])
    assert export(tmp_path, hook, "train", "test/ema") == ["test_ema_10.npz", "test_ema_20.npz"]


def test_a_failed_write_leaves_the_file_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = ExportEmbeddings()
    export(tmp_path, hook, "test")

    def fail(file: object, **_arrays: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        hook.after_embedding(context(30, folder=tmp_path), split("test", 30))
    assert [path.name for path in (tmp_path / "embeddings").iterdir()] == ["test_20.npz"]
