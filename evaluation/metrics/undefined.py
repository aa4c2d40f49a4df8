"""Undefined metrics: the error of a metric that has no value on the given data."""


class UndefinedError(ValueError):
    """Undefined metric: the metric has no value on this data; the message is the reason.

    The `Evaluator` reports NaN and logs the reason. A direct call of the metric raises the error.
    """
