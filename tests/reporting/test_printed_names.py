"""Rows and columns as papers print them, and the structure of the LaTeX table around them."""

import re
from pathlib import Path

import pytest

from core.errors import UserError
from engine.config.run_name import CONF
from reporting.names import NO_NAMES, names, printed, read_names, row_name, with_printed_names
from reporting.rows import of_rows
from reporting.run import Run, labels
from reporting.table import Cell, Column, Table
from reporting.writers import latex
from scripts.aggregate import main
from tests.run_folders import write_study

STUDY = {
    "cub200": {
        "proxy_anchor-convnet": [0.62, 0.63, 0.64],
        "triplet-distance-convnet": [0.60, 0.61, 0.62],
        "triplet-semihard-convnet": [0.50, 0.51, 0.53],
        "mine": [0.41, 0.40, 0.41],
    }
}


def test_every_printed_name_is_of_a_choice_and_its_own() -> None:
    """A choice that is not in names.yaml keeps its plain name."""
    for group in ("loss", "batchminer", "backbone", "method", "sampler", "dataset"):
        choices = {file.stem for file in (CONF / group).glob("*.yaml")} | {"untrained"}
        assert set(names()[group]) <= choices, group
        shown = list(names()[group].values())
        assert len(set(shown)) == len(shown), group


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("proxy_anchor-convnet", "Proxy Anchor"),
        ("triplet-distance-convnet", "Triplet (distance-weighted)"),
        ("triplet-convnet-fixed_triplets", "Triplet (fixed triplets)"),
        (
            "margin-distance-resnet50-classifier [beta=0.6]",
            "Margin (distance-weighted, classifier, beta=0.6)",
        ),
        (
            "triplet-distance-convnet [sampler=greedy_coreset, softened=True]",
            "Triplet (distance-weighted, greedy coreset, softened=True)",
        ),
        ("softmax+center", "softmax+center"),
        ("roth2020_margin_b12_distance", "roth2020_margin_b12_distance"),
        ("convnet-triplet", "convnet-triplet"),
        ("triplet-unknown-convnet", "triplet-unknown-convnet"),
        ("", ""),
    ],
)
def test_a_row_is_named_by_its_choices(label: str, expected: str) -> None:
    assert row_name(label, NO_NAMES, with_backbone=False) == expected


def test_metrics_and_datasets() -> None:
    metrics = ["recall@1", "recall@1000", "map@r", "map@10", "nmi", "rho_spectrum@2", "of_mine"]
    expected = ["Recall@1", "Recall@1000", "MAP@R", "mAP@10", "NMI", "ρ", "of_mine"]
    assert [printed("metric", name) for name in metrics] == expected
    assert printed("dataset", "cub200") == "CUB200-2011"


def table_of(*rows: str, columns: int = 1) -> Table:
    made = [
        Column("sop", f"recall@{k + 1}", {row: Cell(50.0) for row in rows}) for k in range(columns)
    ]
    return Table(["One"], list(rows), made, ["Two."], title="Title", legend="Legend")


def test_a_backbone_is_in_the_rows_only_where_rows_have_several() -> None:
    one = with_printed_names(table_of("triplet-convnet", "margin-convnet", "mine"))
    assert one.rows == ["Triplet", "Margin", "mine"]
    assert one.notes == ["Two.", "Backbone: ConvNet"]
    assert set(one.columns[0].cells) == set(one.rows)
    two = with_printed_names(table_of("triplet-convnet", "triplet-resnet50"))
    assert two.rows == ["Triplet (ConvNet)", "Triplet (ResNet-50)"]
    assert two.notes == ["Two."]


def test_rows_that_would_have_one_name_keep_their_own() -> None:
    own = {"mine": "Triplet"}
    assert with_printed_names(table_of("triplet-convnet", "mine"), own).rows == [
        "triplet-convnet",
        "mine",
    ]


# Names of the user's own


def test_names_of_the_user_win(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "names.csv"
    file.write_text('triplet,FaceNet\n\nmine,"Ours, 100 %"\nrecall@1,R@1\nconvnet,Small\n')
    root = write_study(tmp_path / "runs", STUDY)
    command = [str(root), "--metrics", "recall@1", "--names", str(file)]
    main([*command, "--format", "latex"])
    text = capsys.readouterr().out
    for part in (r"Ours, 100 \% &", "FaceNet (semi-hard) &", "R@1 on CUB200-2011", "Small."):
        assert part in text
    main(command)
    assert "| Ours, 100 % |" in capsys.readouterr().out
    main([*command, "--format", "csv"])
    assert "\nmine,cub200,recall@1" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["a\n", "a,b,c\n", "a,\n"])
def test_a_file_of_names_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=r"names.csv, line 1: expected a plain name, a comma"):
        read_names(file)
    with pytest.raises(UserError, match=r"none.csv cannot be read"):
        read_names(tmp_path / "none.csv")


# LaTeX


@pytest.mark.parametrize("columns", [1, 3, 4, 9])
def test_a_wide_table_spans_the_page_in_small_print(columns: int) -> None:
    text = latex.render(table_of("a", "b", columns=columns))
    assert (r"\begin{table*}[t]" in text) == (r"\small" in text.splitlines()[2]) == (columns > 3)
    assert environments(text)
    cells = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.count("&") for line in cells] == [columns] * 3


def environments(text: str) -> bool:
    """Whether each begin has its end in the right order, and braces are balanced."""
    open_ones: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", text):
        if kind == "begin":
            open_ones.append(name)
        elif not open_ones or open_ones.pop() != name:
            return False
    bare = re.sub(r"\\[{}]", "", text)
    return not open_ones and bare.count("{") == bare.count("}")


def test_the_caption_is_short_and_the_details_are_below() -> None:
    text = latex.render(table_of("a", "b"))
    assert r"\caption[Title]{Title. Legend.}" in text
    assert text.index("One. Two.") > text.index(r"\end{tabular}")
    closed = latex.render(Table([], ["a"], [], title="x [y]"))
    assert r"\caption[x [y{]}]{x [y].}" in closed


# Choice of rows


def test_rows_are_chosen_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_study(tmp_path, STUDY)
    command = [str(root), "--metrics", "recall@1"]
    main([*command, "--rows", "triplet*", "mine"])
    text = capsys.readouterr().out
    rows = re.findall(r"^\| (\S+) \| (\S+)", text, re.MULTILINE)[1:]
    assert rows == [
        ("triplet-distance-convnet", "**61.0**"),
        ("triplet-semihard-convnet", "<ins>51.3</ins>"),
        ("mine", "40.7"),
    ]
    with pytest.raises(SystemExit, match=r"no row matches margin\*; there is mine, proxy_anchor-"):
        main([*command, "--rows", "mine", "margin*"])


def test_the_first_rows_keep_the_marks_among_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_study(tmp_path, STUDY)
    main([str(root), "--metrics", "recall@1", "--top", "2", "--commands"])
    text = capsys.readouterr().out
    assert "First 2 of 4 rows, which all take part in the marks." in text
    assert len(re.findall(r"^\| .*±", text, re.MULTILINE)) == 2
    assert len(text[text.index("```bash") :].splitlines()) == 4
    with pytest.raises(SystemExit):
        main([str(root), "--top", "0"])


def test_a_component_of_another_class_is_one_difference() -> None:
    """A study of samplers: 17 rows that differ in 25 keys."""

    def run(number: int, sampler: dict[str, object]) -> Run:
        return Run("d", f"triplet_{number:08x}", 0, config={"sampler": sampler})

    coreset = {
        "_target_": "datasampler.greedy_coreset.GreedyCoreset",
        "storage": {"_target_": "datasampler.planning.stored_embeddings.StoredEmbeddings"},
        "big_batch_size": 512,
        "softened": False,
    }
    runs = [
        run(0, {"_target_": "datasampler.balance.Balance", "samples_per_class": 4}),
        run(1, coreset),
        run(2, {**coreset, "softened": True}),
    ]
    assert list(labels(runs).values()) == [
        "triplet [sampler=balance]",
        "triplet [sampler=greedy_coreset, softened=False]",
        "triplet [sampler=greedy_coreset, softened=True]",
    ]
    assert of_rows(runs, ["*greedy*"]) == runs[1:]
    classes = ("Lp", "SNR")
    distances = [
        Run(
            "d",
            f"snr_{number:08x}",
            0,
            config={"loss": {"distance": {"_target_": f"core.distance.{name}"}}},
        )
        for number, name in enumerate(classes)
    ]
    assert list(labels(distances).values()) == ["snr [distance=Lp]", "snr [distance=SNR]"]
