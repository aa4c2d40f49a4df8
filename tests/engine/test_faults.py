"""What the machine did not manage is said with the options that ask less of it."""

import pytest
import torch

from engine.hints import MachineError, with_hints


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "chunk_size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "batch_size"),
        (MemoryError(), "MemoryError; give the same command with a smaller trainer.chunk_size"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "fewer trainer.workers"),
    ],
)
def test_it_is_one_line_with_advice(error: Exception, advice: str) -> None:
    with pytest.raises(MachineError) as raised, with_hints():
        raise error
    assert advice in str(raised.value)
    assert "\n" not in str(raised.value)


def test_memory_that_the_host_does_not_have() -> None:
    with pytest.raises(MachineError, match=r"sampler\.batch_size"), with_hints():
        torch.empty(2**58, dtype=torch.uint8)


def test_an_error_of_the_code_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes") as raised, with_hints():
        raise RuntimeError("shapes do not match")
    assert type(raised.value) is RuntimeError
