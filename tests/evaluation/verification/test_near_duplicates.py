"""Groups of near duplicates against networkx on the whole matrix of similarities."""

import networkx
import pytest
import torch

from evaluation.verification.near_duplicates import near_duplicates


def components(embeddings: torch.Tensor, threshold: float) -> list[list[int]]:
    points = torch.nn.functional.normalize(embeddings)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(points)))
    graph.add_edges_from((points @ points.T > threshold).triu(1).nonzero().tolist())
    return sorted(sorted(found) for found in networkx.connected_components(graph))


@pytest.mark.parametrize("threshold", [-0.1, 0.5, 0.9, 0.97, 0.999, 1.0])
@pytest.mark.parametrize("memory", [1, 7_000, 2**24])
def test_groups_are_the_connected_components(threshold: float, memory: int) -> None:
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(30, 4, generator=generator)
    embeddings = centers.repeat(5, 1) + 0.2 * torch.randn(150, 4, generator=generator)
    groups = near_duplicates(embeddings, threshold, memory=memory)
    found = [[i for i, group in enumerate(groups) if group == g] for g in range(max(groups) + 1)]
    assert found == components(embeddings, threshold)  # in the order of their first members


def test_a_chain_is_one_group_although_its_ends_are_unlike() -> None:
    angles = torch.arange(0, 3, 0.1)
    chain = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert set(near_duplicates(chain, 0.99)) == {0}
    assert len(set(near_duplicates(chain, 0.999))) == len(chain)


def test_a_pair_at_the_threshold_is_no_match() -> None:
    assert near_duplicates(torch.ones(3, 1), 1.0).tolist() == [0, 1, 2]
    assert near_duplicates(torch.ones(3, 1), 0.999999).tolist() == [0, 0, 0]
