"""Hydra's sweeper `grid`: Hydra's own, which then says what failed, whatever launched the jobs."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Grid(BasicSweeper):
    """conf/hydra/sweeper/grid.yaml"""

    def sweep(self, arguments: list[str]) -> Any:  # noqa: ANN401
        from sweeps.report import conclude

        returns = super().sweep(arguments)
        conclude([job.return_value for batch in returns for job in batch])
        return returns
