"""Duration: a time span as text."""


def format_duration(seconds: float) -> str:
    """`12 s`, `3:45 min` or `2:05 h`."""
    rounded = round(seconds)
    if rounded < 100:
        return f"{rounded} s"
    minutes, seconds = divmod(rounded, 60)
    if minutes < 100:
        return f"{minutes}:{seconds:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"
