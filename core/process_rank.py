"""Which of several processes of one run this is."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")  # set by Fabric, torchrun or SLURM


def is_first_process() -> bool:
    """Whether this process keeps the records and talks to the terminal."""
    return not any(int(os.environ.get(name, 0)) for name in RANKS)
