"""List the settings that deviate from a published study, without running anything.

    python -m scripts.check_protocol experiment=roth2020/cub200/margin_b12_distance transform=big
    python -m scripts.check_protocol protocol=roth2020/sop loss=triplet trainer.epochs=50
    python -m scripts.check_protocol against=protocol=roth2020/cub200 loss=triplet backbone=timm

The arguments are those of main.py. `against=` names the study where the command line has neither
`experiment=` nor `protocol=`. The exit code is 1 if anything deviates. main.py prints the same
table before a run.
"""

import sys
from collections.abc import Sequence

from rich.console import Console

from engine.config.check import check
from engine.config.compose import compose_run, composing
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.protocol import ProtocolCheck, check_claimed_protocol, compare, table

AGAINST = "against="


def main(arguments: Sequence[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return 0
    with user_errors_as_one_line():
        claim = lint(arguments)
    if not claim.deviations:
        print(f"as {claim.name}")
        return 0
    Console().print(table(claim))
    return 1


def lint(arguments: Sequence[str]) -> ProtocolCheck:
    """The command line next to the study that it claims, or that `against=` names."""
    own = [argument for argument in arguments if not argument.startswith(AGAINST)]
    names = [a.removeprefix(AGAINST) for a in arguments if a.startswith(AGAINST)]
    config = compose_run(own)
    with composing(own) as parsed:
        check(config, parsed.overrides)
        if names:
            claim: ProtocolCheck | None = compare(config, parsed.overrides, names[-1])
        else:
            claim = check_claimed_protocol(config, parsed.overrides)
    if claim is None:
        raise ConfigurationError("nothing is claimed: add experiment=, protocol= or against=")
    return claim


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
