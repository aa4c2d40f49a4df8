"""Hints for errors of the machine during a run, such as running out of memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import UserError, in_one_line

MEMORY = (
    "give the same command with a smaller trainer.chunk_size or evaluation.batch_size, "
    "trainer.precision=bf16-mixed, or a smaller sampler.batch_size, which changes the loss"
)
WORKER = (
    "the system may have killed it for lack of memory, or /dev/shm is full: give the same command "
    "with fewer trainer.workers, 0 for none; it resumes from the last checkpoint"
)


class MachineError(UserError):
    """Memory ran out, or a worker of a loader died; the last checkpoint is valid."""


@contextmanager
def with_hints() -> Iterator[None]:
    """Report an error of the machine in one line, with the options that need less memory.

    Raises:
        MachineError: replaces the errors of torch about memory and dead workers.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if (hint := hint_for(error)) is None:
            raise
        message = in_one_line(error)
        raise MachineError(f"{message.removesuffix('.')}; {hint}") from error


def hint_for(error: RuntimeError | MemoryError) -> str | None:
    """The hint for an error; None if there is none, as for a bug in the code."""
    import torch  # imported here, so that a finished run is shown without torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return MEMORY
    if "can't allocate memory" in str(error):  # torch's message about host memory
        return MEMORY
    return WORKER if "DataLoader worker" in str(error) else None
