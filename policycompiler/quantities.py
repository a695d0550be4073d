"""Numbers for people, in every sentence, table and description; machines keep seconds and bytes."""

from __future__ import annotations

import math

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
ENDLESS = "endless"
_MOST_PLACES = 12
_SIZES = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def duration(seconds: float) -> str:
    """Seconds for people: `0.3 s`, `1 min 30 s`, `2 h 24 min`; exact to a thousandth of a second."""
    if seconds < 1:
        return f"{seconds:.3g} s"
    rest: float = round(seconds, 3)
    parts = []
    for seconds_each, unit in _UNITS:
        count, rest = divmod(rest, seconds_each)
        if count:
            parts.append(f"{int(count)} {unit}")
    rest = round(rest, 3)
    if rest or not parts:
        parts.append(f"{number(rest)} s")
    return " ".join(parts)


def written(seconds: float) -> str:
    """Seconds as a workload writes them: `300ms`, `90s`, `5m`, `1h 30m`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    return duration(seconds).replace(" min", "m").replace(" h", "h").replace(" d", "d").replace(" s", "s")


def figure(value: float, digits: int = 4) -> str:
    """A number with so many digits and without an exponent: `13.4`, `0.000579`, `1,250`."""
    if value in (0, math.inf):
        return "0" if not value else ENDLESS
    places = min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), _MOST_PLACES)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: float) -> str:
    """A share for people; never rounded down to nothing or up to the whole."""
    if math.isinf(value):
        return ENDLESS
    whole = round(value * 100)
    if not whole and value:
        return "under 1%"
    return "over 99%" if whole == 100 and value < 1 else f"{whole}%"  # noqa: PLR2004


def counted(count: float, noun: str) -> str:
    """A number with its noun: `1 slot`, `1,432 slots`, `2 processes`."""
    plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{figure(count)} {noun}{plural}"


def number(value: float) -> str:
    """A number without a needless `.0`."""
    return str(int(value)) if value == int(value) else str(value)


def share(value: float) -> str:
    """A share for people: `5%`, `99.95%`; never rounded up to the whole."""
    return f"{100 * value:.10g}%"


def size(count: int) -> str:
    """Bytes for people: `1.5 GiB`."""
    for unit, least in _SIZES:
        if count >= least:
            # Three digits, but never `1.02e+03`.
            return f"{count / least:.{3 if count < 1000 * least else 4}g} {unit}"
    return f"{count} B"
