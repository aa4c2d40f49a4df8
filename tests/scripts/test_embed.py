"""`python -m scripts.embed`: one Parquet file, whatever happened on the way to it."""

import hashlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datasets.digits import digits
from engine.load import load
from scripts.embed import main
from tests.commands import command
from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server

CPU = ("trainer.accelerator=cpu", "trainer.workers=0")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return command(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 23 photos: two class folders, one photo beside them, and other files."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    for number in range(23):
        place = folder / ("" if number == 0 else "cup, blue" if number % 2 else "red/plate")
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(256, size=(20, 20, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.{'png' if number % 3 else 'webp'}")
    (folder / ".thumbnails").mkdir()
    Image.fromarray(pixels).save(folder / ".thumbnails" / "00.png")
    Image.fromarray(pixels).save(folder / "._00.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def embed(run: Path, out: Path, *arguments: str) -> bytes:
    main([f"run={run}", f"out={out}", *CPU, *arguments])
    return out.read_bytes()


def error(run: Path, out: Path, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        embed(run, out, *arguments)
    said = str(ended.value.code)
    assert said.startswith("error: ")
    assert "\n" not in said
    return said


def matrix(file: Path) -> np.ndarray:
    return np.stack(pd.read_parquet(file)["embedding"].tolist())


def test_a_folder_is_one_file(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    embed(run, out, f"images={photos}", "evaluation.batch_size=4", "row_group=6")
    table = pd.read_parquet(out)
    expected = sorted(str(path) for path in photos.rglob("[0-9]*.*") if ".thumb" not in str(path))
    assert table["path"].tolist() == expected
    assert len(table) == 23
    labels = [{"photos": None}.get(Path(p).parent.name, Path(p).parent.name) for p in expected]
    assert [None if pd.isna(label) else label for label in table["label"]] == labels
    assert matrix(out).dtype == np.float32
    own = load(run, device="cpu", batch_size=4).embed(expected)
    assert (matrix(out) == own.numpy()).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "photos"]


def test_the_schema_says_where_the_embeddings_come_from(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    embed(run, out, f"images={photos}", "evaluation.batch_size=4", "row_group=6")
    file = pq.ParquetFile(out)
    groups = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    assert groups == [8, 8, 7], "whole batches"
    said = {key.decode(): value.decode() for key, value in file.schema_arrow.metadata.items()}
    checkpoint = (run / "checkpoints" / "last.pt").read_bytes()
    assert said["run"] == str(run)
    assert said["checkpoint"] == "last.pt"
    assert said["checkpoint_sha256"] == hashlib.sha256(checkpoint).hexdigest()
    assert said["normalized"] == "true"
    size = int(said["embedding_dim"])
    assert (
        str(file.schema_arrow.field("embedding").type) == f"fixed_size_list<element: float>[{size}]"
    )


def test_a_split_has_the_embeddings_of_the_evaluation(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "test.parquet"
    embed(run, out, "split=test", "row_group=112")
    table, test = pd.read_parquet(out), digits().query("split == 'test'")
    assert table["path"].tolist() == test["path"].tolist()
    assert table["label"].tolist() == [str(label) for label in test["label"]]
    assert table["is_query"].dtype == bool
    assert (matrix(out) == load(run, device="cpu").embed(test["path"].tolist()).numpy()).all()


def test_a_csv_file_keeps_its_columns(run: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "some.csv").write_text(
        "price,label,path,is_query\n3.50,,00.webp,true\n04,bowl,red/plate/02.png,0\n"
    )
    out = tmp_path / "out.parquet"
    embed(run, out, f"images={photos}/some.csv")
    table = pd.read_parquet(out)
    assert table["path"].tolist() == [str(photos / "00.webp"), str(photos / "red/plate/02.png")]
    assert table["label"].fillna("-").tolist() == ["-", "bowl"]
    assert table["price"].tolist() == ["3.50", "04"]
    assert table["is_query"].tolist() == [True, False]
    assert table.columns[-1] == "embedding"


@pytest.mark.parametrize("count", [2, 5])
def test_shares_give_the_same_file(run: Path, photos: Path, tmp_path: Path, count: int) -> None:
    small = (f"images={photos}", "evaluation.batch_size=4", "row_group=4")
    whole = embed(run, tmp_path / "whole.parquet", *small)
    out = tmp_path / "shares.parquet"
    for index in range(count):
        assert not out.exists()
        main([f"run={run}", f"out={out}", *CPU, *small, f"shard={index}/{count}"])
    assert out.read_bytes() == whole
    assert not list(tmp_path.glob("*.parts"))


def test_processes_of_torchrun_share_the_work(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = (f"images={photos}", "evaluation.batch_size=4", "row_group=4")
    whole = embed(run, tmp_path / "whole.parquet", *small)
    out = tmp_path / "shares.parquet"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        main([f"run={run}", f"out={out}", "trainer.accelerator=cpu", *small])
    assert out.read_bytes() == whole


def test_a_killed_command_goes_on_and_gives_the_same_file(
    run: Path, runs: Runs, tmp_path: Path
) -> None:
    small = ("evaluation.batch_size=8", "row_group=8", "split=test")
    whole = embed(run, tmp_path / "whole.parquet", *small)
    out, parts = tmp_path / "killed.parquet", tmp_path / "killed.parquet.parts"
    arguments = ("-m", "scripts.embed", f"run={run}", f"out={out}", *CPU, *small)
    pid = runs.server.start(arguments, runs.log)
    while len(list(parts.glob("part-*"))) < 5:
        assert Path(f"/proc/{pid}/exe").exists(), runs.log.read_text()
        time.sleep(0.002)
    os.killpg(pid, signal.SIGKILL)
    assert runs.server.wait() == -signal.SIGKILL
    assert not out.exists()
    written = {part: part.stat().st_mtime_ns for part in parts.glob("part-*")}
    assert 5 <= len(written) < 100
    (parts / "part-000001.parquet").write_bytes(b"half of a part")
    before = {p: t for p, t in written.items() if p.name != "part-000001.parquet"}
    pid = runs.server.start(arguments, runs.log)
    seen: dict[Path, int] = {}
    while not out.exists() and Path(f"/proc/{pid}/exe").exists():
        seen |= {p: p.stat().st_mtime_ns for p in before if p.exists()}
    assert runs.server.wait() == 0, runs.log.read_text()
    assert all(before[part] == seen[part] for part in seen)
    assert out.read_bytes() == whole
    assert not parts.exists()
    assert runs.log.read_text().splitlines()[-1] == str(out)


def test_a_finished_file_is_left_alone_and_another_is_not_replaced(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, small = tmp_path / "out.parquet", (f"images={photos}", "evaluation.batch_size=4")
    first = embed(run, out, *small)
    time_before = out.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr("datasets.image_list.read_image", lambda path: pytest.fail(path))
        embed(run, out, *small)
    assert out.stat().st_mtime_ns == time_before
    (photos / "00.webp").unlink()
    assert "force=true to replace it" in error(run, out, *small)
    assert out.read_bytes() == first
    embed(run, out, *small, "force=true")
    assert len(pd.read_parquet(out)) == 22


def test_parts_of_changed_images_are_embedded_again(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    small = (f"images={photos}", "evaluation.batch_size=4", "row_group=4")
    out = tmp_path / "out.parquet"
    main([f"run={run}", f"out={out}", *CPU, *small, "shard=0/2"])
    Image.new("RGB", (20, 20), "red").save(photos / "00.webp")
    embed(run, out, *small)
    assert out.read_bytes() == embed(run, tmp_path / "fresh.parquet", *small)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_unreadable_image_is_one_line_or_left_out(
    run: Path, photos: Path, tmp_path: Path, workers: str
) -> None:
    small = (
        f"images={photos}",
        "evaluation.batch_size=4",
        "row_group=4",
        f"trainer.workers={workers}",
    )
    out, broken = tmp_path / "out.parquet", photos / "red/plate/10.png"
    whole = embed(run, tmp_path / "whole.parquet", *small)
    broken.write_bytes(b"no image")
    assert f"cannot read the image {broken}: " in error(run, out, *small)
    embed(run, out, *small, "unreadable=skip")
    before, after = pd.read_parquet(tmp_path / "whole.parquet"), pd.read_parquet(out)
    kept = before[before["path"] != str(broken)].reset_index(drop=True)
    assert len(whole)
    assert after["path"].tolist() == kept["path"].tolist()
    assert (np.stack(after["embedding"]) == np.stack(kept["embedding"])).all()
    listed = pd.read_csv(tmp_path / "out.unreadable.csv")
    assert listed["path"].tolist() == [str(broken)]
    assert listed["reason"].str.contains("cannot identify image file").all()


def test_a_missing_image_of_a_csv_file(run: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "some.csv").write_text("path\n00.webp\nnone.png\n")
    source, out = f"images={photos}/some.csv", tmp_path / "out.parquet"
    said = error(run, out, source)
    assert f"1 of 2 images do not exist, the first is {photos}/none.png" in said
    embed(run, out, source, "unreadable=skip")
    assert pd.read_parquet(out)["path"].tolist() == [str(photos / "00.webp")]


def test_a_file_name_that_is_no_text_is_named(run: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "00.webp").rename(photos / "caf\udce9.webp")
    said = error(run, tmp_path / "out.parquet", f"images={photos}")
    assert "caf\\udce9.webp' is not UTF-8; rename the file" in said
    (photos / "caf\udce9.webp").rename(photos / "café.webp")
    embed(run, tmp_path / "out.parquet", f"images={photos}")
    assert str(photos / "café.webp") in set(pd.read_parquet(tmp_path / "out.parquet")["path"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images=none"], "does not exist; images= names a folder of images or a CSV file"),
        (["images={empty}"], "has no images (.jpg, "),
        (["images={twice}"], "names 1 images more than once, the first is"),
        (["images={header}"], "has a header and no rows"),
        (["images={column}"], "lacks the columns ['path']"),
        (["images="], "images"),
        (["split=val", "validation=none"], "has no images of split val"),
        (["split=dev"], "split=dev: must be one of all, train, val, test"),
        (["shard=2/2"], "shard=2/2: must be i/n with 0 <= i < n"),
        (["shard=a"], "shard=a: must be i/n"),
        (["row_group=0"], "row_group=0"),
        (["unreadable=ignore"], "unreadable=ignore"),
        (["imagse=photos"], "'imagse', did you mean 'images'?"),
        (["out=none/out.parquet"], "is no folder; out= names a file in a folder"),
    ],
)
def test_a_wrong_argument_is_one_line(
    run: Path, photos: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    sources = {"twice": "path\n00.webp\n00.webp\n", "header": "path\n", "column": "file\na.png\n"}
    named: dict[str, Any] = {name: photos / f"{name}.csv" for name in sources}
    for name, content in sources.items():
        named[name].write_text(content)
    named["empty"] = tmp_path / "empty"
    named["empty"].mkdir()
    formatted = [argument.format(**named) for argument in arguments]
    with pytest.raises(SystemExit) as ended:
        main([f"run={run}", *CPU, f"out={tmp_path}/out.parquet", *formatted])
    line = str(ended.value.code)
    assert line.startswith("error: ")
    assert said in line
    assert "\n" not in line
    assert not (tmp_path / "out.parquet").exists()


def test_without_arguments_it_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "run=<run folder or checkpoint>" in capsys.readouterr().out
