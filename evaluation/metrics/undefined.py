"""A metric that has no value on the given data says so instead of inventing one."""


class UndefinedError(ValueError):
    """The metric does not exist on this data; the message is the reason.

    An `Evaluation` turns it into NaN and logs the reason, whoever calls a metric directly sees it.
    """
