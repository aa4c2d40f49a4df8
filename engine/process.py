"""Which of the processes of a run this one is."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Whether this process keeps the records, of those that Fabric, torchrun or SLURM started."""
    return not any(int(os.environ.get(name, 0)) for name in RANKS)
