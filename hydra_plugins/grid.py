"""Hydra sweeper `grid`: Hydra's basic sweeper, which then prints a table of the failed runs."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from hydra_plugins.processes import Processes


class Grid(BasicSweeper):
    """Grid sweeper: runs every combination of the values; configured by hydra/sweeper/grid.yaml."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Check all jobs in advance, unless the launcher `processes` does when it composes them."""
        if not isinstance(self.launcher, Processes):
            super().validate_batch_is_legal(batch)

    def sweep(self, arguments: list[str]) -> Any:  # noqa: ANN401
        """Run the sweep and print the failed runs."""
        from sweeps.progress import conclude

        returns = super().sweep(arguments)
        conclude([job.return_value for batch in returns for job in batch])
        return returns
