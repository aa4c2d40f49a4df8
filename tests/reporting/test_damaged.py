"""Runs of which a file was cut, emptied, flipped, swapped or moved: named, and the others go on."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from core.files import DamagedFileError
from reporting.readers.run_folders import read_folders
from scripts import aggregate, plot, report
from tests.run_folders import CONFIG, COST, write_run, write_study
from tracking.run_files import read_config
from tracking.run_folder import RunFolder

STUDY = {"cub200": {"a": [0.5, 0.6, 0.7], "b": [0.4, 0.5, 0.6], "c": [0.3, 0.2, 0.1]}}
FILES = ("config.yaml", "status.json", "cost.json", "summary.json", "environment.json")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] + b"\n"),
    "a list": lambda file: file.write_text("[1, 2]\n"),
    "no text": lambda file: file.write_bytes(b"\xff\xfe\x00\x01\n"),
    "no numbers": lambda file: file.write_text(
        '{"seconds": "x", "last": 5, "commit": 1, "loss": 2}\n'
    ),
    "deep": lambda file: file.write_text("[" * 100_000 + "\n"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_study(tmp_path_factory.mktemp("whole") / "runs", STUDY)
    for path in root.glob("*/*/seed*"):
        RunFolder(path).write_json(path / "cost.json", COST)
    return root


@pytest.fixture
def runs(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "runs"))


def table(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    """What the table says, and what is said beside it."""
    aggregate.main([str(root), "--metrics", "recall@1", "--cost"])
    told = capsys.readouterr()
    return told.out, told.err.splitlines()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_the_others_are_tabulated(
    damage: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user tabulates a tree in which a disk damaged one file of one run."""
    for name in FILES:
        copy = Path(shutil.copytree(runs, runs.with_name(f"with {name}")))
        file = copy / "cub200" / "b_00000001" / "seed1" / name
        DAMAGES[damage](file)
        text, (line,) = table(copy, capsys)
        assert "| a | **60.0** ± 10.0" in text
        assert "| b | <ins>50.0</ins> ± 14.1 (n=2)" in text, name
        assert line.startswith((f"left out: {file}: ", f"left out: {file} is damaged (")), name


def test_a_damaged_line_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk damaged a line in the middle of the records of a run, or lost their end."""
    file = runs / "cub200" / "b_00000001" / "seed1" / "metrics.jsonl"
    whole = file.read_bytes()
    for content, reason in (
        (b"{\n" + whole, f"left out: {file}, line 1, is damaged"),
        (whole.replace(b'"epoch"', b'"epoch\\u0000"'), f"left out: {file}, line 1: epoch"),
        (b"", f"left out: {file}: lacks the evaluation that summary.json has"),
    ):
        file.write_bytes(content)
        text, (line,) = table(runs, capsys)
        assert "| b | <ins>50.0</ins> ± 14.1 (n=2)" in text
        assert line.startswith(reason)


def test_report_and_plot_go_on_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user draws the figures of a tree in which one run is damaged."""
    file = runs / "cub200" / "a_00000000" / "seed0" / "summary.json"
    file.write_text("{")
    report.main([str(runs), "--out", str(runs.with_name("report"))])
    plot.main([str(runs), "--out", str(runs.with_name("figures"))])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all(line.startswith(f"left out: {file} is damaged") for line in said)
    page = runs.with_name("report") / "index.html"
    assert f"{file} is damaged" in page.read_text()
    assert '"state":"damaged"' in page.read_text()


def test_flipped_bits_of_any_file_never_stop_the_others(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk flips bits now and then."""
    drawn = random.Random(0)
    small = Path(shutil.copytree(study / "cub200" / "a_00000000", tmp_path / "cub200" / "a"))
    for _ in range(150):
        file = small / "seed1" / drawn.choice([*FILES, "metrics.jsonl"])
        whole = file.read_bytes()
        flipped = bytearray(whole)
        for _ in range(drawn.choice([1, 1, 3])):
            flipped[drawn.randrange(len(flipped))] ^= 1 << drawn.randrange(8)
        file.write_bytes(flipped)
        aggregate.main([str(tmp_path), "--metrics", "recall@1", "--allow-missing"])
        assert "| a | " in capsys.readouterr().out
        file.write_bytes(whole)


def test_files_of_another_kind_are_noticed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user copied the files of a run under the wrong names."""
    folder = runs / "cub200" / "b_00000001" / "seed1"
    shutil.copy(folder / "cost.json", folder / "summary.json")
    text, (line,) = table(runs, capsys)
    assert "| b | <ins>50.0</ins> ± 14.1 (n=2)" in text
    assert line.startswith(f"left out: {folder / 'summary.json'}: last Field required")


@pytest.mark.parametrize(
    ("path", "config", "reason"),
    [
        ("cub200/a_00000000/seed9", {"seed": 0}, "its seed is 0; name the folder seed0 again"),
        ("cars196/a_00000000/seed0", {}, "its dataset is datasets.cub200.cub200, which is not"),
        ("cub200/a_00000000/seed0", {"group": "b"}, "its group is b, which is not that of a_0"),
    ],
)
def test_a_renamed_folder_does_not_count_as_its_name(
    path: str,
    config: dict[str, object],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user copied or renamed the folder of a run, of its group or of its dataset."""
    data = {"dataset": {"_target_": "datasets.cub200.cub200"}}
    for seed in (1, 2):
        name = f"cub200/a_00000000/seed{seed}"
        write_run(tmp_path, name, {"test/recall@1": 0.5}, config=CONFIG | data)
    folder = write_run(tmp_path, path, {"test/recall@1": 0.9})
    content = yaml.safe_load(folder.config.read_text()) | data | config
    folder.config.write_text(yaml.safe_dump(content))
    text, (line,) = table(tmp_path, capsys)
    assert "| a | 50.0 ± 0.0" in text
    assert line.startswith(f"left out: {folder.config}: {reason}")


def test_a_seed_of_another_configuration_does_not_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user moved the run of another configuration into a group; machines may differ."""
    other = {"loss": {"_target_": "criteria.margin.Margin", "beta": 0.6}}
    for seed, change in enumerate([{"trainer": {"workers": 2}}, other, {"trainer": {}}, {}]):
        name = f"cub200/a_00000000/seed{seed}"
        write_run(tmp_path, name, {"test/recall@1": 0.5 + seed}, config={**CONFIG, **change})
    text, (line,) = table(tmp_path, capsys)
    assert "(n=" not in text
    assert "n = 3 seeds (0, 2, 3)" in text
    assert line == (
        "left out: cub200/a_00000000/seed1: another configuration than cub200/a_00000000/seed0: "
        "loss.beta"
    )


def test_a_run_that_says_finished_without_its_summary_is_not(tmp_path: Path) -> None:
    """A user deleted the summary, or the configuration, of a finished run."""
    write_run(tmp_path, "cub200/a_00000000/seed0", {"test/recall@1": 0.5}).summary.unlink()
    write_run(tmp_path, "cub200/a_00000000/seed1", {"test/recall@1": 0.5}).config.unlink()
    first, second = read_folders(tmp_path)
    assert first.state == "interrupted"
    assert (second.state, second.error) == (
        "damaged",
        f"{tmp_path}/cub200/a_00000000/seed1/config.yaml: is missing",
    )


@pytest.mark.parametrize("select_on", ["", "recall@1", None, 5])
def test_a_run_that_selects_on_nothing_does_not_stop_the_others(
    select_on: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run died after its first epoch, for evaluation.select_on named no split."""
    write_run(tmp_path, "cub200/a_00000000/seed0", {"test/recall@1": 0.5})
    config = {**CONFIG, "evaluation": {"select_on": select_on}}
    name = "cub200/b_00000001/seed0"
    write_run(tmp_path, name, {"test/recall@1": 0.4}, config=config, error="IndexError")
    text, (line,) = table(tmp_path, capsys)
    assert "| a | 50.0 (n=1)" in text
    assert f"evaluation.select_on={select_on} is no <split>/<metric>" in line


def test_yaml_that_repeats_itself_without_end_is_no_configuration(tmp_path: Path) -> None:
    """A stranger's configuration of a few lines holds more values than memory does."""
    file = tmp_path / "config.yaml"
    lines = ["a: &a0 [x, x]", *(f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    for text in ("\n".join(lines), "a: &a [*a]", "a: &a {b: *a}"):
        file.write_text(text)
        with pytest.raises(DamagedFileError, match="more than 100,000 values"):
            read_config(file)
