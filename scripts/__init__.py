import sys

from core.exit_message import end_in_one_line

if sys.argv[0] == "-m":  # python -m scripts.<name>: before its imports, which take seconds
    end_in_one_line()
