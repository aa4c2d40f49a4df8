"""Embed a folder of images, a CSV file or a dataset:  python -m scripts.embed run=<run folder> ...

    run=<run folder or checkpoint> images=<folder or file.csv> out=embeddings.parquet
    run=<run folder or checkpoint> [dataset=...] [split=test] out=embeddings.parquet
    [unreadable=skip]       leaves images out that cannot be read, and lists them
    [shard=0/4]             embeds share 0 of 4; torchrun gives each process its share
    [force=true]            replaces a file of other embeddings
    [any other key=value]   of the run, such as trainer.accelerator=cpu evaluation.batch_size=256

Writes a Parquet file with the columns path, label and embedding. The same command again goes on
after an interruption. conf/embed.yaml lists the keys of this command, all others are those of the
run; docs/use_a_model.md explains them.
"""

import sys
from collections.abc import Sequence

from omegaconf import OmegaConf

from engine.config.command import as_typed_and_others
from engine.config.compose import composing
from engine.config.error_line import user_errors_as_one_line
from engine.config.run_name import CONF
from engine.config.values import check_arguments
from engine.embeddings.embed_run import EmbedSettings, embed_run
from engine.run_arguments import own_content, run_and_config

AS_TYPED = ("images", "out")  # paths, which may have characters that mean something to Hydra


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return
    with user_errors_as_one_line(), composing(arguments) as options:
        embed(options.overrides)


def embed(arguments: Sequence[str]) -> None:
    typed, others = as_typed_and_others(arguments, AS_TYPED)
    trained, config = run_and_config(others, own="embed")
    config.merge_with(typed)
    content = own_content(config, map(str, OmegaConf.load(CONF / "embed.yaml")))
    check_arguments("", EmbedSettings, content)
    file = embed_run(trained, config, EmbedSettings(**content), report)
    print(file or "other processes write the rest; the last one writes the file")


def report(done: int, total: int) -> None:
    """Show the progress where a terminal does not show a bar."""
    if not sys.stderr.isatty():
        print(f"embedded {done:,} of {total:,} images", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
