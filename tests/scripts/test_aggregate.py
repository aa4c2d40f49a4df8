"""The table from folders of runs small enough to read, in its three formats."""

import csv
import io
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine.config.run_name import CONF
from reporting import published
from reporting.command import UNKNOWN
from scripts.aggregate import main
from tests.run_folders import CONFIG, write_run, write_study

GOLDEN = Path(__file__).parents[1] / "reporting" / "golden"
STUDY = {
    "cars196": {"margin": [0.79, 0.80, 0.81], "tri&plet_%": [0.78, 0.81, 0.80]},
    "cub200": {
        "margin": [0.62, 0.63, 0.64],
        "tri&plet_%": [0.50, 0.51, 0.53],
        "n-pair": [0.61, 0.60, 0.61],
    },
}
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


def has_booktabs() -> bool:
    return subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode == 0


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "runs", STUDY)


@pytest.mark.parametrize(("kind", "suffix"), [("markdown", "md"), ("csv", "csv"), ("latex", "tex")])
def test_the_table_is_the_golden_one(
    kind: str, suffix: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, study, "--metrics", "recall@1", "nmi", "--format", kind)
    assert text == (GOLDEN / f"table.{suffix}").read_text()


def test_the_latex_table_compiles(tmp_path: Path) -> None:
    compiler = shutil.which("pdflatex") or shutil.which("tectonic")
    if compiler is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    if "pdflatex" in compiler and not has_booktabs():
        pytest.skip("pdflatex is installed without booktabs")
    (tmp_path / "t.tex").write_text(DOCUMENT % (GOLDEN / "table.tex").read_text())
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in compiler else []
    done = subprocess.run([compiler, *options, "t.tex"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000


def test_the_csv_holds_the_numbers_unrounded(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, study, "--metrics", "recall@1", "--format", "csv")
    told = [line for line in text.splitlines() if line.startswith("#")]
    assert any("Commit: 0123456" in line for line in told)
    rows = list(csv.DictReader(io.StringIO(text[text.index("method,") :])))
    (row,) = [row for row in rows if (row["method"], row["dataset"]) == ("margin", "cub200")]
    assert float(row["mean"]) == pytest.approx(63)
    assert float(row["spread"]) == pytest.approx(1)
    assert float(row["interval"]) == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert (row["n"], row["best"], row["second"]) == ("3", "True", "False")


@pytest.mark.parametrize("reading", ["last", "oracle"])
def test_each_of_several_embeddings_has_its_columns(
    reading: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network with several embeddings is measured part by part: test/<part>/<metric>."""
    for method, value in (("margin_00000000", 0.5), ("triplet_00000001", 0.25)):
        for seed in (0, 1):
            measured = {
                "test/recall@1": value,
                "test/slice_1/recall@1": value + 0.1 * seed,
                "test/slice_1/fnmr@0.1": value,
                "test/slice_1/dists@intra": value,
            }
            write_run(tmp_path, f"cub200/{method}/seed{seed}", measured)
    metrics = ["slice_1/recall@1", "slice_1/fnmr@0.1", "slice_1/dists@intra"]
    for run in (tmp_path / "cub200").glob("*/seed0/summary.json"):
        run.unlink()  # a run without a summary is summarised from its records
    command = [tmp_path, "--unfinished", "--reading", reading, "--metrics", *metrics]
    table = printed(capsys, *command)
    assert "slice_1/recall@1" in table
    best, second = (
        "**55.0** ± 7.1 | <ins>50.0</ins> ± 0.0",
        "<ins>30.0</ins> ± 7.1† | **25.0** ± 0.0",
    )
    assert f"| margin | {best} | 0.500 ± 0.000 |" in table
    assert f"| triplet | {second} | 0.250 ± 0.000 |" in table


def test_the_caption_says_what_the_numbers_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"test/recall@1": 0.6}
    departing = {"claim": "protocol=roth2020/cub200", "differences": {"trainer.epochs": {}}}
    write_run(tmp_path, "cub200/margin_00000000/seed0", values, commit="abcdef123")
    write_run(tmp_path, "cub200/margin_00000000/seed1", values, protocol=departing)
    write_run(tmp_path, "cub200/roth2020_margin_00000001/seed0", values)
    options = ["--metrics", "recall@1", "--reading", "oracle", "--allow-missing"]
    caption = printed(capsys, tmp_path, *options).splitlines()[0]
    assert "cub200, test split. " in caption
    assert "Protocol: none claimed, roth2020, but for trainer.epochs. " in caption
    assert "Reading: oracle (best test value over epochs, each metric for itself). " in caption
    assert "n = 1 to 2 seeds, not the same in every row. " in caption
    assert "Commit: 0123456, abcdef1. " in caption


def test_a_missing_seed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = {"cub200": {"triplet": [0.5, 0.6], "contrastive": [0.25]}}
    root = write_study(tmp_path, study)
    command = [str(root), "--metrics", "recall@1"]
    with pytest.raises(SystemExit, match=r"missing cub200/contrastive_00000001/seed1; --allow"):
        main(command)
    with pytest.raises(SystemExit, match=r"contrastive_00000001/seed2, .*triplet_00000000/seed2"):
        main([*command, "--seeds", "0", "1", "2"])
    table = printed(capsys, *command, "--allow-missing")
    assert "| triplet | **55.0** ± 7.1 (n=2) |" in table
    assert "| contrastive | <ins>25.0</ins> (n=1) |" in table


def test_a_run_that_failed_is_named_and_read_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"test/recall@1": 0.6}
    write_run(tmp_path, "cub200/margin_00000000/seed0", values)
    write_run(tmp_path, "cub200/margin_00000000/seed1", values, error="killed")
    command = [str(tmp_path), "--metrics", "recall@1"]
    with pytest.raises(SystemExit, match=r"missing cub200/margin_00000000/seed1 \(failed\)"):
        main(command)
    assert "n = 1 seed (0)" in printed(capsys, *command, "--allow-missing")
    assert "n = 2 seeds (0, 1)" in printed(capsys, *command, "--unfinished")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--reading", "selected"], "no run has a reading selected"),
        (["--split", "train"], "no run has a reading last of the split train"),
        (["--metrics", "recall@2"], "no run measured test/recall@2; there is map@r, nmi, recall@1"),
    ],
)
def test_what_nobody_measured_is_one_line(option: list[str], message: str, study: Path) -> None:
    with pytest.raises(SystemExit, match=message):
        main([str(study), "--allow-missing", *option])


def test_intervals_in_place_of_deviations(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = printed(capsys, study / "cub200", "--metrics", "recall@1", "--spread", "interval")
    assert "| margin | **63.0** ± 2.5 |" in table
    assert "Mean ± 95 % t-interval" in table


def test_every_pair_is_tested(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, study, "--metrics", "recall@1", "--tests")
    row = "| margin | n-pair | +2.33 | -0.54 .. +5.20 | 3 | 0.073 | 0.073 |"
    assert row in text
    assert "### cars196, recall@1" in text
    assert "Mean ranks over 2 datasets" in text
    assert "| method | interquartile mean | 95 % interval | P(margin is better) |" in text
    assert "| margin | 71.5 | 70.8 .. 72.2 |  |  |" in text
    assert re.search(r"^\| tri&plet_% \| \d\d\.\d \| \S+ \.\. \S+ \| 0\.\d\d ", text, re.M)
    assert "n-pair | 6" not in text[text.index("interquartile") :]  # has one dataset


def test_what_cannot_be_tested_is_left_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user tests methods that have one seed in common, or none."""
    root = write_study(tmp_path, {d: {"a": [0.5, 0.6], "b": [0.4]} for d in ("cub200", "sop")})
    write_run(root, "cub200/c_00000009/seed7", {"test/recall@1": 0.3})
    text = printed(capsys, root, "--metrics", "recall@1", "--tests", "--allow-missing")
    assert "nan" not in text
    assert "| a | b | +10.00 |  | 1 |  |  |" in text
    assert "| a | c |  |  | 0 |  |  |" in text
    assert "no Friedman test; critical difference" in text


def test_cost_of_each_row(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = printed(capsys, study / "cub200", "--metrics", "recall@1", "--cost")
    assert "| minutes per run | images/s | peak GiB | GPU hours, all runs |" in table
    assert "| margin | **63.0** ± 1.0 | 90.0 | 250 | 7.50 | 4.50 |" in table


def test_published_figures_stand_beside_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, value in enumerate((0.630, 0.632)):
        name = f"cub200/roth2020_margin_b12_distance_00000000/seed{seed}"
        write_run(tmp_path, name, {"test/recall@1": value})
    own = {**CONFIG, "backbone": {**CONFIG["backbone"], "embedding_dim": 512}}
    name = "cub200/roth2020_triplet_distance_00000001"
    for seed in (0, 1):  # of another size: its published figure does not compare
        write_run(tmp_path, f"{name}/seed{seed}", {"test/recall@1": 0.6}, config=own)
    command = [tmp_path, "--metrics", "recall@1", "--published", "roth2020"]
    table = printed(capsys, *command, "--reading", "oracle")
    assert "| method | recall@1 | roth2020 | difference |" in table
    assert "| roth2020_margin_b12_distance | **63.1** ± 0.1 | 63.1 ± 0.5 | 0.0 |" in table
    assert "| roth2020_triplet_distance | <ins>60.0</ins> ± 0.0 |  |  |" in table
    assert "± is the population standard deviation; 5 runs." in table
    with pytest.raises(SystemExit, match="roth2020 reports the oracle reading and this table the"):
        main([*map(str, command), "--reading", "last"])
    with pytest.raises(SystemExit, match="hier2023 has no figure for these methods"):
        main([*map(str, command[:-1]), "hier2023"])


OWN = "run,method,dataset,setting,backbone,dimensions,metric,mean,spread\n"


def test_published_numbers_of_a_file_stand_beside_ours(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "their_paper.csv"
    own.write_text(OWN + "margin,Margin,cub200,Table 2,resnet50,128,test/recall@1,61.5,\n")
    table = printed(capsys, study / "cub200", "--metrics", "recall@1", "--published", own)
    assert "| method | recall@1 | their_paper | difference |" in table
    assert "| margin | **63.0** ± 1.0 | 61.5 | +1.5 |" in table
    assert "their_paper: numbers of their_paper.csv; Table 2, resnet50, 128 dimensions" in table


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as CSV"),
        ("run,mean\nmargin,61.5\n", "has no column method, dataset, setting"),
        (OWN + "margin,Margin,cub200,,,,test/recall@1,good,\n", "mean should hold numbers"),
    ],
)
def test_a_file_of_published_numbers_that_is_wrong_is_one_line(
    content: str | None, message: str, study: Path, tmp_path: Path
) -> None:
    own = tmp_path / "their_paper.csv"
    if content:
        own.write_text(content)
    with pytest.raises(SystemExit, match=message):
        main([str(study / "cub200"), "--metrics", "recall@1", "--published", str(own)])


def test_default_columns_are_those_that_were_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, value in enumerate((0.5, 0.7)):
        measured = {"test/recall@1": value, "test/map@r": value / 2}
        write_run(tmp_path, f"cub200/margin_00000000/seed{seed}", measured)
    assert "| method | recall@1 | map@r |" in printed(capsys, tmp_path)


@pytest.mark.parametrize("change", [{"counts": None}, {"_target_": "datasets.csv.csv"}], ids=str)
def test_no_difference_is_shown_for_other_data_than_the_published(
    change: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user tries a few images of his own as cub200 and compares with the literature."""
    real = yaml.safe_load((CONF / "dataset" / "cub200.yaml").read_text())
    for number, (name, data) in enumerate({"margin": real, "tiny": real | change}.items()):
        loss = {"_target_": "criteria.margin.Margin", "beta": number}
        own = {**CONFIG, "loss": loss, "dataset": {**data, "name": "cub200"}}
        group = f"cub200/{name}_0000000{number}"
        write_run(tmp_path, f"{group}/seed0", {"test/recall@1": 0.99}, config=own)
    found = published.figures("roth2020")
    row = found[(found.dataset == "cub200") & (found.metric == "test/recall@1")].iloc[0]
    settings = ["--metrics", "recall@1", "--reading", "oracle", "--published", "roth2020"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "names", lambda *_: {published.plain(str(row.run))})
        table = printed(capsys, tmp_path, *settings)
        assert f"| margin | 99.0 (n=1) | {row['mean']:.1f} ± " in table.replace("**", "")
        assert "| tiny | <ins>99.0</ins> (n=1) |  |  |" in table
        assert "not on the data of the literature, by their dataset.counts: tiny (cub200)." in table
        shutil.rmtree(tmp_path / "cub200" / "margin_00000000")
        with pytest.raises(SystemExit, match=r"by their dataset\.counts: tiny"):
            main([str(tmp_path), *settings])


def test_every_published_figure_is_a_whole_row() -> None:
    """A comma without quotes moves the columns of a row, and its figure is never found."""
    for file in sorted(published.FOLDER.glob("*.csv")):
        header, *rows = csv.reader(file.read_text().splitlines())
        assert rows, file.name
        value = header.index("mean" if "mean" in header else "pearson")
        for line, row in enumerate(rows, start=2):
            assert len(row) == len(header), f"{file.name}:{line}"
            assert math.isfinite(float(row[value])), f"{file.name}:{line}"


def test_a_run_that_failed_before_its_first_evaluation_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One job of a sweep was refused by the configuration, another found no data."""
    root = write_study(tmp_path, {"cub200": {"triplet": [0.5, 0.6]}})
    refused = root / "cub200" / "margin_00000001" / "seed0"
    refused.mkdir(parents=True)
    (refused / "output.log").write_text("error: no such key\n")
    write_run(root, "cub200/nca_00000002/seed0", error="no such folder")
    main([str(root), "--metrics", "recall@1"])
    said = capsys.readouterr()
    assert "| triplet |" in said.out
    assert "nca" not in said.out
    for name in ("margin_00000001", "nca_00000002"):
        assert f"cub200/{name}/seed0 (failed before its first evaluation)" in said.err


def test_a_seed_that_failed_at_its_start_is_missing_where_other_rows_have_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_study(tmp_path, {"cub200": {"triplet": [0.5, 0.6], "margin": [0.5]}})
    write_run(root, "cub200/margin_00000001/seed1", error="no such folder")
    with pytest.raises(SystemExit, match=r"missing cub200/margin_00000001/seed1 \(failed before"):
        main([str(root), "--metrics", "recall@1"])
    table = printed(capsys, root, "--metrics", "recall@1", "--allow-missing")
    assert "| margin | <ins>50.0</ins> (n=1) |" in table


def test_a_run_that_failed_after_an_evaluation_is_missing(tmp_path: Path) -> None:
    root = write_study(tmp_path, {"cub200": {"triplet": [0.5, 0.6]}})
    write_run(root, "cub200/nca_00000002/seed0", {"test/recall@1": 0.4}, error="the loss is nan")
    with pytest.raises(SystemExit, match=r"missing cub200/nca_00000002/seed0 \(failed\)"):
        main([str(root), "--metrics", "recall@1"])


def test_the_command_of_a_row_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "cub200/margin_00000000/seed0", {"test/recall@1": 0.6})
    assert UNKNOWN in printed(capsys, tmp_path, "--metrics", "recall@1", "--commands")
