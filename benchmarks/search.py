"""Benchmark of image indexes: build, memory, queries per second and recall, beside bare faiss.

Every implementation builds an index from the same Parquet file in a process of its own, writes it,
and searches it in another process, which opens it. Ours are those of scripts.index and
scripts.search without the embedding of images. Bare faiss has the same kinds and numbers, without
paths, tables and checks. Queries are further points of the same distribution, first all at once and
then one by one.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.evaluation import Size, embeddings
from benchmarks.implementation import Measured, measured, run_in_process, write_table
from retrieval.build import build_index
from retrieval.faiss_search import search_index
from retrieval.index_folder import KINDS, load, save
from retrieval.neighbors import find_neighbors
from retrieval.parquet_rows import ParquetRows
from retrieval.rows import Rows

SIZES = {
    "tiny": Size(12_000, 16, 600),
    "sop": Size(60_502, 128, 12_101),
    "million": Size(1_000_000, 128, 200_000),
}
QUERIES, SINGLE, K = 1000, 100, 10  # at once, one by one, neighbours
PHASES = ("build", "search")
ROWS, NEW, TRUE = "gallery.parquet", "queries.npy", "true.npy"  # files of a size


class Implementation(Protocol):
    """Implementation: builds an index in a folder, and searches it in another process."""

    def build(self, rows: Path, folder: Path) -> None: ...

    def open(self, folder: Path) -> None: ...

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Row numbers (Q, k) of the neighbours, -1 where there are fewer."""


class Ours:
    """Our index of a kind with the numbers of its class, which are those of conf/index/."""

    def __init__(self, kind: str) -> None:
        self.kind = KINDS[kind]()

    def build(self, rows: Path, folder: Path) -> None:
        save(build_index(ParquetRows(rows), self.kind), folder)

    def open(self, folder: Path) -> None:
        self.index, _ = load(folder)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        names = [f"query {number}" for number in range(len(queries))]
        found = find_neighbors(self.index, Rows(names, [""] * len(names), queries), k)
        ids = np.full((len(queries), k), -1)
        ids[found["query"].str[6:].astype(int), found["rank"] - 1] = found["path"].astype(int)
        return ids


class BareFaiss:
    """The index of faiss of the same kind and numbers, in memory."""

    def __init__(self, kind: str) -> None:
        self.kind = KINDS[kind]()

    def build(self, rows: Path, folder: Path) -> None:
        column = pq.read_table(rows, columns=["embedding"])["embedding"].combine_chunks()
        vectors = column.flatten().to_numpy().reshape(len(column), -1)
        sample = vectors
        if number := self.kind.num_training(len(vectors)):
            chosen = np.random.default_rng(0).choice(len(vectors), number, replace=False)
            sample = vectors[chosen]
        index = self.kind.make(vectors.shape[1], len(vectors), sample)
        self.kind.add(index, vectors, np.arange(len(vectors)))
        folder.mkdir()
        faiss.write_index(index, str(folder / "index.faiss"))

    def open(self, folder: Path) -> None:
        self.index = faiss.read_index(str(folder / "index.faiss"))

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        parameters = self.kind.search_parameters(None)
        ids: np.ndarray = search_index(self.index, queries, k, parameters)[1]
        return ids


IMPLEMENTATIONS: dict[str, Any] = {
    f"{owner} {kind}": (made, kind)
    for kind in KINDS
    for owner, made in (("our", Ours), ("faiss", BareFaiss))
}


def write_inputs(folder: Path, size: Size) -> None:
    """Write the rows of an index, queries and their true neighbours."""
    points = embeddings(size._replace(num=size.num + QUERIES), "cpu")[0].numpy()
    gallery, queries = points[: size.num], points[size.num :]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(gallery.ravel()), size.dim)
    paths = pa.array(map(str, range(size.num)))
    pq.write_table(pa.table({"path": paths, "embedding": vectors}), folder / ROWS)
    np.save(folder / NEW, queries)
    np.save(folder / TRUE, faiss.knn(queries, gallery, K, metric=faiss.METRIC_INNER_PRODUCT)[1])


def one_phase(side: str, phase: str, inputs: str, index: str) -> None:
    """Measure a build or a search in this process, and print it."""
    made, kind = IMPLEMENTATIONS[side]
    implementation: Implementation = made(kind)
    folder, files = Path(index), Path(inputs)

    def build() -> Mapping[str, Any]:
        implementation.build(files / ROWS, folder)
        return {"gib": sum(file.stat().st_size for file in folder.rglob("*.*")) / 2**30}

    def search() -> Mapping[str, Any]:
        start = time.perf_counter()
        implementation.open(folder)
        opened = time.perf_counter()
        found = implementation.search(queries, K)
        searched = time.perf_counter()
        for query in queries[:SINGLE]:
            implementation.search(query[None], K)
        single = (time.perf_counter() - searched) / SINGLE
        return {
            "open_seconds": opened - start,
            "queries_per_second": len(queries) / (searched - opened),
            "milliseconds_alone": 1000 * single,
            "recall@10": (found[:, :, None] == true[:, None, :]).any(axis=2).mean(),
        }

    queries, true = np.load(files / NEW), np.load(files / TRUE)
    print(json.dumps(measured(build if phase == "build" else search, "cpu")._asdict()))


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("search", help="image indexes: build, memory, speed, recall")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    sizes, sides = ["sop", "million"], [*IMPLEMENTATIONS]
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=sizes, help="sets of vectors")
    parser.add_argument("--sides", nargs="+", choices=sides, default=sides, help="implementations")
    parser.add_argument("--rounds", type=int, default=1, help="of all implementations, in turn")
    parser.add_argument("--memory", type=int, default=16, help="GiB a process may use")
    parser.add_argument("--timeout", type=int, default=7200, help="seconds of a build or a search")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    table = chosen.out / "search_cpu.csv"
    for size in chosen.sizes:
        with TemporaryDirectory() as folder:
            write_inputs(Path(folder), SIZES[size])
            times: dict[str, list[Measured]] = {
                f"{side}, {phase}": [] for side in chosen.sides for phase in PHASES
            }
            for number in range(chosen.rounds):
                for side in times:
                    name, phase = side.split(", ")
                    index = f"{folder}/{name}-{number}"
                    child = ["benchmarks.search", name, phase, folder, index]
                    times[side].append(run_in_process(child, chosen.memory, chosen.timeout))
                    print(f"{size:8} {side:24} {times[side][-1]}", flush=True)
        write_table(table, {"size": size, **SIZES[size]._asdict()}, times, "cpu")
    print(summary(pd.read_csv(table, dtype=str, keep_default_na=False)))


def summary(table: pd.DataFrame) -> str:
    """Markdown table with one line per implementation."""
    heads = ["size", "index", "build, s", "build, GiB", "file, GiB", "open, s", "search, GiB"]
    heads += ["queries per s", "ms for one", "recall@10", ""]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    rows = {(row["size"], row["side"]): row for row in table.to_dict("records")}
    for (size, side), built in rows.items():
        name, phase = side.split(", ")
        if phase != "build":
            continue
        searched = rows[size, f"{name}, search"]
        file, found = json.loads(built["results"]), json.loads(searched["results"])
        cells = [size, name, built["seconds_median"], built["peak_gib"], file.get("gib", "")]
        cells += [found.get("open_seconds", ""), searched["peak_gib"]]
        cells += [found.get(key, "") for key in ("queries_per_second", "milliseconds_alone")]
        cells += [found.get("recall@10", ""), built["failure"] or searched["failure"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    one_phase(*sys.argv[1:])
