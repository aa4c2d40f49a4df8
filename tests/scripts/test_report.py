"""The page of all runs: what is in it, and what a real browser makes of it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reporting.html.page import POINTS, downsample
from scripts.report import main
from tests.run_folders import CONFIG, write_run

EVIL = "</script><b id=evil>"
GROUPS = ("margin_00000000", "triplet_00000001")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ACT = """
<script>
const seen = {};
const rows = (id) => [...document.querySelectorAll(id + " tbody tr")]
  .map((row) => [...row.cells].map((cell) => cell.textContent));
const click = (id, name) => [...document.querySelectorAll(id + " th button")]
  .find((button) => button.textContent === name).click();
const type = (id, text) => {
  const input = document.querySelector(id + " input");
  input.value = text;
  input.dispatchEvent(new Event("input"));
};
const choose = (select, value) => {
  select.value = value;
  select.dispatchEvent(new Event("change"));
};
seen.summary = document.querySelector("#summary").textContent;
seen.results = rows("#results");
seen.rendered = document.querySelector("#results tbody tr").cells[1].innerText;
seen.cut = [document.documentElement, document.querySelector("nav")]
  .map((box) => box.scrollWidth - box.clientWidth);
const axis = (id, anchor) =>
  [...document.querySelectorAll(`${id} svg text[text-anchor=${anchor}]`)];
seen.epochs = axis("#curves", "middle").map((text) => text.textContent);
seen.directions = axis("#spectra", "middle").map((text) => text.textContent);
seen.shares = axis("#spectra", "end").map((text) => text.textContent);
seen.gap = Math.min(...axis("#spectra", "end").map((text) => text.getBoundingClientRect().left))
  - axis("#spectra", "middle").at(-1).getBoundingClientRect().right;
click("#results", "method");
seen.by_method = rows("#results").map((row) => row[0]);
click("#results", "recall@1");
click("#results", "recall@1");
seen.ascending = rows("#results").map((row) => row[0]);
seen.best = [...document.querySelectorAll("#results .best")].length;
type("#runs", "margin failed");
seen.filtered = rows("#runs").map((row) => row.slice(0, 4));
choose(document.querySelector("#reading"), "oracle");
seen.oracle = rows("#results").map((row) => row[1]);
choose(document.querySelector("#reading"), "selected");
seen.selected = document.querySelector("#results .caption").textContent;
const [first, second] = document.querySelectorAll("#differences select");
choose(first, "cub200/margin_00000000/seed0");
choose(second, "cub200/triplet_00000001/seed0");
seen.differences = rows("#differences");
choose(second, "cub200/margin_00000000/seed0");
seen.same = document.querySelector("#differences .body").textContent;
seen.lines = document.querySelectorAll("#curves polyline").length;
document.querySelector("#curves .legend button").click();
seen.fewer_lines = document.querySelectorAll("#curves polyline").length;
seen.spectra = document.querySelectorAll("#spectra polyline").length;
seen.cost = rows("#cost");
seen.failure = document.querySelector("#failures").textContent;
seen.evil = document.getElementById("evil") === null;
const theme = () => document.documentElement.getAttribute("data-theme");
const before = theme();
document.querySelector("#theme").click();
seen.themes = [before, theme()].sort();
document.body.replaceChildren(Object.assign(document.createElement("pre"),
  { textContent: "SEEN" + JSON.stringify(seen) + "NEES" }));
</script>
"""


def write_runs(root: Path) -> Path:
    """Two methods, two seeds; one run failed with a message that is nasty HTML."""
    configs = {
        "margin_00000000": CONFIG,
        "triplet_00000001": {**CONFIG, "paths": {"runs": "/private"}},
    }
    configs["triplet_00000001"]["loss"] = {"_target_": "criteria.triplet.Triplet", "margin": 0.1}
    for number, (group, config) in enumerate(configs.items()):
        for seed in (0, 1):
            recall = 0.6 + number / 10 + seed / 100
            evaluations = [
                {
                    "test/recall@1": recall + gain,
                    "test/rho_spectrum@0": [3.0, 1.0],
                }  # best in the middle
                for gain in (-0.1, 0.05, 0.0)
            ]
            error = f"no memory {EVIL}" if (number, seed) == (0, 1) else None
            name = f"cub200/{group}/seed{seed}"
            write_run(root, name, *evaluations, config=config, error=error)
    return root


@pytest.fixture
def html(tmp_path: Path) -> str:
    main([str(write_runs(tmp_path / "runs")), "--out", str(tmp_path / "out"), "--title", "a<b"])
    return (tmp_path / "out" / "index.html").read_text()


def test_the_page_needs_nothing_else_and_tells_no_place(html: str) -> None:
    links = set(re.findall(r"https?://[^\"'\s]+", html))
    assert links == {"http://www.w3.org/2000/svg"}, "the name of SVG, which nobody fetches"
    assert not re.search(r"<(link|img|iframe)|src=|@import|url\(", html)
    assert "/private" not in html
    assert "<h1>a&lt;b</h1>" in html
    assert html.count("</script>") == 2, "no text of a run ends the element that holds it"


def test_the_data_of_the_page_is_that_of_the_runs(html: str) -> None:
    found = re.search(r'id="data">(.*)</script>', html)
    assert found is not None
    data = json.loads(found[1])
    assert [run["name"] for run in data["runs"]] == [
        f"cub200/{group}/seed{seed}" for group in GROUPS for seed in (0, 1)
    ]
    failed = data["runs"][1]
    assert (failed["state"], failed["error"]) == ("failed", f"RuntimeError: no memory {EVIL}")
    assert failed["spectrum"] == [0.75, 0.25]
    assert failed["history"]["test/recall@1"] == [[1, 0.51], [2, 0.66], [3, 0.61]]
    assert data["tables"]["selected"] is None


def test_long_curves_keep_their_ends() -> None:
    points = list(range(10_000))
    kept = downsample(points)
    assert (len(kept), kept[0], kept[-1]) == (POINTS, 0, 9999)
    assert downsample([1, 2, 3]) == [1, 2, 3]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser shows, and what it shows after some clicks."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    folder = tmp_path_factory.mktemp("report")
    main([str(write_runs(folder / "runs")), "--out", str(folder), "--metrics", "recall@1"])
    page = folder / "index.html"
    page.write_text(page.read_text().replace("</body>", ACT + "</body>"))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    options.append("--window-size=500,900")  # a phone held sideways; as narrow as it goes
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [browser, *options, profile, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search("SEEN(.*)NEES", done.stdout.split("</head>")[-1].split("<body>")[-1])
    assert found is not None, "the script of the page did not run to its end"
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return dict(json.loads(text))


@pytest.mark.extended
def test_a_browser_shows_tables_that_sort_and_filter(seen: dict[str, Any]) -> None:
    assert seen["summary"].startswith("4 runs, 3 finished; 2 methods on cub200; ")
    assert seen["results"] == [["triplet", "70.5 ± 0.7 (2)"], ["margin", "60.0 (1)"]]
    assert seen["by_method"] == ["margin", "triplet"]
    assert seen["ascending"] == ["margin", "triplet"]
    assert seen["best"] == 1
    assert seen["filtered"] == [["cub200", "margin", "1", "failed"]]
    assert seen["oracle"] == ["75.5 ± 0.7 (2)", "65.0 (1)"]
    assert seen["selected"] == "No run has the reading selected."


@pytest.mark.extended
def test_a_narrow_window_cuts_nothing_off_and_axes_are_readable(seen: dict[str, Any]) -> None:
    assert seen["rendered"].split() == ["70.5", "±", "0.7", "(2)"]
    assert seen["cut"] == [0, 0], "of the page and of its navigation"
    assert seen["epochs"] == ["1", "2", "3", "epoch", "test/recall@1"]
    assert seen["directions"] == ["1", "2", "direction", "share of the sum"]
    assert seen["shares"] == ["0.3", "0.4", "0.5", "0.6", "0.7"]
    assert seen["gap"] > 0, "the name of an axis is beside its numbers"


@pytest.mark.extended
def test_a_browser_shows_differences_curves_cost_and_failures(seen: dict[str, Any]) -> None:
    assert seen["differences"] == [
        ["loss._target_", '"criteria.margin.Margin"', '"criteria.triplet.Triplet"'],
        ["loss.beta", "1.2", "(absent)"],
        ["loss.margin", "(absent)", "0.1"],
    ]
    assert "the same" in seen["same"]
    assert (seen["lines"], seen["fewer_lines"], seen["spectra"]) == (2, 1, 2)
    assert seen["cost"][0][:4] == ["cub200", "triplet", "2", "90.0"]
    assert "RuntimeError: no memory </script><b id=evil>" in seen["failure"]
    assert seen["evil"], "a message is text, never markup"
    assert seen["themes"] == ["dark", "light"]
