"""Scales, ticks, numbers and colours of the report's charts."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report import numbers
from analysis.report.answer import beyond, few_runs, verdict
from analysis.report.charts import (
    Axis,
    Band,
    Dot,
    Drawing,
    Interval,
    Line,
    bar_scale,
    interval_bar,
    line_chart,
    stacked_bar,
    ticks,
)
from analysis.report.tables import PALETTE_SIZE, Column, colour_of, name_of, swatch, table
from quality.languages import LANGUAGES

CSS = (Path(__file__).parents[4] / "analysis" / "report" / "page.css").read_text()


@given(st.floats(1e-6, 1e12), st.floats(1.02, 1e9), st.integers(3, 6))
def test_ticks_of_a_log_axis_lie_inside_in_order_and_are_few(low: float, ratio: float, most: int) -> None:
    found = ticks(low, low * ratio, log=True, most=most)
    assert 1 <= len(found) <= most + 1
    assert found == sorted(set(found))
    assert all(low * 0.99 <= value <= low * ratio * 1.01 for value in found)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 6))
def test_ticks_of_a_linear_axis_lie_inside_and_are_round(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, log=False, most=most)
    assert 1 <= len(found) <= most + 1
    slack = 1e-6 * width
    assert all(low - slack <= value <= low + width + slack for value in found)
    steps = {float(f"{b - a:.6g}") for a, b in itertools.pairwise(found)}
    assert max(steps, default=0) - min(steps, default=0) <= 1e-4 * max(steps, default=1)


def test_ticks_known() -> None:
    assert ticks(1e3, 1e6, log=True) == [1e3, 1e4, 1e5, 1e6]
    assert ticks(20_000, 450_000, log=True) == [20_000, 50_000, 100_000, 200_000]
    assert ticks(0, 0.25, log=False) == pytest.approx([0, 0.1, 0.2])


@given(st.lists(st.floats(1e-9, 1e9), min_size=1))
def test_a_bar_scale_holds_all_bars_without_much_room(values: list[float]) -> None:
    top = bar_scale(values)
    assert max(values) * 0.999 <= top <= 2.001 * max(values)


def drawing(points: list[tuple[float, float]], label: str = "a") -> Drawing:
    return Drawing(
        Axis("tokens", log=True),
        Axis("loss"),
        [Line(points, label, "", "<title>")],
        [Band([(x, y - 1, y + 1) for x, y in points])],
        [Dot(x, y, "a & b") for x, y in points],
    )


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(-1e3, 1e3)), min_size=1, max_size=9))
def test_a_line_chart_is_well_formed_and_stays_in_its_frame(points: list[tuple[float, float]]) -> None:
    svg = str(line_chart(drawing(sorted(points)), name="x", description='"<&'))
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == '"<&'
    for circle in root.iter("circle"):
        assert 40 <= float(circle.attrib["cx"]) <= 340
        assert 0 <= float(circle.attrib["cy"]) <= 240
    assert "nan" not in svg


def test_dots_stand_where_the_axes_say() -> None:
    svg = str(line_chart(drawing([(1e3, 1.0), (1e4, 2.0), (1e5, 3.0)], ""), name="x", description=""))
    root = ElementTree.fromstring(svg)
    places = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter("circle")]
    texts = {text.text: text.attrib for text in root.iter("text")}
    for (x, y), tick in zip(places, ("1k", "10k", "100k"), strict=True):
        assert float(texts[tick]["x"]) == pytest.approx(x, abs=0.11)
        assert y == sorted((p[1] for p in places), reverse=True)[places.index((x, y))]
    assert float(texts["2"]["y"]) == pytest.approx(places[1][1], abs=0.11)


def test_labels_keep_their_distance_inside_the_panel() -> None:
    lines = [Line([(1.0, 1.0), (10.0, 1 + i / 1000)], f"l{i}") for i in range(6)]
    svg = str(line_chart(Drawing(Axis("x"), Axis("y"), lines), name="x", description=""))
    places = [float(y) for y in re.findall(r'class="end-label" x="[^"]+" y="([^"]+)"', svg)]
    assert len(places) == 6
    assert min(b - a for a, b in itertools.pairwise(sorted(places))) >= 11.9
    assert max(places) <= 200
    assert min(places) >= 0


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = str(interval_bar(Interval(0.2, 0.1, 0.3), top=0.4, reference=0.25, paired=False, description="d"))
    assert 'width="50.00%"' in svg
    assert 'x1="25.00%" x2="75.00%"' in svg
    assert 'x1="62.50%"' in svg
    bare = str(interval_bar(Interval(0.2), top=0.4, reference=None, paired=True, description="d"))
    assert "whisker" not in bare
    assert "paired" in bare
    stacked = str(stacked_bar([("a", "one", 1), ("b", "none", 0), ("c", "three", 3)], total=8, description="d"))
    assert re.findall(r'x="([^"]+)" width="([^"]+)"', stacked) == [("0.00%", "12.50%"), ("12.50%", "37.50%")]


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (numbers.count, 1234567, "1,234,567"),
        (numbers.short, 999_999, "1M"),
        (numbers.scientific, 13940.2, "13,940"),
        (numbers.scientific, 6.21e20, "6.21 \u00d7 10²⁰"),
        (numbers.difference, -0.00957, "\u22120.0096"),
        (numbers.difference, 0.072, "+0.0720"),
        (numbers.short, 1234, "1.23k"),
        (numbers.short, 0.5, "0.5"),
        (numbers.short, 12, "12"),
        (numbers.short, math.inf, "∞"),
        (numbers.size, 999, "999 B"),
        (numbers.size, 30_500_000, "30.5 MB"),
        (numbers.percent, 1 / 7, "14.3 %"),
        (numbers.percent, -0.01, "\u22121.0 %"),
        (numbers.loss, 1.56, "1.560"),
        (numbers.loss, 1.2e-5, "1.2 \u00d7 10⁻⁵"),
        (numbers.signed, 0.0123, "+0.0123"),
        (numbers.signed, -0.0123, "\u22120.0123"),
        (numbers.signed, 4e-5, "+4 \u00d7 10⁻⁵"),
        (numbers.signed, 0.0, "0"),
        (numbers.scientific, 2.5e15, "2.5 \u00d7 10¹⁵"),
        (numbers.scientific, 0.0, "0"),
        (numbers.seconds, 4.25, "4.2 s"),
        (numbers.seconds, 190, "3 min 10 s"),
        (numbers.seconds, 7500, "2 h 5 min"),
        (numbers.seconds, None, "\u2013"),
    ],
)
def test_numbers_as_people_read_them(show: numbers.Show, value: float, text: str) -> None:
    assert show(value) == text


@given(st.floats(allow_nan=False))
def test_the_exact_number_stands_in_the_markup(value: float) -> None:
    found = re.fullmatch(r'<data value="([^"]+)">.+</data>', numbers.exact(value, numbers.short))
    assert found
    assert float(found[1]) == value


def test_cells_and_names_are_escaped() -> None:
    html = table([{"a": "<b>", "n": 1}, {"a": None, "n": 2}], [Column("a", "<h>"), Column("n", "N", total=True)])
    assert "<b>" not in html
    assert "<h>" not in html
    assert "&lt;b&gt;" in html
    assert '<data value="3">' in html
    assert "<i>" not in swatch("text:<i>")


def test_every_language_has_its_own_colour_and_unknown_sources_have_one_too() -> None:
    assert len({colour_of(name) for name in LANGUAGES}) == min(len(LANGUAGES), PALETTE_SIZE)
    assert colour_of("pair:python-go") == colour_of("go")
    assert colour_of("text:web") == "var(--source-other)"
    assert name_of("pair:python-csharp") == "Python with C#"
    assert name_of("outside") == "outside the registry"


def row(source: str, said: str | None) -> dict[str, str | None]:
    return {"source": source, "verdict": said}


@pytest.mark.parametrize(
    ("said", "gain_low", "words", "standing"),
    [
        ([None, None], None, "without intervals", "open"),
        (["cannot be told apart from uniform"] * 2, 0.1, "do not decide", "open"),
        (["more than uniform", "less than uniform"], -0.1, "more Python and less Go, but whether", "partly"),
        (["more than uniform", "cannot be told apart from uniform"], 0.1, "the other shares cannot", "partly"),
        (["more than uniform", "less than uniform"], 0.1, "These runs support more Python and less Go.", "clear"),
    ],
)
def test_the_verdict_claims_no_more_than_the_intervals(
    said: list[str | None], gain_low: float | None, words: str, standing: str
) -> None:
    headline, found = verdict([row("python", said[0]), row("go", said[1])], gain_low)
    assert words in headline
    assert found == standing


def test_doubtful_intervals_support_nothing() -> None:
    rows = [row("python", "more than uniform"), row("go", "less than uniform")]
    headline, standing = verdict(rows, 0.1, doubtful=True)
    assert headline == "These runs point to more Python and less Go, but do not prove it."
    assert standing == "partly"


def test_few_runs_and_far_answers_are_said() -> None:
    law = {"n_runs": 9, "estimates": dict.fromkeys("abcde", 1.0), "group": "go"}
    law |= {"ranges": {"params": [1e4, 1e6], "tokens": [1e5, 1e7]}}
    assert "as few as 9 for 5 parameters" in few_runs([law])
    assert few_runs([law]).startswith("All 1 laws")
    assert few_runs([{**law, "n_runs": 15}]) == ""
    assert beyond([law], 1e6, {"go": 5e7}) == pytest.approx(5)
    assert beyond([law], 3e6, {"go": 1e6}) == pytest.approx(3)


def palette(scheme: str) -> tuple[list[np.ndarray], np.ndarray]:
    block = CSS.split("prefers-color-scheme: dark")[scheme == "dark"]
    colours = [re.search(rf"--source-{i}: (#[0-9a-f]{{6}})", block) for i in range(PALETTE_SIZE)]
    ground = re.search(r"--ground: (#[0-9a-f]{6})", block)
    assert ground
    assert all(colours)
    return [linear(found[1]) for found in colours if found], linear(ground[1])


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


# Simulation of colour blindness in linear RGB. Source: Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), table 1.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lab(colour: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ colour
    f = np.cbrt(np.clip(xyz / np.array([0.9505, 1.0, 1.089]), 1e-6, None))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_language_colours_differ_for_every_sight(scheme: str, sight: str) -> None:
    colours, _ = palette(scheme)
    seen = [lab(np.clip(np.array(SIGHTS[sight]) @ colour, 0, 1)) for colour in colours]
    close = {
        (i, j): round(float(np.linalg.norm(a - b)))
        for (i, a), (j, b) in itertools.combinations(enumerate(seen), 2)
        if np.linalg.norm(a - b) < 12
    }
    assert close == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_language_colours_stand_out_from_the_ground(scheme: str) -> None:
    colours, ground = palette(scheme)
    weights = np.array([0.2126, 0.7152, 0.0722])
    for colour in colours:
        light = sorted([float(weights @ colour), float(weights @ ground)])
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 3, "WCAG 2.2, 1.4.11"
