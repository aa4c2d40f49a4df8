"""Clusters: the cluster of each point, the result of a clustering."""

from jaxtyping import Int
from torch import Tensor

Clusters = Int[Tensor, " N"]  # 0..k-1
