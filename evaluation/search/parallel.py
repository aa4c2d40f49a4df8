"""Worker threads: share the rows of one computation."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


class WorkerThreads:
    """Worker threads: as many as torch has threads, each with its own share of the rows.

    Inside the `with` block every torch operation runs in one thread. The threads of torch's own
    pool synchronise after each operation and spin for some milliseconds after the last one, which
    is slow for short operations and on shared cores.
    """

    def __enter__(self) -> "WorkerThreads":
        self.num = torch.get_num_threads()
        if self.num > 1:
            self.pool = ThreadPoolExecutor(
                self.num, initializer=torch.set_num_threads, initargs=(1,)
            )
            torch.set_num_threads(1)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.num > 1:
            self.pool.shutdown()
            torch.set_num_threads(self.num)

    def map(self, work: Callable[[Tensor], list[Result]], rows: Tensor) -> list[Result]:
        """The results of `work` on each share of the rows, in the order of the rows."""
        if self.num == 1:
            return work(rows)
        shares = rows.chunk(self.num)
        return [result for results in self.pool.map(work, shares) for result in results]
