"""Charts as inline SVG: line charts with bands and dots, bars with whiskers, stacked bars. No script, no network.

`line_chart` is a fixed drawing that scales as a whole; `interval_bar` and `stacked_bar` are rows that stretch with
their table cell while their lines keep their width. Colours come from the page's style sheet: a chart names a source
(`--source`), the page gives it one colour everywhere. Everything drawn has a text form: a `title`, an `aria-label`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from analysis.report.numbers import short

_MARGIN_LEFT, _MARGIN_TOP, _MARGIN_BOTTOM = 46, 10, 40
_LABEL_GAP = 12.0


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: What is measured, with its unit.
        log: Logarithmic.
        show: How a tick is written.
    """

    label: str
    log: bool = False
    show: Callable[[float | None], str] = short


@dataclass(frozen=True)
class Line:
    """A line through points, named at its right end.

    Args:
        points: `(x, y)` in data units, in order of x.
        label: Its name in the chart; empty for none.
        style: Extra class: `shade-0` ... `shade-4` from light to dark, `dashed`.
        title: What a pointer resting on it shows.
    """

    points: Sequence[tuple[float, float]]
    label: str = ""
    style: str = ""
    title: str = ""


@dataclass(frozen=True)
class Band:
    """An interval along x.

    Args:
        points: `(x, low, high)` in data units, in order of x.
        style: Extra class.
    """

    points: Sequence[tuple[float, float, float]]
    style: str = ""


@dataclass(frozen=True)
class Dot:
    """A measured point.

    Args:
        x: Data units.
        y: Data units.
        title: What a pointer resting on it shows.
        style: Extra class; `target` draws a ring.
    """

    x: float
    y: float
    title: str
    style: str = ""


@dataclass(frozen=True)
class Scale:
    """Data units to pixels.

    Args:
        low: Smallest value shown.
        high: Largest value shown.
        start: Pixel of `low`.
        end: Pixel of `high`.
        log: Logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; far outside the scale it stops growing."""
        if self.log:
            part = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, -3.0), 4.0) * (self.end - self.start)


def ticks(low: float, high: float, *, log: bool, most: int = 5) -> list[float]:
    """Return round values from low to high, at most `most`, and at least two where the axis allows it."""
    if log and high / low >= 4:
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [
                step * 10.0**power
                for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
                for step in steps
                if low * 0.999 <= step * 10.0**power <= high * 1.001
            ]
            if 2 <= len(found) <= most:
                return found
        powers = [
            10.0**power for power in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        ]
        if len(powers) > most:
            return powers[:: math.ceil(len(powers) / most)]
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [(first + i) * step for i in range(most + 1) if (first + i) * step <= high + step * 1e-9]


def _range(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not finite:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        wider = max((high / low) ** 0.06, 1.05)
        return low / wider, high * wider
    wider = 0.07 * (high - low) or 0.05 * abs(high) or 0.5
    return low - wider, high + wider


@dataclass(frozen=True)
class Drawing:
    """What a line chart draws.

    Args:
        x: The horizontal axis.
        y: The vertical axis.
        lines: Lines, drawn above the bands.
        bands: Bands, drawn first.
        dots: Dots, drawn last.
        y_from: Values that the vertical axis must hold; None for all that is drawn.
    """

    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    bands: Sequence[Band] = ()
    dots: Sequence[Dot] = ()
    y_from: Sequence[float] | None = None


def line_chart(drawing: Drawing, *, name: str, description: str, width: int = 340, height: int = 240) -> Markup:
    """Return a line chart.

    Args:
        drawing: What to draw.
        name: An identifier, unique in the page.
        description: What it shows, in a sentence, for those who cannot see it.
        width: Units of the drawing, which are pixels at its natural size.
        height: The same.
    """
    labelled = any(line.label for line in drawing.lines)
    right = width - (48 if labelled else 12)
    x_values = [p[0] for line in drawing.lines for p in line.points] + [dot.x for dot in drawing.dots]
    y_values = [p[1] for line in drawing.lines for p in line.points] + [dot.y for dot in drawing.dots]
    y_values += [edge for band in drawing.bands for p in band.points for edge in p[1:]]
    x_low, x_high = _range(x_values, log=drawing.x.log)
    y_low, y_high = _range(drawing.y_from or y_values, log=drawing.y.log)
    across = Scale(x_low, x_high, _MARGIN_LEFT, right, drawing.x.log)
    up = Scale(y_low, y_high, height - _MARGIN_BOTTOM, _MARGIN_TOP, drawing.y.log)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, description),
        _frame(drawing, across, up, height, right),
        Markup('<clipPath id="clip-{}"><rect x="{}" y="{}" width="{}" height="{}"/></clipPath>').format(
            name,
            _MARGIN_LEFT,
            _MARGIN_TOP - 4,
            right - _MARGIN_LEFT + 4,
            height - _MARGIN_BOTTOM - _MARGIN_TOP + 8,
        ),
        Markup('<g clip-path="url(#clip-{})">').format(name),
        *(_band(band, across, up) for band in drawing.bands),
        *(_line(line, across, up) for line in drawing.lines),
        *(_dot(dot, across, up) for dot in drawing.dots),
        Markup("</g>"),
        _end_labels(drawing.lines, across, up, height),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def _frame(drawing: Drawing, across: Scale, up: Scale, height: int, right: float) -> Markup:
    bottom = height - _MARGIN_BOTTOM
    parts: list[Markup] = []
    for value in ticks(up.low, up.high, log=drawing.y.log):
        y = _pixel(up(value))
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_MARGIN_LEFT, _pixel(right), y, y)
        )
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" dy="3.5" text-anchor="end">{}</text>').format(
                _MARGIN_LEFT - 5, y, drawing.y.show(value)
            )
        )
    for value in ticks(across.low, across.high, log=drawing.x.log):
        x = _pixel(across(value))
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, bottom, bottom + 4))
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x, bottom + 15, drawing.x.show(value)
            )
        )
    parts.append(
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _MARGIN_LEFT, _pixel(right), bottom, bottom
        )
    )
    parts.append(
        Markup('<text class="axis-label" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _pixel((_MARGIN_LEFT + right) / 2), height - 6, drawing.x.label + (" (log)" if drawing.x.log else "")
        )
    )
    parts.append(
        Markup(
            '<text class="axis-label" transform="translate(10 {}) rotate(-90)" text-anchor="middle">{}</text>'
        ).format(_pixel((_MARGIN_TOP + bottom) / 2), drawing.y.label + (" (log)" if drawing.y.log else ""))
    )
    return Markup("").join(parts)


def _band(band: Band, across: Scale, up: Scale) -> Markup:
    there = [f"{_pixel(across(x))},{_pixel(up(high))}" for x, _, high in band.points]
    back = [f"{_pixel(across(x))},{_pixel(up(low))}" for x, low, _ in reversed(band.points)]
    return Markup('<polygon class="band {}" points="{}"/>').format(band.style, " ".join(there + back))


def _line(line: Line, across: Scale, up: Scale) -> Markup:
    points = " ".join(f"{_pixel(across(x))},{_pixel(up(y))}" for x, y in line.points if math.isfinite(y))
    title = Markup("<title>{}</title>").format(line.title) if line.title else Markup("")
    return Markup('<polyline class="line {}" points="{}">{}</polyline>').format(line.style, points, title)


def _dot(dot: Dot, across: Scale, up: Scale) -> Markup:
    return Markup('<circle class="dot {}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        dot.style, _pixel(across(dot.x)), _pixel(up(dot.y)), 5 if "target" in dot.style else 3, dot.title
    )


def _end_labels(lines: Sequence[Line], across: Scale, up: Scale, height: int) -> Markup:
    named = sorted((up(line.points[-1][1]), across(line.points[-1][0]), line.label) for line in lines if line.label)
    places: list[float] = []
    for y, _, _ in named:
        places.append(max(y, places[-1] + _LABEL_GAP) if places else max(y, _MARGIN_TOP + 4))
    if places and places[-1] > height - _MARGIN_BOTTOM:
        places = _pushed_up(places, height - _MARGIN_BOTTOM)
    return Markup("").join(
        Markup('<text class="end-label" x="{}" y="{}" dy="3.5">{}</text>').format(_pixel(x + 5), _pixel(y), label)
        for y, (_, x, label) in zip(places, named, strict=True)
    )


def _pushed_up(places: list[float], lowest: float) -> list[float]:
    moved: list[float] = []
    for y in reversed(places):
        moved.append(min(y, moved[-1] - _LABEL_GAP) if moved else min(y, lowest))
    return moved[::-1]


def _pixel(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Interval:
    """A value with its interval; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def bar_scale(values: Sequence[float | None]) -> float:
    """Return a round upper end for bars from 0 that holds all values."""
    top = max((value for value in values if value is not None and math.isfinite(value)), default=1.0) or 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(factor * power for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if factor * power >= top * 0.9999)


def interval_bar(interval: Interval, *, top: float, reference: float | None, paired: bool, description: str) -> Markup:
    """Return one bar from 0 with whiskers and a reference line, as wide as its cell.

    Args:
        interval: Length of the bar, and the ends of its whiskers.
        top: The value at the right end.
        reference: Where the reference line stands.
        paired: Draw it as a source of parallel documents.
        description: Its text form.
    """
    parts = [
        Markup('<svg class="bar" width="100%" height="26" role="img" aria-label="{}"><title>{}</title>').format(
            description, description
        ),
        Markup('<rect class="fill{}" x="0" y="5" height="16" width="{}"/>').format(
            " paired" if paired else "", _part(interval.value, top)
        ),
    ]
    if reference is not None:
        parts.append(Markup('<line class="reference" x1="{0}" x2="{0}" y1="0" y2="26"/>').format(_part(reference, top)))
    if interval.low is not None and interval.high is not None:
        low, high = _part(interval.low, top), _part(interval.high, top)
        parts.append(Markup('<line class="halo" x1="{}" x2="{}" y1="13" y2="13"/>').format(low, high))
        parts.append(Markup('<line class="whisker" x1="{}" x2="{}" y1="13" y2="13"/>').format(low, high))
        parts += [Markup('<line class="whisker" x1="{0}" x2="{0}" y1="8" y2="18"/>').format(end) for end in (low, high)]
    return Markup("").join([*parts, Markup("</svg>")])


def bar_axis(top: float, show: Callable[[float | None], str]) -> Markup:
    """Return the axis that belongs below a column of `interval_bar`."""
    values = ticks(0.0, top, log=False, most=4)
    parts = [Markup('<svg class="bar" width="100%" height="18" aria-hidden="true">')]
    for value in values:
        anchor = "start" if value == 0 else "end" if value >= top * 0.97 else "middle"
        parts.append(
            Markup('<text class="tick" x="{}" y="12" text-anchor="{}">{}</text>').format(
                _part(value, top), anchor, show(value)
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def stacked_bar(parts: Sequence[tuple[str, str, float]], *, total: float, description: str) -> Markup:
    """Return one bar made of parts, as wide as its cell.

    Args:
        parts: `(class, name, size)` from left to right.
        total: The size of the whole cell's width.
        description: Its text form.
    """
    drawn: list[Markup] = []
    start = 0.0
    for style, name, part in parts:
        if part > 0:
            drawn.append(
                Markup('<rect class="{}" x="{}" width="{}" y="3" height="14"><title>{}</title></rect>').format(
                    style, _part(start, total), _part(part, total), name
                )
            )
            start += part
    return (
        Markup('<svg class="bar" width="100%" height="20" role="img" aria-label="{}">').format(escape(description))
        + Markup("").join(drawn)
        + Markup("</svg>")
    )


def _part(value: float, total: float) -> str:
    return f"{min(max(100 * value / total, 0.0), 100.0):.2f}%" if total else "0%"
