"""Deprecated name of `python -m scripts.check_protocol`: prints one line and runs it."""

import sys

from scripts.check_protocol import main

if __name__ == "__main__":
    print("scripts.lint_protocol is deprecated; use scripts.check_protocol", file=sys.stderr)
    sys.exit(main(sys.argv[1:]))
