"""Origin of embeddings: the checkpoint that made them, which a file of embeddings records."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from engine.embeddings.column_file import EmbeddingsError, explain_read_errors
from engine.trained_run import TrainedRun
from tracking.run_folder import checksum

KEYS = ("run", "checkpoint", "checkpoint_sha256")  # in the metadata of a Parquet schema


class Origin(NamedTuple):
    """Origin: the run, the file in its folder `checkpoints`, and the SHA-256 of that file."""

    run: str
    checkpoint: str
    sha256: str

    def metadata(self) -> dict[str, str]:
        """What the schema of a Parquet file says about it."""
        return dict(zip(KEYS, self, strict=True))


def origin_of(run: TrainedRun) -> Origin:
    """The origin of embeddings by a run."""
    return Origin(str(run.folder), run.checkpoint.name, checksum(run.checkpoint))


def recorded_origin(schema: pa.Schema) -> Origin | None:
    """The origin that a Parquet file records; None if it records none."""
    metadata = schema.metadata or {}
    found = [metadata[key.encode()] for key in KEYS if key.encode() in metadata]
    texts = (value.decode(errors="replace") for value in found)
    return Origin(*texts) if len(found) == len(KEYS) else None


def origin_of_file(file: Path) -> Origin | None:
    """The origin that a file of embeddings records; None if it records none."""
    if file.suffix != ".parquet":
        return None
    with explain_read_errors(file):
        return recorded_origin(pq.read_schema(file))


def check_same_origin(expected: Origin | None, file: Path) -> None:
    """Check that the embeddings of a file can be compared with others.

    Args:
        expected: the origin of the others; None if it is not known.
        file: a file that records no origin is not checked.

    Raises:
        EmbeddingsError: another checkpoint made the embeddings of the file.
    """
    found = origin_of_file(file)
    if expected is not None and found is not None and found.sha256 != expected.sha256:
        raise EmbeddingsError(
            f"{file} has embeddings of {found.checkpoint} of {found.run}, which cannot be compared "
            f"with those of {expected.checkpoint} of {expected.run}; embed the images with that "
            "one: python -m scripts.embed run=<checkpoint>"
        )
