"""Origin of embeddings: the checkpoint that made them, which a file of embeddings records."""

from typing import NamedTuple

import pyarrow as pa

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
