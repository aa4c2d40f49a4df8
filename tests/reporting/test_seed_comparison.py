"""Two methods over seeds and queries: the bootstrap against its definition, and its coverage."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.bootstrap import bootstrap_intervals
from evaluation.per_query import PerQuery, per_query, save
from reporting.seed_comparison import crossed_interval
from scripts.compare import main


def test_the_interval_is_the_bootstrap_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(4, 30))
    drawn = []
    for _ in range(4000):
        seeds, queries = rng.integers(4, size=4), rng.integers(30, size=30)
        drawn.append(np.mean([scores[s, q] for s in seeds for q in queries]))
    expected = np.quantile(drawn, [0.025, 0.975])
    assert crossed_interval(scores, resamples=4000) == pytest.approx(tuple(expected), abs=0.06)


def test_it_is_in_parts_where_there_are_many_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(1).normal(size=(5, 50))
    expected = crossed_interval(scores)
    monkeypatch.setattr("reporting.seed_comparison.MAX_DRAWS", 1000)
    assert crossed_interval(scores) == pytest.approx(expected, abs=0.05)


def test_it_covers_the_mean_where_an_interval_over_queries_does_not() -> None:
    """Five seeds whose means vary as much by training as by the queries."""
    rng = np.random.default_rng(2)
    both, queries_alone = [], []
    for _ in range(300):
        scores = 0.03 * rng.normal(size=(5, 1)) + 0.4 * rng.normal(size=(5, 200))
        low, high = crossed_interval(scores, resamples=300)
        both.append(low <= 0 <= high)
        over_queries = torch.from_numpy(scores.mean(axis=0))[None]
        low, high = bootstrap_intervals(over_queries, resamples=300)[0].tolist()
        queries_alone.append(low <= 0 <= high)
    assert 0.9 < np.mean(both) < 0.99
    assert np.mean(queries_alone) < 0.85


def evaluated(scale: float, seed: int) -> PerQuery:
    labels = torch.arange(60) % 6
    noise = torch.randn(60, 6, generator=torch.Generator().manual_seed(seed))
    return per_query(2 * torch.eye(6)[labels] + scale * noise, labels)


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "before_00000000", tmp_path / "after_00000001"
    for folder, scale, seeds in zip(folders, (3.0, 1.5), ((0, 1, 2), (1, 2, 3)), strict=True):
        for seed in seeds:
            path = folder / f"seed{seed}" / "evaluation" / "digits_test_last"
            path.mkdir(parents=True)
            save(evaluated(scale, seed), path / "queries.parquet")
    return folders


def test_groups_are_compared_over_common_seeds(
    groups: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    main(list(map(str, groups)))
    text = capsys.readouterr().out
    assert "2 seeds (1, 2), 60 queries; the interval draws both" in text
    (row,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["map"]]
    before, after, change, low, high = (float(cell) for cell in row[1:] if cell != "..")
    means = [
        np.mean([evaluated(scale, seed)["average_precision"].mean() for seed in (1, 2)])
        for scale in (3.0, 1.5)
    ]
    assert [before, after] == pytest.approx(means, abs=1e-4)
    assert low < change < high
    (recall,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["recall@1"]]
    hits = [(evaluated(1.5, seed)["first_hit"] == 1).mean() for seed in (1, 2)]
    assert float(recall[2]) == pytest.approx(np.mean(hits), abs=1e-4)


def test_mistakes_are_one_line(groups: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = groups
    with pytest.raises(SystemExit, match="has an evaluation named of_val; python"):
        main([str(before), str(after), "of_val"])
    with pytest.raises(SystemExit, match="are not two groups of seeds, nor two evaluations"):
        main([str(before), str(after / "seed1" / "evaluation" / "digits_test_last")])
    second = after / "seed1" / "evaluation" / "digits_val_last"
    second.mkdir()
    save(evaluated(1.0, 5), second / "queries.parquet")
    with pytest.raises(SystemExit, match="name one of digits_test_last, digits_val_last"):
        main([str(before), str(after)])
    (after / "seed1").rename(tmp_path / "elsewhere")
    (after / "seed2").rename(after / "seed7")
    with pytest.raises(SystemExit, match="no common seed: 0, 1, 2 before, 3, 7 after"):
        main([str(before), str(after), "digits_test_last"])
