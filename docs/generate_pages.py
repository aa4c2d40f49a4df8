"""Makes the pages of the site that come from the source, and the navigation: a hook of mkdocs.

One page for each file of conf/loss, conf/batchminer, conf/method, conf/sampler and conf/metric, one
for each module of the API; the definitions themselves are rendered by mkdocstrings from the
docstrings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docs import checklist
from docs.components import (
    ROOT,
    Choice,
    choices,
    classes_of,
    differences,
    distance_taken,
    docstring,
    elsewhere,
    escaped,
    first_paragraph,
    is_owner,
    module_docstring,
    no_distance_because,
    owners,
    parsed,
    required_arguments,
)

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

DOCS = ROOT / "docs"


class Group(NamedTuple):
    """A group of the configuration: its folder on the site and its words there."""

    group: str
    folder: str
    title: str
    intro: str
    written: bool = False  # whether docs/<folder>.md takes the table, in place of an index

    @property
    def index_page(self) -> str:
        """Path of the page that lists the choices."""
        return f"{self.folder}.md" if self.written else f"{self.folder}/index.md"


GROUPS = (
    Group(
        "loss",
        "losses",
        "Losses",
        """\
`loss=margin` chooses a loss and `loss.margin=0.1` changes one of its numbers. Every loss is called
as `loss(embeddings, labels)` or, with the tuples that a miner chose, as
`loss(embeddings, labels, miner(embeddings, labels))`, in plain Python as well as in a run. The
distance and the reducer can be exchanged where a loss lists them as arguments.

A loss with prototypes, proxies or centers of the classes also gives `loss.logits(embeddings)`,
(N, C), whose largest entry predicts the class of an image of a training class. Their start is
`loss.init`, a function of `torch.nn.init`:
`'loss.init={_target_: torch.nn.init.normal_, _partial_: true, std: 0.01}'`.

What other code computes under the same name is listed on one page:
[differences](differences.md).""",
    ),
    Group(
        "batchminer",
        "miners",
        "Miners",
        """\
`batchminer=semihard` chooses the miner. A miner picks pairs or triplets of the batch and returns
their indices. Each loss names a default miner, which the command line overrides; with
`batchminer=none` a loss sees every tuple of the batch.""",
    ),
    Group("method", "methods", "Training methods", intro="", written=True),
    Group(
        "sampler",
        "samplers",
        "Samplers",
        """\
`sampler=balance` chooses the sampler and `sampler.batch_size=112` changes one of its numbers. A
sampler draws the batches, which are lists of image indices. An epoch does not depend on the number
of devices or workers, nor on interruptions. Some samplers need the super-class of each image, the
column `category` of the [dataset](../data.md). Others plan their batches from stored embeddings of
the training images; `sampler.storage.update` and `sampler.storage.refresh_every` say when these
change.""",
    ),
    Group(
        "metric",
        "metrics",
        "Metrics",
        """\
`metric=[recall,nmi,map_at_r]` chooses files of `conf/metric/`; each adds the numbers that its page
lists. All are exact, are computed in bounded memory, and do not depend on the size of the chunks.
The defaults are those of Roth et al. 2020. [How metrics are computed](../evaluating.md) has the
rules that they share: ties, queries with nothing to find, distances, clusters and averages.""",
    ),
)
PACKAGES = {  # package -> what it holds
    "core": "Types, distances, reducers, regularizers, and the kernels that losses share",
    "criteria": "Losses",
    "batch_mining": "Miners",
    "datasampler": "Samplers",
    "methods": "Training methods",
    "architectures": "Backbones",
    "datasets": "Datasets, transforms, validation splits",
    "evaluation": "Metrics, search, clustering",
    "engine": "Training, evaluation, checkpoints, configuration",
    "tracking": "Run folders and loggers",
    "sweeps": "Sweeps and hyperparameter search",
    "retrieval": "Indexes of images: build, change, search",
    "reporting": "Tables, statistics and figures of many runs",
    "benchmarks": "Speed and memory beside other implementations",
}
PAGES_OF = {
    "criteria": "losses",
    "batch_mining": "miners",
    "methods": "methods",
    "datasampler": "samplers",
    "evaluation": "metrics",
}
TABLE = "<!-- the table of all choices is here on the site -->"  # in a written page
API = "api"
WIDE = "---\nhide: [toc]\n---"  # a page that is one table and takes the whole width
FIGURES = {  # folder of the site -> folder of figures
    "assets": "results/omniglot/figures",
    "assets/grocery_store": "results/grocery_store/figures",
}


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages, the figures of results/, and the navigation."""
    from mkdocs.structure.files import File

    for path, content in pages().items():
        if written := files.get_file_from_path(path):
            files.remove(written)
        files.append(File.generated(config, path, content=content))
    for folder, figures in FIGURES.items():
        for figure in sorted((ROOT / figures).glob("*.png")):
            path = f"{folder}/{figure.name}"
            files.append(File.generated(config, path, abs_src_path=str(figure)))
    config.nav = navigation()
    return files


def pages() -> dict[str, str]:
    """Path on the site -> Markdown."""
    made = {}
    for group in GROUPS:
        made[group.index_page] = with_table(group) if group.written else index(group)
        for choice in choices(group.group):
            made[f"{group.folder}/{choice.name}.md"] = page(choice)
    made["losses/differences.md"] = differences_page()
    made["distances.md"] = distances_page()
    made["checklist.md"] = checklist.page()
    made |= dict(api_pages())
    return made


def index(group: Group) -> str:
    """One row for each choice."""
    heads, rows = ["name", "what it does"], []
    heads += ["default miner"] if group.group == "loss" else []
    heads += ["source"] if group.group != "metric" else []
    for choice in choices(group.group):
        row = [link(choice), escaped(choice.summary)]
        row += [f"`{choice.default_miner}`"] if group.group == "loss" else []
        rows.append(row + ([linked(choice.source)] if group.group != "metric" else []))
    parts = [f"# {group.title}", group.intro, table(heads, rows)]
    if group.group == "metric":
        parts += ["## Same name, different number", same_names()]
    else:
        parts.insert(0, WIDE)
    return "\n\n".join(parts) + "\n"


def with_table(group: Group) -> str:
    """The written page of a group, with one row for each choice."""
    rows = [
        [f"[{choice.name}]({group.folder}/{choice.name}.md)", escaped(choice.summary)]
        for choice in choices(group.group)
    ]
    return (
        (DOCS / group.index_page)
        .read_text()
        .replace(TABLE, table(["method", "what it does"], rows))
    )


def page(choice: Choice) -> str:
    """Source, use, definition and numbers of one choice."""
    parts = [f"# {choice.name}"]
    if choice.source and choice.group != "metric":  # a metric names its source in its docstring
        parts.append(f"**Source:** {choice.source}")
    if not is_owner(choice):
        parts.append(escaped(choice.comment))
    parts += ["## Use", f"```bash\n{commands(choice)}\n```"]
    parts += [python_use(choice)] if choice.group != "metric" else [numbers(choice)]
    parts += ["## Definition", *(define(choice, target) for target in choice.targets)]
    if not choice.targets:
        parts.append("There is no class behind it: the loss takes all pairs or triplets.")
    parts += ["## Default numbers", *map(yaml_block, choice.files)]
    return "\n\n".join(part for part in parts if part) + "\n"


def commands(choice: Choice) -> str:
    """Commands that use it; each works unchanged."""
    run = "python main.py dataset=digits"
    if choice.group == "metric":
        beside = "" if choice.name.startswith("recall") else "recall,"  # which selects the epoch
        return f"{run} metric=[{beside}{choice.name}]"
    if choice.group == "sampler":  # the smallest dataset with categories and many classes
        return f"python main.py dataset=omniglot_small sampler={choice.name}"
    if choice.group == "method":  # two streams are the roles of the rows of a table
        own = run.replace("digits", "csv dataset.path=<table>.csv")
        return f"{own if choice.name == 'two_stream' else run} loss=triplet method={choice.name}"
    if choice.group == "batchminer":
        loss = "triplet" if choice.name != "multisimilarity" else "multisimilarity"
        return f"{run} loss={loss} batchminer={choice.name}"
    lines = [f"{run} loss={choice.name}"]
    if choice.default_miner not in ("none", None):
        lines.append(f"{run} loss={choice.name} batchminer=none")
    return "\n".join(lines)


def python_use(choice: Choice) -> str:
    """The lines that use it without the configuration, where plain numbers build it."""
    if not is_owner(choice) or choice.group == "method":
        return ""
    if choice.group == "sampler":
        return sampler_use(choice)
    module, _, name = choice.targets[0].rpartition(".")
    sizes = {"num_classes": "num_classes=100", "embedding_dim": "embedding_dim=128"}
    required = required_arguments(choice.targets[0])
    if not set(required) <= set(sizes):
        return ""
    call = f"{name}({', '.join(sizes[argument] for argument in required)})"
    use = (
        "loss = {}\nloss(embeddings, labels)"
        if choice.group == "loss"
        else ("miner = {}\nloss(embeddings, labels, miner(embeddings, labels))")
    )
    return f"```python\nfrom {module} import {name}\n\n{use.format(call)}\n```"


def sampler_use(choice: Choice) -> str:
    """The lines that use a sampler in a training loop of one's own."""
    module, _, name = choice.targets[0].rpartition(".")
    values = {"seed": "0"} | {
        key: repr(value) for key, value in choice.content.items() if "${" not in str(value)
    }
    arguments = [
        f"{argument}={values[argument]}" if argument in values else argument
        for argument in required_arguments(choice.targets[0])
    ]
    lines = [
        "from torch.utils.data import DataLoader",
        "",
        f"from {module} import {name}",
        "",
        f"sampler = {name}({', '.join(arguments)})",
        "loader = DataLoader(images, batch_sampler=sampler)",
        *storage_use(choice),
        "sampler.set_epoch(epoch)  # before each epoch",
    ]
    return "\n".join(["```python", *lines, "```"])


def storage_use(choice: Choice) -> list[str]:
    """The lines that keep the stored embeddings of a sampler up to date, if it has any."""
    if "storage" not in choice.content:
        return []
    return [
        "sampler.storage.fill(embeddings)  # of all training images in their order, once",
        "sampler.storage.update(indices, embeddings)  # of a batch, after each step",
    ]


def numbers(choice: Choice) -> str:
    """Names under which a metric is recorded."""
    lines = choice.files[0].read_text().splitlines()
    names = [line.partition(":")[0] for line in lines if line and line[0] not in "# "]
    return "It records " + ", ".join(f"`{name}`" for name in names) + "."


def define(choice: Choice, target: str) -> str:
    """The docstring of a class or function, on the page that owns it, else a link to that page."""
    owner = owners()[target]
    if owner is not choice:
        return (
            f"The class is that of [{owner.name}]({owner.name}.md), with other numbers."
            if (choice.group != "metric")
            else f"The function is that of [{owner.name}]({owner.name}.md), with other arguments."
        )
    return f"::: {target}\n    options:\n      heading_level: 3\n      members: []"


def yaml_block(file: Path) -> str:
    return f"`{file.relative_to(ROOT)}`\n\n```yaml\n{file.read_text().strip()}\n```"


def differences_page() -> str:
    """Everything that other code computes under the same name, on one page."""
    rows = [
        [f"[{choice.name}](../{folder}/{choice.name}.md)", who, escaped(what)]
        for group, folder, *_ in GROUPS
        for choice in choices(group)
        if is_owner(choice)
        for target in choice.targets
        for who, what in differences(docstring(target))
    ]
    return "\n\n".join(
        [
            WIDE,
            "# Where others compute something else",
            "The paper is the default. What others compute under the same name, and the option "
            "that gives their number here:",
            table(["loss, miner, method or sampler", "who", "difference"], rows),
        ]
    )


def distances_page() -> str:
    """Which components take a distance, with its default, and why the others take none."""
    parts = [
        WIDE,
        "# Which components take a distance",
        "[Concepts](concepts.md#distances) says what a distance is and how to exchange it. The "
        "tables are made from the signatures and the docstrings.",
    ]
    for title, group, folder in (
        ("Losses", "loss", "losses"),
        ("Miners", "batchminer", "miners"),
    ):
        components = {
            target: f"[{choice.name}]({folder}/{choice.name}.md)"
            for choice in choices(group)
            if is_owner(choice)
            for target in choice.targets[:1]
        }
        parts += [f"## {title}", distances_table(components)]
    own = {
        target: f"[{target.rpartition('.')[2]}]({API}/core/core.regularizer.md)"
        for target in classes_of("core.regularizer")
    }
    return "\n\n".join([*parts, "## Regularizers", distances_table(own)]) + "\n"


def distances_table(components: dict[str, str]) -> str:
    """One row for each target, shown by its link; those that take a distance come first."""
    rows = {target: distance_taken(target) for target in components}
    taking = [[components[t], escaped(said)] for t, said in rows.items() if said is not None]
    others = [
        [components[t], f"takes none. {reason[:1].upper()}{escaped(reason[1:])}".strip()]
        for t, said in rows.items()
        if said is None
        for reason in [no_distance_because(t)]
    ]
    count = f"{len(taking)} of {len(rows)} take a `distance`."
    return f"{count}\n\n{table(['name', 'distance'], taking + others)}"


def same_names() -> str:
    rows = [
        [link(choice), escaped(elsewhere(docstring(target)))]
        for choice in choices("metric")
        if is_owner(choice)
        for target in choice.targets
        if elsewhere(docstring(target))
    ]
    return table(["here", "elsewhere"], rows)


def api_pages() -> Iterator[tuple[str, str]]:
    """One page for each package, with its modules in a table, and one for each module."""
    yield f"{API}/index.md", api_index()
    for package in PACKAGES:
        yield f"{API}/{package}/index.md", package_page(package)
        options = "    options: { show_root_heading: false, show_root_toc_entry: false }"
        for module in modules_of(package):
            yield f"{API}/{package}/{module}.md", f"# {module}\n\n::: {module}\n{options}\n"


def package_page(package: str) -> str:
    parts = [f"# {package}", f"{PACKAGES[package]}."]
    parts += [
        f"Each of the [{group.folder}](../../{group.index_page}) has its own page."
        for group in GROUPS
        if group.folder == PAGES_OF.get(package)
    ]
    rows = [
        [f"[{module}]({module}.md)", escaped(first_paragraph(module_docstring(f"{module}.x")))]
        for module in modules_of(package)
    ]
    return "\n\n".join([*parts, table(["module", "what it holds"], rows)] if rows else parts) + "\n"


def api_index() -> str:
    rows = [[f"[{package}]({package}/index.md)", holds] for package, holds in PACKAGES.items()]
    return (
        "# API reference\n\nImports run one way: `main.py` and `scripts` use `reporting`, "
        "`benchmarks`, `retrieval` and `sweeps`, which use `engine`, `tracking`, the components, "
        "and `core`. The components (`criteria`, `methods`, "
        "`batch_mining`, `datasampler`, `architectures`, `datasets`, `evaluation`) never import "
        "each other and never see the configuration.\n\n"
        + table(["package", "what it holds"], rows)
    )


def modules_of(package: str) -> list[str]:
    """Public modules that define something and have no page of their own among the choices."""
    owned = {target.rpartition(".")[0] for target in owners()}
    found = []
    for file in sorted((ROOT / package).rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if file.name != "__init__.py" and module not in owned and parsed(module).body:
            found.append(module)
    return found


def navigation() -> list[Any]:
    """The tree at the side; it names the pages that exist, so that a new one appears by itself."""
    how_to = sorted((DOCS / "how_to").glob("*.md"), key=lambda path: (path.stem != "index", path))
    additions = [{"Add a component": [f"how_to/{path.name}" for path in how_to]}] if how_to else []
    groups = [
        {
            group.title: [
                group.index_page,
                *(["losses/differences.md"] if group.group == "loss" else []),
                *(f"{group.folder}/{choice.name}.md" for choice in choices(group.group)),
            ]
        }
        for group in GROUPS
    ]
    api = [
        {
            package: [
                f"{API}/{package}/index.md",
                *(f"{API}/{package}/{module}.md" for module in modules_of(package)),
            ]
        }
        for package in PACKAGES
    ]
    return [
        {
            "Home": [
                "index.md",
                "getting_started.md",
                "for_researchers.md",
                "for_engineers.md",
                "for_authors.md",
                "tutorial.ipynb",
                "comparison.md",
            ]
        },
        {
            "How to": [
                "how_to.md",
                *additions,
                "data.md",
                "sweeps.md",
                "results.md",
                "evaluation.md",
                "use_a_model.md",
                "search.md",
                "threshold.md",
                "export.md",
                "hooks.md",
                "fine_tuning.md",
                "trackers.md",
                "devices.md",
                "faults.md",
            ]
        },
        {
            "Concepts": [
                "concepts.md",
                "distances.md",
                "evaluating.md",
                "protocols.md",
                "glossary.md",
                "faq.md",
                "checklist.md",
            ]
        },
        *groups,
        {
            "Results": [
                "gallery.md",
                "omniglot.md",
                "grocery_store.md",
                "benchmarks.md",
                "criteria_speed.md",
                "evaluation_speed.md",
                "training_speed.md",
                "scaling.md",
            ]
        },
        {"API": [f"{API}/index.md", *api]},
    ]


def link(choice: Choice) -> str:
    return f"[{choice.name}]({choice.name}.md)"


def linked(source: str) -> str:
    """A source whose address, at its end, is behind its words."""
    words, comma, address = source.rstrip(".").rpartition(", http")
    return f"[{words}](http{address})" if comma else source


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
