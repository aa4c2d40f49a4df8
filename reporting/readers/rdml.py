"""Reader of runs of the public code of Roth et al. 2020, from its CSV logs.

    <anywhere>/<savename>/Parameter_Info.txt, training_summary.txt
    <anywhere>/<savename>/CSV_Logs/Data_<Train|Test|Val>_<group>.csv     one row per epoch

Its `hypa.pkl` is never opened: a pickle runs what it holds. Keys and paths, which that code writes
into Parameter_Info.txt, are not read. Its metrics keep their meaning under our names (`METRICS`);
metrics without an equivalent here are left out, also `mAP`, whose meaning has changed over time.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from core.errors import UserError, in_one_line
from reporting.directions import directions
from reporting.run import DAMAGED, Run
from tracking.metrics_log import Record, finite
from tracking.summary import summarise

METRICS = {
    "loss": "loss",
    "nmi": "nmi",
    "f1": "f1",
    "mAP_c": "map_c",
    "mAP_lim": "map_lim",
    "mAP_1000": "map_1000",
    "dists@intra": "dists@intra",
    "dists@inter": "dists@inter",
    "dists@intra_over_inter": "dists@ratio",
    **{f"e_recall@{k}": f"recall@{k}" for k in (1, 2, 4, 8, 10, 20, 30, 100, 1000)},
    **{f"rho_spectrum@{m}": f"rho_spectrum@{m}" for m in (-1, 1, 2, 10)},
}
DATASETS = {"online_products": "sop", "in-shop": "inshop"}
PARAMETERS = ("arch", "batch_mining", "bs", "embed_dim", "loss", "lr", "n_epochs")
PREFIX = re.compile(r"^(CUB|CARS?|SOP)(reg)?_")


def read_rdml(root: Path) -> Iterator[Run]:
    """Every run at or below `root`, in the order of their names.

    Raises:
        UserError: a run does not state its dataset and seed.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder of logs")
    for logs in sorted(root.resolve().glob("**/CSV_Logs")):
        try:
            yield read_run(logs.parent)
        except (ValueError, OSError) as error:
            reason = f"{logs.parent}: cannot be read ({in_one_line(error)})"
            yield Run("rdml", logs.parent.name, 0, state=DAMAGED, error=reason)


def read_run(folder: Path) -> Run:
    recorded = parameters(folder / "Parameter_Info.txt")
    if not {"dataset", "seed"} <= recorded.keys():
        raise UserError(f"{folder}/Parameter_Info.txt does not say the dataset and the seed")
    records = read_records(folder / "CSV_Logs")
    names = {name.split("/", 1)[1] for record in records for name in record if "/" in name}
    ended = folder / "training_summary.txt"
    measured = any("test/recall@1" in record for record in records)
    return Run(
        dataset=DATASETS.get(recorded["dataset"], recorded["dataset"]),
        group=group_of(recorded.get("group") or folder.name),
        seed=int(recorded["seed"]),
        state="finished" if ended.exists() else "interrupted",
        config={name: recorded[name] for name in PARAMETERS if name in recorded},
        readings=summarise(records, "val/recall@1", directions([], names)) if measured else {},
        records=records,
        cost={"seconds": seconds(ended)},
        claim="experiment=roth2020",
    )


def parameters(file: Path) -> dict[str, str]:
    """Parameters of a run, from lines `name`, tab and value."""
    wanted = {*PARAMETERS, "dataset", "seed", "group"}
    pairs = re.findall(r"^(\w+)\n\t(.*)$", file.read_text() if file.exists() else "", re.MULTILINE)
    return {name: value.strip() for name, value in pairs if name in wanted}


def group_of(name: str) -> str:
    """`CUBreg_Margin_b12_Distance` -> `rdml_r_margin_b12_distance`, alike for all datasets."""
    own = re.sub(r"_s\d+$", "", name)
    found = PREFIX.match(own)
    regularised = "r_" if found and found[2] else ""
    return f"rdml_{regularised}{PREFIX.sub('', own).lower()}"


def read_records(logs: Path) -> list[Record]:
    """One record per epoch; that code counts epochs from 0, ours are over when they count."""
    rows: dict[int, Record] = {}
    for file in sorted(logs.glob("Data_*.csv")):
        split = file.stem.split("_")[1].lower()
        for name, values in columns(file).items():
            for epoch, value in enumerate(values, start=1):
                row = rows.setdefault(epoch, {"step": epoch, "epoch": float(epoch)})
                row[f"{split}/{name}"] = value
    return [finite(rows[epoch]) for epoch in sorted(rows)]


def columns(file: Path) -> Mapping[str, list[float]]:
    """Our name -> one number per epoch, of the columns that have an equivalent here."""
    frame = pd.read_csv(file)
    return {
        METRICS[name]: pd.to_numeric(frame[name], errors="coerce").tolist()
        for name in frame
        if name in METRICS
    }


def seconds(summary: Path) -> float | None:
    """The training time; None where the run did not end."""
    found = re.search(
        r"Training Time: ([\d.]+) min", summary.read_text() if summary.exists() else ""
    )
    return 60 * float(found[1]) if found else None
