"""A run keeps the stored embeddings of its sampler up to date, also if it is killed in an epoch."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datasampler.planning.stored_embeddings import StoredEmbeddings
from engine.data.loader import SeededBatches
from engine.embedding_storage import EmbeddingStorage, NoStorage, storage_of
from tests.commands import command
from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server
from tests.test_main import assert_same, only, records, state

SIZE = ("sampler.batch_size=50", "sampler.samples_per_class=10")
GREEDY = ("sampler=greedy_coreset", *SIZE, "sampler.storage.refresh_every=2")
WEIGHTS = (  # 4 batches in an epoch
    *("sampler=tuples_to_weights", "sampler.batch_size=50", "sampler.subset_size=200"),
    "sampler.storage.update=steps",
)
UNCHANGED = ("transform.shift=0", "backbone.batchnorm=frozen", "optimizer.lr=0")


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[int], Tensor]]:
    """The images and embeddings of every step of a run, and the stored rows of these images."""
    seen = []
    update = StoredEmbeddings.update

    def record(self: StoredEmbeddings, images: Sequence[int], embeddings: Tensor) -> None:
        seen.append((embeddings.clone(), self.rows()[images]))
        update(self, images, embeddings)

    monkeypatch.setattr(StoredEmbeddings, "update", record)
    return seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("chunks", [(), ("trainer.chunk_size=17",)])
def test_embeddings_of_a_step_are_stored_with_their_images(
    workers: int, chunks: Sequence[str], tmp_path: Path, updates: list[tuple[Tensor, Tensor]]
) -> None:
    """Where nothing learns, an image of a step has the embedding of its first evaluation."""
    command(tmp_path, *GREEDY, *UNCHANGED, f"trainer.workers={workers}", *chunks)
    assert len(updates) == 4
    for embeddings, rows in updates:
        assert len(embeddings) == 50
        torch.testing.assert_close(embeddings, rows, rtol=0, atol=1e-5)
        assert torch.pdist(rows).max() > 0.1, "images differ"


def test_a_step_changes_the_rows_of_the_next_epoch(
    tmp_path: Path, updates: list[tuple[Tensor, Tensor]]
) -> None:
    folder = command(tmp_path, *GREEDY, "trainer.iterations=16")
    assert len(updates) == 16
    stored = state(folder)["parts"]["storage"]
    assert stored["epoch"] == 1, "14 batches are an epoch"
    assert stored["visible"].shape == stored["pending"].shape == (718, 128)
    changed = (stored["visible"] != stored["pending"]).any(dim=1).sum()
    assert 50 <= changed <= 100


def test_a_run_without_stored_embeddings_keeps_its_checkpoint(tmp_path: Path) -> None:
    assert "storage" not in state(command(tmp_path, "sampler=class_random", *SIZE))["parts"]


def test_the_storage_of_a_sampler_is_found() -> None:
    class Stored:
        storage = StoredEmbeddings()

    device = torch.device("cpu")
    batches = SeededBatches(Stored(), 0)
    assert isinstance(storage_of(batches, lambda: torch.ones(3, 2), device), EmbeddingStorage)
    assert batches.keeps_images
    batches = SeededBatches(object(), 0)
    assert isinstance(storage_of(batches, lambda: torch.ones(3, 2), device), NoStorage)
    assert not batches.keeps_images


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param((*GREEDY, "sampler.storage.momentum=0.5"), id="greedy_coreset"),
        pytest.param(("sampler=fid_match", *SIZE), id="fid_match", marks=pytest.mark.extended),
        pytest.param(WEIGHTS, id="tuples_to_weights", marks=pytest.mark.extended),
    ],
)
def test_killed_in_an_epoch_it_ends_the_same(
    sampler: Sequence[str], runs: Runs, tmp_path: Path
) -> None:
    whole = Runs(runs.server, tmp_path / "reference", tmp_path / "log of reference")
    reference = whole.finished("trainer.workers=0", *sampler)
    for delay in (0.0, 0.05):
        pid = runs.start("trainer.workers=1", *sampler)
        for _ in range(2):
            runs.wait_for_a_record(pid)
        time.sleep(delay)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        code, said = runs.end()
        assert code == -signal.SIGKILL, said
    assert 0 < state(only(runs.folder))["position"] < 48
    runs.finished("trainer.workers=1", *sampler)
    assert_same(state(reference), state(only(runs.folder)))
    assert records(reference) == records(only(runs.folder))
