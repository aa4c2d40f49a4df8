"""Work on several cores without a common step: each thread takes its own share of the rows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

Done = TypeVar("Done")


def in_parallel(work: Callable[[Tensor], list[Done]], rows: Tensor) -> list[Done]:
    """`work` on as many shares of the rows as torch has threads; their results in order.

    Threads that wait for each other after each operation, as torch's do, lose most of their time
    where cores are shared.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return work(rows)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return [done for share in pool.map(work, rows.chunk(threads)) for done in share]
    finally:
        torch.set_num_threads(threads)
