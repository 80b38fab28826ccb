"""How a report writes numbers: short enough to read, with the exact value beside it in the page.

Every function takes a number or None and returns text; `exact` wraps the text in a `data` element whose `value` is the
number as it was read, so what is shown can be checked against the files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

Show = Callable[[Any], str]
NOTHING = "\u2013"  # an en dash
MINUS = "\u2212"
TIMES = "\u00d7"
_PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def count(value: float | None) -> str:
    """Write a whole number with separators: `12,345`."""
    return NOTHING if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """Write a number to three figures with k, M, B or T: `1.23M`."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞" if value < 0 else "not a number"
    for factor, sign in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            return f"{_figures(value / factor)}{sign}"
    return _figures(value) if value != round(value) else f"{value:.0f}"


def size(value: float | None) -> str:
    """Write a number of bytes in decimal units: `3.4 MB`."""
    if value is None:
        return NOTHING
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= factor * 0.9995:
            return f"{_figures(value / factor)} {unit}"
    return f"{value:.0f} B"


def percent(value: float | None) -> str:
    """Write a fraction in per cent: `14.3 %`."""
    if value is None:
        return NOTHING
    return f"{100 * value:.1f} %".replace("-", MINUS)


def whole_percent(value: float | None) -> str:
    """Write a fraction in per cent without needless decimals, as on an axis: `10 %`."""
    return NOTHING if value is None else f"{100 * value:.3g} %"


def loss(value: float | None) -> str:
    """Write a loss, or another number of that size, to three decimals: `2.431`; tiny ones in powers of ten."""
    if value is None or not math.isfinite(value) or not 0.01 <= abs(value) < 1000:
        return scientific(value)
    return f"{value:.3f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """Write a difference with its sign: `+0.0123`."""
    if value is None or not math.isfinite(value):
        return scientific(value)
    if value == 0:
        return "0"
    sign = "+" if value > 0 else ""
    return f"{sign}{scientific(value)}" if abs(value) < 1e-3 else f"{value:+.3g}".replace("-", MINUS)


def difference(value: float | None) -> str:
    """Write a difference of losses with its sign, to four decimals, so that a column of them lines up: `+0.0123`."""
    if value is None or not math.isfinite(value) or abs(value) >= 1000:
        return signed(value)
    return f"{value:+.4f}".replace("-", MINUS)


def scientific(value: float | None) -> str:
    """Write a very large or small number: in powers of ten; others to four figures."""
    if value is None or not math.isfinite(value):
        return NOTHING if value is None or math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    if 1e4 <= abs(value) < 1e5:
        return f"{value:,.0f}".replace("-", MINUS)
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}".replace("-", MINUS)
    mantissa, exponent = f"{value:.2e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.rstrip('0').rstrip('.')} {TIMES} 10{raised}".replace("-", MINUS)


def seconds(value: float | None) -> str:
    """Write a duration: `4.2 s`, `3 min 10 s`, `2 h 5 min`."""
    if value is None:
        return NOTHING
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def text(value: Any) -> str:
    """Write anything as it is."""
    return NOTHING if value is None or value == "" else str(value)


def exact(value: Any, show: Show) -> Markup:
    """Return the shown form with the exact value in the markup."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(show(value))
    return Markup('<data value="{}">{}</data>').format(repr(value), show(value))


def _figures(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:.0f}"
    if magnitude >= 10:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}".rstrip("0").rstrip(".") if magnitude >= 1 else f"{value:.3g}"
