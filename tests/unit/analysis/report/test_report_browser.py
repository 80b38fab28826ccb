"""The page in a real browser: no errors, no requests, fit for narrow screens, readable in light and dark, usable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_turn import PARAMS, TOKENS

from analysis.allocate import allocate
from analysis.report.page import report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here; `apt-get install chromium`")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
]


class Tab:
    """One tab of a browser that is driven over its debugging pipe (file descriptors 3 and 4)."""

    def __init__(self, profile: Path) -> None:
        assert BROWSER is not None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.writer, self.reader = os.fdopen(ours_out, "wb"), os.fdopen(ours_in, "rb")
        self.number = 0
        self.session = ""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.writer.write(json.dumps(message).encode() + b"\0")
        self.writer.flush()
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def read(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.reader.read(1)) != b"\0":
            assert byte, "the browser ended"
            data += byte
        return json.loads(data)

    def open(self, path: Path) -> None:
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.read())
        time.sleep(0.2)
        self.run("0")

    def run(self, script: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def of(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        self.writer.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.close()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory, page_file: Path) -> Iterator[Tab]:
    opened = Tab(tmp_path_factory.mktemp("profile"))
    try:
        opened.open(page_file)
        yield opened
    finally:
        opened.close()


def test_no_errors_and_no_requests(tab: Tab) -> None:
    assert tab.of("Runtime.exceptionThrown") == []
    assert tab.of("Runtime.consoleAPICalled") == []
    assert [entry["entry"]["text"] for entry in tab.of("Log.entryAdded")] == []
    asked = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1


def test_nothing_from_outside_ran(tab: Tab) -> None:
    assert tab.run("document.title").endswith("turn 0")
    assert tab.run("document.querySelectorAll('img, iframe, object, embed, script').length") == 1


def test_key_texts_are_visible(tab: Tab) -> None:
    seen = tab.run("document.body.innerText")
    for text in ("The answer", "apart from uniform", "Where every file went", "The proved pairs", "Loss curves"):
        assert text in seen
    known = tab.run(
        "[...document.querySelectorAll('#laws td[data-column=known]')].map(cell => cell.textContent).join()"
    )
    assert "not identified" in known or "the ends differ" in known


def test_no_table_is_cut_off_on_a_desktop(tab: Tab) -> None:
    wide = """
        [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth + 1)
            .map(box => box.getAttribute('aria-label'))
    """
    tab.send("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    tab.run("document.querySelectorAll('details.more').forEach(more => { more.open = true; })")
    assert tab.run(wide) == []
    tab.run("document.querySelectorAll('details.more').forEach(more => { more.open = false; })")
    tab.send("Emulation.clearDeviceMetricsOverride")


def test_charts_are_drawn_and_stay_in_their_frames(tab: Tab) -> None:
    assert tab.run("document.querySelectorAll('svg.chart').length") == 7 + 3 * 7
    outside = """
        [...document.querySelectorAll('svg.chart text')].filter(text => {
            const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
            return inner.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1 ||
                inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
        }).map(text => text.textContent)
    """
    assert tab.run(outside) == []


def test_labels_of_a_chart_do_not_overlap(tab: Tab) -> None:
    overlapping = """
        [...document.querySelectorAll('svg.chart')].flatMap(chart => {
            const boxes = [...chart.querySelectorAll('.tick, .end-label')].map(text =>
                [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width);
            return boxes.flatMap(([name, a], i) => boxes.slice(i + 1).filter(([, b]) =>
                Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
                Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4).map(([other]) => [name, other]));
        })
    """
    assert tab.run(overlapping) == []


def test_tables_sort_by_their_headings(tab: Tab) -> None:
    tab.run("window.sorted = document.querySelector('[data-query=report_corpus]')")
    values = "[...sorted.tBodies[0].rows].map(row => +row.querySelector('[data-column=bytes]').dataset.sort)"
    click = "[...sorted.querySelectorAll('th button')].find(b => b.textContent === 'Bytes').click()"
    tab.run(click)
    assert tab.run(values) == sorted(tab.run(values), reverse=True)
    tab.run(click)
    assert tab.run(values) == sorted(tab.run(values))
    assert tab.run("sorted.querySelector('[aria-sort]').getAttribute('aria-sort')") == "ascending"


def test_pairs_are_filtered_by_language_and_name(tab: Tab) -> None:
    shown = "[...document.querySelectorAll('.pair')].filter(pair => !pair.hidden).length"
    choose = "(() => { const e = document.getElementById('%s'); e.value = '%s'; e.dispatchEvent(new Event('%s')); })()"
    assert tab.run(shown) == 24
    tab.run(choose % ("pair-language", "rust", "change"))
    assert tab.run(shown) == 4
    tab.run(choose % ("pair-text", "NAME_23", "input"))
    assert tab.run(shown) == 1
    assert tab.run("document.getElementById('pair-count').textContent") == "1 of 24"
    tab.run(choose % ("pair-text", "", "input"))
    tab.run(choose % ("pair-language", "", "change"))


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_width_scrolls_sideways(tab: Tab, width: int) -> None:
    tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    tab.run("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_text_can_be_read_on_its_ground_in_light_and_dark(tab: Tab) -> None:
    for scheme in ("light", "dark"):
        tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        poor = tab.run(CONTRAST)
        assert poor == [], scheme
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"


CONTRAST = """
(() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (colour.startsWith('rgb(')) return parts(colour);
        }
        return [255, 255, 255];
    };
    const poor = new Set();
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || ['SCRIPT', 'TITLE', 'title', 'OPTION'].includes(element.tagName)) continue;
        const style = getComputedStyle(element);
        const ink = parts(element instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) poor.add(`${element.tagName}.${element.getAttribute('class')}`);
    }
    return [...poor];
})()
"""


def test_code_shown_with_an_earlier_pair_is_filled_in_where_it_is_opened(
    tab: Tab, page_file: Path, turn: Path, tmp_path: Path
) -> None:
    shutil.copytree(turn / "pairs", tmp_path / "pairs")
    path = tmp_path / "pairs" / "pairs.parquet"
    rows = [{**row, "left_code": "def same(): return 1"} for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    tab.open(report(tmp_path, tmp_path / "r.html"))
    try:
        assert tab.run("document.querySelectorAll('#pair-3 pre').length") == 1
        tab.run("document.getElementById('pair-3').open = true")
        time.sleep(0.2)
        assert tab.run("document.querySelector('#pair-3 pre').textContent") == "def same(): return 1"
        assert tab.run("document.querySelectorAll('#pair-3 pre').length") == 2
        assert tab.run("document.querySelectorAll('[id=code-1-left]').length") == 1
    finally:
        tab.open(page_file)


WHAT_IF = """
(settings => {
    const type = (field, value) => { field.value = value; field.dispatchEvent(new Event('input')); };
    type(document.getElementById('whatif-budget'), settings.budget);
    for (const [id, weight] of Object.entries(settings.weights))
        type(document.querySelector(`[data-language=${id}] .weight`), weight);
    for (const [id, unique] of Object.entries(settings.unique))
        type(document.querySelector(`[data-language=${id}] .unique`), unique);
})(%s)
"""
SHARES = (
    "Object.fromEntries([...document.querySelectorAll('.whatif [data-language]')]"
    ".map(row => [row.dataset.language, +row.dataset.share]))"
)


def what_if(tab: Tab, budget: str, weights: dict[str, Any], unique: dict[str, Any]) -> dict[str, float]:
    tab.run(WHAT_IF % json.dumps({"budget": budget, "weights": weights, "unique": unique}))
    time.sleep(0.6)
    return tab.run(SHARES)


def test_what_if_computes_what_allocate_computes(tab: Tab, turn: Path) -> None:
    fits = turn / "laws" / "fits.jsonl"
    expected = allocate(fits, tokens=TOKENS, params=PARAMS)
    shown = tab.run(SHARES)
    assert shown == pytest.approx(expected["shares"], abs=2e-6)
    assert float(tab.run("document.getElementById('whatif').dataset.gain")) == pytest.approx(expected["gain"], rel=1e-5)
    weights = dict.fromkeys(expected["shares"], 1.0) | {"python": 3.0, "go": 0.5}
    supply = dict.fromkeys(expected["shares"], 1e6) | {"rust": 1e5}
    again = allocate(fits, tokens=6e6, params=PARAMS, weights=weights, supply=supply)
    shown = what_if(tab, "6M", weights, {name: f"{count:g}" for name, count in supply.items()})
    assert shown == pytest.approx(again["shares"], abs=2e-6)
    assert float(tab.run("document.getElementById('whatif').dataset.gain")) == pytest.approx(again["gain"], rel=1e-5)
    low, high = again["intervals"]["shares"]["python"]
    cells = tab.run("['low', 'high'].map(n => document.querySelector(`[data-language=python] .${n}`).textContent)")
    assert cells == [f"{100 * low:.1f} %", f"{100 * high:.1f} %"]
    tab.run("document.getElementById('whatif-reset').click()")
    assert tab.run(SHARES) == pytest.approx(expected["shares"], abs=2e-6)


def test_what_if_holds_what_the_answer_held(tab: Tab, page_file: Path, turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn, tmp_path / "turn")
    fits = turn / "laws" / "fits.jsonl"
    limits: dict[str, Any] = {
        "floors": {"rust": 0.3},
        "fixed": {"python": 0.05, "pair:python-go": 0.1, "text:docs": 0.1},
    }
    expected = allocate(fits, tokens=TOKENS, params=PARAMS, **limits)
    (tmp_path / "turn" / "allocation" / "allocation.json").write_text(json.dumps(expected))
    tab.open(report(tmp_path / "turn", tmp_path / "r.html"))
    try:
        own = {row["language"]: row["share"] for row in expected["by_language"]}
        assert tab.run(SHARES) == pytest.approx(own, abs=2e-6)
        gain = "document.getElementById('whatif').dataset.gain"
        assert float(tab.run(gain)) == pytest.approx(expected["gain"], rel=1e-4)
        again = allocate(fits, tokens=9e6, params=PARAMS, **limits)
        assert what_if(tab, "9M", {}, {}) == pytest.approx(
            {row["language"]: row["share"] for row in again["by_language"]}, abs=2e-6
        )
        what_if(tab, "9M", {}, {"rust": "10k"})
        assert "too little Rust" in tab.run("document.getElementById('whatif-words').textContent")
    finally:
        tab.open(page_file)


def test_what_if_says_what_it_cannot_do(tab: Tab) -> None:
    words = "document.getElementById('whatif-words').textContent"
    what_if(tab, "many", {}, {})
    assert "A number above 0 is missing" in tab.run(words)
    assert tab.run("document.getElementById('whatif-budget').getAttribute('aria-invalid')") == "true"
    what_if(tab, "4M", {}, dict.fromkeys(("python", "java", "javascript", "typescript", "csharp", "go", "rust"), "10k"))
    assert "There are 280k tokens at most" in tab.run(words)
    tab.run("document.getElementById('whatif-reset').click()")
    assert "saved" in tab.run(words)


def test_what_if_is_reached_and_used_by_keyboard(tab: Tab) -> None:
    tab.run("document.getElementById('whatif-budget').focus(); document.activeElement.select()")
    for key in "9M":
        tab.send("Input.dispatchKeyEvent", type="char", text=key)
    assert tab.run("document.getElementById('whatif-budget').value") == "9M"
    seen: list[str] = []
    for _ in range(6):
        for kind in ("keyDown", "keyUp"):
            tab.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(tab.run("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
    assert seen[:4] == ["whatif-epochs", "whatif-even", "whatif-reset", "What if"]
    assert seen[4].startswith("Weight of")
    unnamed = """
        [...document.querySelectorAll('input, select, button')].filter(field => !field.closest('[hidden]') &&
            !field.labels?.length && !field.ariaLabel && !field.textContent.trim()).length
    """
    assert tab.run(unnamed) == 0
    tab.run("document.getElementById('whatif-reset').click()")


def test_heat_maps_say_by_sign_what_they_say_by_colour(tab: Tab) -> None:
    cells = tab.run(
        "[...document.querySelectorAll('.heat-cell')].map(c => [c.classList.contains('gain'), c.textContent.trim()])"
    )
    assert len(cells) > 42
    for gain, text in cells:
        assert text.startswith("+") == gain or text.startswith(("0", "\u22120.0"))


def test_the_page_prints_whole(tab: Tab) -> None:
    pdf = tab.send("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert len(pdf) > 100_000
    tab.send("Emulation.setEmulatedMedia", media="print", features=[])
    assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    tab.send("Emulation.setEmulatedMedia", media="")
