"""Write docs/metrics.md from the docstrings of the metrics:  python -m scripts.document_metrics"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from hydra.utils import instantiate

import evaluation.metrics.metric
from evaluation.averages import Averages
from evaluation.metrics.metric import Metric, direction_of, inputs_of
from evaluation.metrics.ranking import Ranking
from scripts.docstrings import blocks_of, cell, joined, markdown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "metrics.md"
BETTER = {True: "higher is better", False: "lower is better", None: "neither direction is better"}
SECTIONS = {  # what a metric asks for -> heading; the first that fits
    "ranking": "Retrieval",
    "pairs": "Verification",
    "clusters": "Clustering",
    "": "Structure of the embedding space",
}
ELSEWHERE = "Elsewhere:"

HEAD = """\
# Metrics

Written by `python -m scripts.document_metrics` from the docstrings; edit those.

`metric=[recall,nmi,map_at_r]` chooses files of `conf/metric/`; each adds the numbers listed with
it. All are exact, computed in bounded memory, and the same whatever the size of the chunks. The
defaults are those of Roth et al. 2020. A metric that has no value on the data is NaN, never a wrong
number, and the log says why once.

**Queries with nothing to find**, because no other item of their class is in the gallery, are
excluded from every retrieval metric and counted: `num_queries` and `num_queries_excluded`.

**The query itself** is removed from its neighbours by its index, wherever it would come. A copy of
it is a neighbour like any other.

**Distance.** `evaluation.measure.distance=cosine` (the default) or `euclidean`, of neighbours,
clusters and pairs. The structure of the space has its own, said at each metric.

**Clusters** come from k-means with as many clusters as the evaluated set has classes
(`evaluation.measure.num_clusters`). With `evaluation.measure.restarts=5` a number is the mean over
five starts and `nmi/std` its standard deviation.
"""

VARIANTS = """\
## Variants

- One category at a time, as if it were the whole dataset: `evaluation.categories`.
- Several embeddings of one model, or of an ensemble, as one: `evaluation.ensemble`.
- One row per query: `evaluation.per_query`; `python -m scripts.evaluate` writes them. Two runs side
  by side, with the interval of their difference: `python -m scripts.compare <before> <after>`.
"""

OWN = """\
## A metric of your own

One function and one YAML, in a folder of your own. The function says by the names of its parameters
what it measures; the YAML says what it is called and binds the rest.

```python
# hits.py
from core.types import Scores
from evaluation.metrics.ranking import Ranking


def found(ranking: Ranking, k: int) -> Scores:
    \"\"\"Share of a query's relevant items that are among its first k neighbours.\"\"\"
    return (ranking.ranks <= k).sum(dim=1).double() / ranking.num_relevant
```

```yaml
# my_conf/metric/found.yaml
found@5: {_target_: hits.found, _partial_: true, k: 5}
```

```bash
PYTHONPATH=. python path/to/this/repository/main.py --config-dir my_conf metric=[recall,found]
```
"""


class Entry(NamedTuple):
    """One function and the numbers that the files of conf/metric/ make of it."""

    metric: Metric
    needs: set[str]
    files: dict[str, list[str]]


def page() -> str:
    """The whole page."""
    entries = sorted(read(), key=title_of)
    parts = [HEAD, "**Ties.** " + prose(Ranking, 2), averages()]
    for need, heading in SECTIONS.items():
        chosen = [entry for entry in entries if section_of(entry) == need]
        parts += [f"## {heading}\n", *(describe(entry) for entry in chosen)]
    parts += [VARIANTS, same_name(entries), OWN, "What a metric may ask for:\n", offers()]
    return "\n".join(parts)


def read() -> Iterator[Entry]:
    """The metrics of conf/metric/, those of one function together, by the first file's name."""
    entries: dict[object, Entry] = {}
    for file in sorted((ROOT / "conf" / "metric").glob("*.yaml")):
        for name, config in yaml.safe_load(file.read_text()).items():
            partial = instantiate(config)
            metric = partial.func
            entry = entries.setdefault(metric, Entry(metric, inputs_of(name, partial), {}))
            entry.files.setdefault(file.stem, []).append(name)
    yield from entries.values()


def section_of(entry: Entry) -> str:
    return next((need for need in SECTIONS if need in entry.needs), "")


def describe(entry: Entry) -> str:
    """Heading, files and names, direction, docstring."""
    rows = [
        f"| `{file}` | {', '.join(f'`{name}`' for name in names)} |"
        for file, names in entry.files.items()
    ]
    title = f"### {title_of(entry)}\n"
    table = "\n".join(["| `metric=` | numbers |", "|---|---|", *rows]) + "\n"
    blocks = [
        markdown(block) for block in blocks_of(entry.metric) if not block.startswith(ELSEWHERE)
    ]
    return "\n".join([title, table, f"*{BETTER[direction_of(entry.needs)]}*\n", *blocks])


def title_of(entry: Entry) -> str:
    """The name, with the parameter in place of the number where there are several."""
    own = entry.metric.__module__.rpartition(".")[2]  # recall.yaml before cmc.yaml
    names = entry.files.get(own) or next(iter(entry.files.values()))
    stem, at, _ = names[0].partition("@")
    bound = [p for p in inspect.signature(entry.metric).parameters if p not in entry.needs]
    several = len(names) > 1 or len(entry.files) > 1
    return f"{stem}@{bound[0]}" if at and several else names[0]


def prose(documented: object, number: int) -> str:
    """A paragraph of a docstring, counted from 1."""
    return joined(blocks_of(documented)[number - 1]) + "\n"


def averages() -> str:
    """What else is made of the scores of the queries."""
    _, names, counted, arguments = blocks_of(Averages)[:4]
    intro = "**More numbers of each retrieval metric**, by `evaluation.measure.averages.…`:\n"
    return "\n".join([intro, *map(markdown, (names, counted, arguments))])


def offers() -> str:
    table = next(b for b in blocks_of(evaluation.metrics.metric) if b.startswith("    "))
    return markdown(table).rstrip() + "\n"


def same_name(entries: list[Entry]) -> str:
    """The paragraphs that say what others call by the name of a metric."""
    rows = [
        f"| {title_of(entry)} | {cell(block.removeprefix(ELSEWHERE))} |"
        for entry in entries
        for block in blocks_of(entry.metric)
        if block.startswith(ELSEWHERE)
    ]
    return "\n".join(
        ["## Same name, different number\n", "| here | elsewhere |", "|---|---|", *rows, ""]
    )


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    print(PAGE)
