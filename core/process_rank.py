"""Rank of this process among the processes of a run."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # set by Fabric, torchrun or SLURM


def is_first_process() -> bool:
    """Whether this is the process of rank 0, which writes the records and to the terminal."""
    return not any(int(os.environ.get(name, 0)) for name in RANKS)
