"""Results of an evaluation: the numbers by name."""

Results = dict[str, float | list[float]]

COUNTS = ("num_queries", "num_queries_excluded")
