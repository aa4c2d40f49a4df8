"""Show a loss, miner, metric or any other choice of conf/: formula, numbers and source.

    python -m scripts.show                      every group with its choices
    python -m scripts.show loss                 every loss in one line
    python -m scripts.show loss=margin          its formula, its numbers and their sources
    python -m scripts.show loss=margin --code   also its code

Nothing is imported or composed, and several groups and choices can be given.
"""

import argparse
import sys
from collections.abc import Sequence

from engine.config.choice_page import page
from engine.config.error_line import user_errors_as_one_line
from engine.config.help import every_group


def main(arguments: Sequence[str]) -> None:
    asked = parser().parse_args(arguments)
    with user_errors_as_one_line():
        pages = [page(word, asked.config_dir, asked.code) for word in asked.words]
        print("\n".join(pages) or every_group(asked.config_dir), end="")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m scripts.show",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = "a group, as loss, or one of its choices, as loss=margin"
    made.add_argument("words", nargs="*", metavar="GROUP[=CHOICE]", help=words)
    made.add_argument("--code", action="store_true", help="print the code of a choice, too")
    own = "a folder with more choices, as for main.py"
    made.add_argument("--config-dir", "-cd", metavar="DIR", help=own)
    return made


if __name__ == "__main__":
    main(sys.argv[1:])
