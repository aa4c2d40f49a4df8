"""Model card: a README of an exported run with its data, protocol, numbers, licences and use.

The header is that of the Hugging Face Hub; Mitchell et al., Model Cards for Model Reporting, 2019,
https://arxiv.org/abs/1810.03993.
"""

from collections.abc import Mapping

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from engine.data.identity import read_recorded_table
from engine.export.exported import Exported, choice
from engine.export.licences import CODE, licences
from engine.export.parity import Parity
from engine.export.usage import usage
from evaluation.results import COUNTS, Results
from tracking.run_files import EnvironmentFile, SummaryFile, read_json

EPOCHS = {  # beginning of the name of a checkpoint -> which epoch it is
    "last": "the last evaluation of the run (reading `last`)",
    "previous": "the last but one checkpoint of the run",
    "best_val_": "the evaluation with the best {metric} on validation images (reading `selected`)",
    "best_test_": "the evaluation with the best {metric} on the **test** images (reading "
    "`oracle`): it looks at the test set, and its numbers are too optimistic",
}
TASK = "image-feature-extraction"  # of the Hugging Face Hub


def model_card(exported: Exported) -> str:
    """The model card in Markdown, with the metadata of the Hugging Face Hub in front."""
    sections = {
        f"# {exported.run}": introduction(exported),
        "## Use": use(exported),
        "## Data": data(exported),
        "## Protocol": protocol(exported),
        "## Numbers": numbers(exported),
        "## Parity": parity(exported.parity, exported.file),
        "## Licences": table(("what", "licence"), licences(exported.config) | {"code": CODE}),
    }
    text = "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items())
    return str(ModelCard(f"---\n{metadata(exported).to_yaml()}\n---\n\n{text}\n"))


def metadata(exported: Exported) -> ModelCardData:
    """Metadata of the Hugging Face Hub, with the numbers of the exported file."""
    results = [
        EvalResult(TASK, exported.evaluated, exported.evaluated, name, value, dataset_split="test")
        for name, value in scalars(exported.parity.exported).items()
        if exported.parity.images == "test"
    ]
    return ModelCardData(
        model_name=exported.run,
        eval_results=results or None,
        license="other",  # that of the data and of the pretrained weights, below
        pipeline_tag=TASK,
        tags=["metric-learning", "image-retrieval", "image-embeddings"],
    )


def introduction(exported: Exported) -> str:
    output = exported.preprocessing["output"]
    dimensions = f"{output['shape'][-1]} dimensions"
    length = " and length one" if output["length_one"] else ""
    shape = " x ".join(map(str, exported.preprocessing["input"]["shape"]))
    return (
        f"`{exported.file}` computes embeddings of {dimensions}{length}: images of one class have "
        f"close embeddings. The input is uint8 RGB, {shape}; the network "
        "normalizes it itself."
    )


def use(exported: Exported) -> str:
    lines = usage(exported.file, exported.preprocessing)
    return (
        f"```python\n{lines}\n```\n\n`preprocessing.json` states the same steps as data. The image "
        "is resized before it is an array, by Pillow with antialiasing; another library changes "
        "pixels and thereby embeddings."
    )


def data(exported: Exported) -> str:
    """The dataset and what its splits hold."""
    text = (
        f"Trained on the train split of `{exported.dataset}`. How well the embeddings tell other "
        "kinds of images apart was not measured."
    )
    images = read_recorded_table(exported.folder)
    if images is None:  # of a run of an earlier version
        return text
    splits = images.groupby("split", sort=False)["label"].agg(["nunique", "size"])
    rows = {str(row.Index): f"{row.nunique:,} | {row.size:,}" for row in splits.itertuples()}
    return f"{text}\n\n{table(('split', 'classes', 'images'), rows)}"


def protocol(exported: Exported) -> str:
    """The settings of the run, its command, and the study that it follows."""
    config = exported.config
    claim = read_json(exported.folder.environment, EnvironmentFile).get("protocol")
    study = "none claimed"
    if claim and claim.get("claim"):
        study = f"`{claim['claim']}`, with {len(claim['differences'])} settings that differ"
    trainer = config["trainer"]
    unit = "iterations" if trainer["iterations"] else "epochs"
    rows = {
        "command": f"`{exported.command}`",
        "published study": study,
        "loss": choice(config["loss"]),
        "miner": choice(config["batchminer"]),
        "sampler": choice(config["sampler"]),
        "backbone": str(config["backbone"].get("model_name") or choice(config["backbone"])),
        "length": f"{trainer[unit]} {unit}",
        "precision": str(trainer["precision"]),
        "seed": str(config["seed"]),
    }
    return f"{table(('setting', 'value'), rows)}\n\n`config.yaml` has every setting."


def numbers(exported: Exported) -> str:
    """The numbers of the exported file, else those of the run, with the choice of their epoch."""
    checkpoint, compared = exported.embedder.run.checkpoint.stem, exported.parity
    intro = f"The weights are those after optimizer step {exported.step}: {epoch_of(checkpoint)}."
    if compared.exported:
        rows = scalars(compared.exported)
        measured = f"The numbers are those of `{exported.file}` on the {compared.images} split of "
        measured += f"`{exported.evaluated}`"
    else:
        summary = read_json(exported.folder.summary, SummaryFile)
        last = summary.get("last", {}) if checkpoint == "last" else {}
        rows = scalars({k.removeprefix("test/"): v for k, v in last.items() if k[:5] == "test/"})
        measured = "The numbers are those that the run recorded on its test split"
    if not rows:
        return f"{intro} Nothing was measured with these weights."
    shown = {name: f"{value:.4f}" for name, value in rows.items()}
    return f"{intro} {measured}, of one seed.\n\n{table(('metric', 'value'), shown)}"


def epoch_of(checkpoint: str) -> str:
    """Which epoch a checkpoint holds."""
    for beginning, text in EPOCHS.items():
        if checkpoint.startswith(beginning):
            return text.format(metric=checkpoint.removeprefix(beginning))
    return f"the checkpoint {checkpoint}"


def parity(compared: Parity, file: str) -> str:
    """The largest difference from the run, and its effect on the metrics."""
    text = (
        f"A component of an embedding of `{file}` differs from the run's by at most "
        f"{compared.largest_difference:.1e}, on {compared.num_images} {compared.images} images."
    )
    rows = {
        name: f"{value:.4f} | {float(other):.4f}"
        for name, value in scalars(compared.run).items()
        for other in [scalars(compared.exported)[name]]
    }
    return f"{text}\n\n{table(('metric', 'run', 'file'), rows)}" if rows else text


def scalars(results: Results) -> dict[str, float]:
    """The metrics that are one number, without the numbers of queries."""
    return {
        name: float(value)
        for name, value in results.items()
        if name not in COUNTS and isinstance(value, int | float)
    }


def table(heads: tuple[str, ...], rows: Mapping[str, str]) -> str:
    """A Markdown table; a value may hold several cells."""
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])
