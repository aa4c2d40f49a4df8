"""The documentation site: a page for every choice, complete docstrings, no page out of reach."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_object

from docs.components import (
    ROOT,
    choices,
    classes_of,
    definition,
    differences,
    distance_taken,
    docstring,
    is_owner,
    module_docstring,
    no_distance_because,
    owners,
    required_arguments,
)
from docs.generate_pages import DOCS, GROUPS, Group, differences_page, navigation, pages
from docs.griffe_sections import legible
from engine.config.compose import compose_run
from engine.config.start import check_start
from evaluation.metrics.metric import METRIC_INPUTS, direction_of

TARGETS = sorted(owners())
METRICS = [target for target in TARGETS if owners()[target].group == "metric"]
OF_A_RUN = {"backbone", "criterion"}  # of a method; its base class documents them
COMPONENTS = [target for target in TARGETS if target not in METRICS]


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.group)
def test_every_choice_has_a_page_and_a_row(group: Group, made: dict[str, str]) -> None:
    files = sorted((ROOT / "conf" / group.group).glob("*.yaml"))
    assert len(files) > 4
    for file in files:
        page = made[f"{group.folder}/{file.stem}.md"]
        assert page.startswith(f"# {file.stem}\n")
        assert "python main.py" in page
        assert file.read_text().strip() in page, "its default numbers"
        beside = f"{group.folder}/" if group.written else ""
        assert f"[{file.stem}]({beside}{file.stem}.md)" in made[group.index_page]


def test_every_metric_page_names_its_numbers(made: dict[str, str]) -> None:
    for file in (ROOT / "conf" / "metric").glob("*.yaml"):
        for number in yaml.safe_load(file.read_text()):
            assert f"`{number}`" in made[f"metrics/{file.stem}.md"]


def test_every_definition_is_on_exactly_one_page(made: dict[str, str]) -> None:
    text = "\n".join(made.values())
    for target in TARGETS:
        assert text.count(f"::: {target}\n") == 1, target


@pytest.mark.parametrize("target", COMPONENTS)
def test_a_loss_miner_or_sampler_names_its_source(target: str) -> None:
    source = module_docstring(target).split("\n\n")[0]
    assert source.endswith("."), f"{target}: its module names no source"


@pytest.mark.parametrize("target", TARGETS)
def test_a_docstring_has_a_first_line_and_every_argument(target: str) -> None:
    text = docstring(target)
    assert text.split("\n\n")[0].endswith("."), "the first line says what it does"
    names = re.findall(r"^    ([\w, ]+): ", text, re.MULTILINE)
    documented = {name for line in names for name in line.split(", ")}
    needed = set(bound_arguments(target)) - set(METRIC_INPUTS) - OF_A_RUN
    assert needed <= documented, f"not documented: {needed - documented}"


def bound_arguments(target: str) -> Iterator[str]:
    """What a constructor takes, or a metric besides what it measures."""
    node = definition(target)
    if hasattr(node, "bases"):
        inits = [child for child in node.body if getattr(child, "name", "") == "__init__"]
        if not inits:
            return
        node = inits[0]
    yield from (argument.arg for argument in node.args.args if argument.arg != "self")


@pytest.mark.parametrize("target", METRICS)
def test_a_metric_says_its_range_and_the_direction_that_the_program_uses(target: str) -> None:
    text = " ".join(docstring(target).split())
    assert re.search(r"\bRange\b|\brange\b", text)
    words = {True: "igher is better", False: "ower is better", None: "o better direction"}
    direction = direction_of(set(required_arguments(target)) & set(METRIC_INPUTS))
    assert words.pop(direction) in text
    assert not any(word in text for word in words.values())


def test_metrics_whose_name_means_something_else_elsewhere_say_so() -> None:
    ambiguous = {"map", "map_at_k", "map_c", "map_lim", "precision", "nmi", "recall", "map_at_r"}
    ambiguous |= {"dists", "rho_spectrum", "fnmr", "f1"}
    for choice in choices("metric"):
        if choice.name in ambiguous:
            assert "\n\nElsewhere: " in docstring(choice.targets[0]), choice.name


def test_every_difference_is_a_row() -> None:
    page = differences_page()
    stated = [target for target in COMPONENTS if "Differences:" in docstring(target)]
    assert len(stated) > 3
    for target in stated:
        assert len(differences(docstring(target))) > 0, target
        assert f"[{owners()[target].name}](" in page
    assert "| pytorch-metric-learning | " in page


def test_every_component_says_which_distance_it_takes_or_why_none(
    made: dict[str, str], subtests: pytest.Subtests
) -> None:
    regularizers = classes_of("core.regularizer")
    assert len(regularizers) >= 5
    groups = ("loss", "batchminer")
    compared = [target for target in COMPONENTS if owners()[target].group in groups]
    for target in [*compared, *regularizers]:
        with subtests.test(target):
            parameters = inspect.signature(get_object(target)).parameters
            said = distance_taken(target)
            assert ("distance" in parameters) == (said is not None)
            if said is None:
                said = no_distance_because(target)
            assert said != "", "a sentence `It takes no `distance`: ...`"
            name = owners()[target].name if target in owners() else target.rpartition(".")[2]
            assert f"| [{name}](" in made["distances.md"]


@pytest.mark.parametrize("loss", ["margin", "subcenter_arcface", "multisimilarity"])
def test_the_default_miner_is_the_one_that_is_composed(loss: str) -> None:
    (choice,) = (choice for choice in choices("loss") if choice.name == loss)
    composed = compose_run([f"loss={loss}"], return_hydra_config=True)
    assert choice.default_miner == composed.hydra.runtime.choices["batchminer"]


def test_a_preset_points_to_the_page_of_its_class(made: dict[str, str]) -> None:
    (preset,) = (choice for choice in choices("loss") if choice.name == "subcenter_arcface")
    assert not is_owner(preset)
    page = made["losses/subcenter_arcface.md"]
    assert "[arcface](arcface.md)" in page
    assert page.index("subcenter_arcface.yaml") < page.index("conf/loss/arcface.yaml")


def test_sections_of_a_docstring_become_markdown() -> None:
    text = "One.\n\nDifferences:\n    A: x\n        y\n    B: z\n\nElsewhere: other."
    assert legible(text) == (
        "One.\n\nDifferences:\n    - **A**: x y\n    - **B**: z\n\n**Elsewhere:** other."
    )
    formula_and_argument = "    a_i = b\n\nArgs:\n    k_p: one"
    assert legible(formula_and_argument) == formula_and_argument
    assert legible("Args:\n    k: > 0") == "Args:\n    k: \\> 0"
    assert legible("r_j = `s_k` of https://a.b/c_d") == "r\\_j = `s_k` of https://a.b/c_d"


def test_the_navigation_reaches_every_page_and_no_other(made: dict[str, str]) -> None:
    written = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} | {"tutorial.ipynb"}
    reached = list(leaves(navigation()))
    assert len(reached) == len(set(reached))
    assert set(reached) == written | set(made)


def leaves(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from leaves(child)


def test_the_text_of_the_pages_names_files_and_modules_that_exist() -> None:
    """A path in backticks that begins with a folder of the repository is there."""
    folders = "conf|criteria|batch_mining|docs|engine|evaluation|core|results|scripts|tests"
    path = re.compile(rf"`((?:{folders})/[\w./]+\.(?:py|yaml|md|csv|sh|tex))`")
    texts = [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for text in texts:
        for name in path.findall(text.read_text()):
            if "my_" not in name:
                assert (ROOT / name).exists(), f"{text.name} names {name}"


def test_the_readme_is_short_and_its_rows_are_those_of_the_table() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    tables = [ROOT / "results/omniglot/table.md", ROOT / "results/grocery_store/tuned.md"]
    marks = re.compile(r"[*†]|</?ins>|-convnet|-efficientnet_lite0| \(n=\d\)")
    plain = [line for table in tables for line in marks.sub("", table.read_text()).splitlines()]
    rows = [line for line in readme.splitlines() if "±" in line and line.startswith("| ")]
    assert len(rows) == 11
    assert all(any(line.startswith(row) for line in plain) for row in rows)


@pytest.mark.extended
def test_every_command_of_a_page_is_a_valid_configuration(made: dict[str, str]) -> None:
    """All of the generated pages; of the written ones those without placeholders and options."""
    pattern = re.compile(r"^python main.py ([\w.@/=,\[\] ]+)(?:#.*)?$", re.MULTILINE)
    written = [path.read_text() for path in (ROOT / "README.md", *DOCS.glob("*.md"))]
    pages_and_files = [*made.values(), *written]
    commands = {found.strip() for page in pages_and_files for found in pattern.findall(page)}
    assert len(commands) > 110
    for command in sorted(commands):
        arguments = [word for word in command.split() if not word.startswith("trainer.devices")]
        check_start(compose_run(arguments), arguments)


@pytest.mark.extended
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocs_jupyter")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "losses" / "margin.html").read_text()
    assert "[d - β + margin]₊" in page
    assert "Differences" in page
    assert (tmp_path / "tutorial.html").exists()


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore")
def test_the_tutorial_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(DOCS)}}
    )
    client.execute()
