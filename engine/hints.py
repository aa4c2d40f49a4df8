"""Faults of the machine in the middle of a run, said with what to do about them."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import UserError, in_one_line

MEMORY = (
    "give the same command with a smaller trainer.chunk_size or evaluation.batch_size, "
    "trainer.precision=bf16-mixed, or a smaller sampler.batch_size, which changes the objective"
)
WORKER = (
    "the system may have ended it for want of memory, or /dev/shm is full: give the same command "
    "with fewer trainer.workers, 0 for none; it goes on from the last checkpoint"
)


class MachineError(UserError):
    """Memory ran out, or a loader's worker died; the last checkpoint is still good."""


@contextmanager
def with_hints() -> Iterator[None]:
    """Say in one line what the machine did not manage, and which options ask less of it.

    Raises:
        MachineError: in the place of what torch says of memory and of dead workers.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if (advice := hint_for(error)) is None:
            raise
        said = in_one_line(error)
        raise MachineError(f"{said.removesuffix('.')}; {advice}") from error


def hint_for(error: RuntimeError | MemoryError) -> str | None:
    """What helps; None where nothing is known to, as for an error of the code."""
    import torch  # here, so that a finished run is shown without it

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return MEMORY
    if "can't allocate memory" in str(error):  # what torch says of the host's
        return MEMORY
    return WORKER if "DataLoader worker" in str(error) else None
