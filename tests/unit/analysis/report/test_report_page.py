"""The page of a whole turn: what it says equals what the files hold, and nothing from outside becomes markup."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from report_turn import HOSTILE, MAKERS

from analysis.report.page import report
from analysis.report.reading import KINDS, find_turn, reading
from quality.mistakes import BadInput

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """Tables, element names, texts by section, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.tables: list[tuple[str, list[dict[str, list[str]]]]] = []
        self.texts: dict[str, str] = {}
        self.codes: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.section = ""
        self.cell: list[str] | None = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("src", "href", "action", "data", "poster"):
            if name in given and tag != "data":
                self.sources.append(str(given[name]))
        assert not any(name.startswith("on") for name in given), f"{tag} {given}"
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = str(given["id"])
        elif tag == "table":
            self.tables.append((given.get("data-query") or "", []))
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1][1].append({})
        elif tag == "td" and "tbody" in self.open and "data-column" in given:
            self.cell = self.tables[-1][1][-1].setdefault(str(given["data-column"]), ["", "", ""])
            self.cell[2] = given.get("data-sort") or ""
        elif tag == "data" and self.cell is not None:
            self.cell[1] = str(given["value"])
        elif tag == "code" and self.open[-2:-1] == ["pre"]:
            self.codes.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "td":
            self.cell = None

    def handle_data(self, data: str) -> None:
        self.texts[self.section] = self.texts.get(self.section, "") + data
        if self.cell is not None:
            self.cell[0] += data
        if self.open[-2:] == ["pre", "code"]:
            self.codes[-1] += data


@pytest.fixture(scope="session")
def text(page_file: Path) -> str:
    return page_file.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(text: str) -> Page:
    return Page(text)


def queries() -> list[str]:
    folder = Path(__file__).parents[4] / "analysis" / "sql"
    return sorted(path.stem for path in folder.glob("report_*.sql"))


def run_sql(turn: Path, query: str) -> list[dict[str, Any]]:
    """Run a shipped SQL file the way its users do: in the turn folder, as it stands."""
    sql = (Path(__file__).parents[4] / "analysis" / "sql" / f"{query}.sql").read_text()
    before = Path.cwd()
    os.chdir(turn)
    try:
        with duckdb.connect() as connection:
            result = connection.execute(sql)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    finally:
        os.chdir(before)


def test_every_shown_number_is_the_one_that_the_sql_gives(turn: Path, page: Page) -> None:
    compared = 0
    named = {query for query, _ in page.tables if query}
    assert len(named) >= 12
    for query, shown in page.tables:
        if not query:
            continue
        rows = run_sql(turn, query)
        assert len(shown) == len(rows) > 0, query
        if query == "report_fits":
            order = {(cells["language"][2], cells["symbol"][2]): cells for cells in shown}
            shown = [order[row["language"], row["symbol"]] for row in rows]
        for cells, row in zip(shown, rows, strict=True):
            for column in cells.keys() & row.keys():
                seen, exact, sort = cells[column]
                value = row[column]
                if isinstance(value, bool):
                    assert seen == ("yes" if value else "no")
                elif isinstance(value, int | float):
                    assert float(exact) == value, (query, column)
                    assert float(sort) == value
                elif value is None:
                    assert exact == ""
                else:
                    assert sort == value
                compared += 1
    assert compared > 500


def test_the_sql_in_the_page_is_the_sql_in_the_package(turn: Path, text: str) -> None:
    with reading(turn) as opened:
        shown = {query for query in queries() if f"{query}.sql" in text}
        assert shown == set(queries())
        for query in queries():
            where = opened.where(query)
            assert where.files
            assert where.artifacts or query == "report_contracts"


def test_the_files_add_up(turn: Path, page: Page) -> None:
    documents = sum(pq.read_metadata(path).num_rows for path in (turn / "corpus" / "documents").rglob("*.parquet"))
    rejects = pq.read_metadata(turn / "corpus" / "rejects.parquet").num_rows
    funnel = run_sql(turn, "report_funnel")
    stages = ["kept", "read", "classify", "filter", "licence", "exact", "near", "other"]
    assert sum(row["files"] for row in funnel) == documents + rejects
    assert all(row["files"] == sum(row[stage] for stage in stages) for row in funnel)
    assert f"sources hold {documents + rejects} files" in page.texts["corpus"]


def test_files_that_do_not_add_up_are_said_so(turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn / "corpus", tmp_path / "corpus")
    rejects = pq.read_table(turn / "corpus" / "rejects.parquet")
    pq.write_table(rejects.slice(3), tmp_path / "corpus" / "rejects.parquet")
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert "do not add up" in page.texts["corpus"]
    assert "\u22123)" in page.texts["corpus"]


def test_a_cluster_in_both_splits_is_said_so(turn: Path, page: Page, tmp_path: Path) -> None:
    assert "Training and validation are apart" in page.texts["corpus"]
    shutil.copytree(turn / "corpus", tmp_path / "corpus")
    folder = tmp_path / "corpus" / "documents" / "language=go"
    train, validation = (folder / f"split={split}" / "part-0.parquet" for split in ("train", "validation"))
    table = pq.read_table(train, partitioning=None)
    shared = table["cluster"][:3]
    other = pq.read_table(validation, partitioning=None).slice(0, 3)
    pq.write_table(other.set_column(other.schema.get_field_index("cluster"), "cluster", shared), validation)
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert "3 clusters of near duplicates reach from training into validation" in page.texts["corpus"]


def test_losses_across_languages_are_shown_only_where_they_were_measured(
    turn: Path, page: Page, tmp_path: Path
) -> None:
    assert "What a model of one language knows of the others" in page.texts["training"]
    shutil.copytree(turn / "runs", tmp_path / "runs")
    with duckdb.connect() as connection:
        own = connection.sql(
            f"select e.* from '{tmp_path}/runs/evaluations.parquet' e join '{tmp_path}/runs/runs.parquet' r"
            " on r.run_id = e.run_id and r.trained_on = e.language"
        ).to_arrow_table()
    pq.write_table(own, tmp_path / "runs" / "evaluations.parquet")
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert "What a model of one language knows of the others" not in page.texts["training"]


def test_code_and_names_from_outside_are_text(text: str, page: Page) -> None:
    assert HOSTILE not in text
    assert page.seen["script"] == 1
    assert "img" not in page.seen
    assert len(page.codes) == 48
    assert all(HOSTILE in code for code in page.codes)


def test_codes_are_shown_whole_and_unchanged(turn: Path, page: Page) -> None:
    rows = run_sql(turn, "report_pairs")
    assert page.codes == [row[side] for row in rows for side in ("left_code", "right_code")]


def test_the_page_loads_nothing_and_forbids_it(text: str, page: Page) -> None:
    assert all(source.startswith("#") or source == "data:," for source in page.sources)
    assert "default-src 'none'" in text
    assert "'unsafe-inline'" not in re.findall(r"script-src[^;]*", text)[0]
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#clip-[a-z0-9-]+\)", "", text)
    assert len(text.encode()) < 3_000_000


def test_ids_are_unique_and_links_lead_somewhere(text: str, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.sources if link.startswith("#")} <= set(page.ids)
    clips = re.findall(r'clipPath id="([^"]+)"', text)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(clips)


def test_the_same_artifacts_give_the_same_bytes(turn: Path, text: str, tmp_path: Path) -> None:
    assert report(turn, tmp_path / "again.html").read_text(encoding="utf-8") == text


def test_every_section_says_where_its_figures_come_from(turn: Path, page: Page) -> None:
    for kind in KINDS:
        command = json.loads((turn / kind / "manifest.json").read_text())["command"]
        assert any(command in section for section in page.texts.values()), kind
    for section in (
        *("answer", "what-if", "corpus", "pairs", "training", "transfer", "laws", "next", "paper", "provenance"),
    ):
        assert "where from" in page.texts[section], section


def test_fingerprints_are_those_of_the_manifests(turn: Path, page: Page) -> None:
    for kind in KINDS:
        assert json.loads((turn / kind / "manifest.json").read_text())["fingerprint"] in page.texts["provenance"]


def test_the_inputs_of_a_pair_are_named(page: Page) -> None:
    assert "str, int (full)" in page.texts["pairs"]
    assert page.texts["pairs"].count("('  Text 5 ', 5)") == 4
    assert "python 3.11 and " in page.texts["pairs"]


def test_a_run_that_diverged_is_named(page: Page) -> None:
    assert "ended as diverged" in page.texts["training"]
    assert "107 of 108 runs finished" in page.texts["training"]


@pytest.mark.parametrize("kinds", [["corpus"], ["runs", "laws"], ["pairs"], ["tokens", "shards"]], ids="+".join)
def test_a_part_of_a_turn_makes_a_page_that_names_the_rest(turn: Path, tmp_path: Path, kinds: list[str]) -> None:
    for kind in kinds:
        shutil.copytree(turn / kind, tmp_path / "part" / kind)
    (tmp_path / "part" / "runs").mkdir(exist_ok=True)
    page = Page(report(tmp_path / "part", tmp_path / "r.html").read_text())
    everything = " ".join(page.texts.values())
    for kind in KINDS:
        if kind not in kinds:
            assert re.search(rf"no {kind} yet|The {kind} of this turn (is|are) not finished", everything), kind
            assert KINDS[kind] in everything
        else:
            assert f"no {kind} yet" not in everything


def test_laws_are_drawn_without_the_runs_behind_them(turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn / "laws", tmp_path / "laws")
    text = report(tmp_path, tmp_path / "r.html").read_text()
    assert text.count('<polyline class="line') > 20
    assert '<circle class="dot' not in text


def test_an_empty_pairs_artifact_says_that_nothing_was_proved(turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn / "pairs", tmp_path / "pairs")
    pairs = tmp_path / "pairs" / "pairs.parquet"
    pq.write_table(pq.read_table(pairs).slice(0, 0), pairs)
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert "No pair was proved" in page.texts["pairs"]
    assert page.codes == []


def test_long_codes_are_cut_and_it_is_said(turn: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    shutil.copytree(turn / "pairs", tmp_path / "pairs")
    path = tmp_path / "pairs" / "pairs.parquet"
    rows = pq.read_table(path).to_pylist()
    rows = [
        {**row, "pair_id": f"{row['pair_id']}{i}", "left_code": f"x = {100 * i + place + 1000}\n" * 20_000}
        for i in range(20)
        for place, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    written = report(tmp_path, tmp_path / "r.html")
    page = Page(written.read_text())
    assert written.stat().st_size < 3_000_000
    assert "174,000 more characters" in page.texts["pairs"]
    assert "are left out to keep this page light" in page.texts["pairs"]
    assert "482 gave the same results on both sides" in page.texts["pairs"]


def test_code_of_several_pairs_is_shown_once(turn: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    shutil.copytree(turn / "pairs", tmp_path / "pairs")
    path = tmp_path / "pairs" / "pairs.parquet"
    rows = pq.read_table(path).to_pylist()
    rows = [{**row, "left_code": "def same():\n    return 1\n"} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert page.codes.count("def same():\n    return 1\n") == 1
    assert len(page.codes) == 1 + len({row["right_code"] for row in rows})
    links = [link for link in page.sources if link.startswith("#code-")]
    assert links == ["#code-1-left"] * (len(rows) - 1)
    assert "code-1-left" in page.ids
    assert page.texts["pairs"].count("The same code as in pair 1.") == len(rows) - 1


def test_pairs_that_agree_but_are_not_needed_are_not_counted_as_proved(turn: Path, page: Page) -> None:
    verdicts = {row["verdict"]: 0 for row in run_sql(turn, "report_verdicts")}
    for row in run_sql(turn, "report_verdicts"):
        verdicts[row["verdict"]] += row["candidates"]
    assert (verdicts["equivalent"], verdicts["surplus"]) == (24, 2)
    assert "26 gave the same results on both sides" in page.texts["pairs"]
    assert "Of these 2 are not needed" in page.texts["pairs"]
    assert "24 are kept as proved pairs" in page.texts["pairs"]


def test_a_source_that_got_no_tokens_is_off_by_all_that_was_asked(turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn / "shards", tmp_path / "shards")
    path = tmp_path / "shards" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["target"]["pair:python-go"] = 117.0
    path.write_text(json.dumps(manifest))
    (row,) = (row for row in run_sql(tmp_path, "report_shards") if row["source"] == "pair:python-go")
    assert (row["tokens"], row["share"], row["off_by"]) == (0, 0.0, -117.0)


def test_curves_are_means_that_keep_every_step(turn: Path) -> None:
    points = run_sql(turn, "report_curves")
    runs = pq.read_table(turn / "runs" / "curves.parquet").to_pylist()
    longest = max((row["run_id"] for row in runs), key=lambda run: sum(row["run_id"] == run for row in runs))
    drawn = [row for row in points if row["run_id"] == longest]
    steps = sorted((row["tokens"], row["loss_nats"]) for row in runs if row["run_id"] == longest)
    assert len(drawn) <= 41 < len(steps)
    assert drawn[-1]["tokens"] == steps[-1][0]
    before = 0
    for row in drawn:
        inside = [loss for tokens, loss in steps if before < tokens <= row["tokens"]]
        assert row["loss_nats"] == pytest.approx(sum(inside) / len(inside))
        before = row["tokens"]


def test_find_turn_takes_turn_study_and_store(turn: Path, tmp_path: Path) -> None:
    for number in ("0", "2", "10"):
        shutil.copytree(turn / "tokens", tmp_path / "store" / "demo" / number / "tokens")
    (tmp_path / "store" / "demo" / "11").mkdir()
    latest = tmp_path / "store" / "demo" / "10"
    assert find_turn(tmp_path / "store") == find_turn(tmp_path / "store" / "demo") == find_turn(latest) == latest


def test_two_studies_must_be_told_apart(turn: Path, tmp_path: Path) -> None:
    for study in ("one", "two"):
        shutil.copytree(turn / "tokens", tmp_path / study / "0" / "tokens")
    with pytest.raises(BadInput, match=r"holds 2 studies; name one of them: .*one, .*two"):
        find_turn(tmp_path)


def test_what_is_no_turn_is_refused_with_what_to_do(turn: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        find_turn(tmp_path / "missing")
    with pytest.raises(BadInput, match="holds no artifact"):
        find_turn(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="a file; name a store"):
        find_turn(tmp_path / "file")
    with pytest.raises(BadInput, match="name the folder above it"):
        find_turn(turn / "corpus")


def test_all_damaged_files_are_named_at_once_and_nothing_is_written(turn: Path, tmp_path: Path) -> None:
    for kind in ("corpus", "runs", "allocation"):
        shutil.copytree(turn / kind, tmp_path / "0" / kind)
    for name in ("corpus/rejects.parquet", "corpus/sources.parquet", "runs/runs.parquet"):
        path = tmp_path / "0" / name
        path.write_bytes(path.read_bytes()[:-20])
    (tmp_path / "0" / "allocation" / "allocation.json").write_text("{")
    with pytest.raises(BadInput) as caught:
        report(tmp_path / "0", tmp_path / "r.html")
    said = "\n".join(map(str, caught.value.mistakes))
    wanted = {"corpus/rejects.parquet", "corpus/sources.parquet", "runs/runs.parquet", "allocation/allocation.json"}
    assert {mistake.where for mistake in caught.value.mistakes} == {str(tmp_path / "0" / name) for name in wanted}
    assert "make it again with `polymix" in said
    assert not (tmp_path / "r.html").exists()


def test_a_damaged_manifest_is_named(turn: Path, tmp_path: Path) -> None:
    for kind in ("tokens", "shards"):
        shutil.copytree(turn / kind, tmp_path / kind)
        (tmp_path / kind / "manifest.json").write_text("{")
    with pytest.raises(BadInput) as caught:
        report(tmp_path, tmp_path / "r.html")
    assert len(caught.value.mistakes) == 2


def test_the_page_must_be_a_file(turn: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder"):
        report(turn, tmp_path)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(BadInput, match="file is not a folder"):
        report(turn, tmp_path / "file" / "r.html")
    with pytest.raises(BadInput, match="file: is there and no HTML page, so it is not replaced"):
        report(turn, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_makers_cover_every_kind() -> None:
    assert list(MAKERS) == list(KINDS)


def test_the_transfer_section_tells_gains_from_noise_against_both_baselines(page: Page, text: str) -> None:
    said = page.texts["transfer"]
    assert "Against repetition" in said
    assert "Against the same unique tokens" in said
    assert "noise between seeds" in said
    assert text.count('class="matrix"') == 3
    assert "no tau for JavaScript, TypeScript, C#" in said or "No tau for" in said


def test_runs_without_mixtures_say_what_is_missing(turn: Path, tmp_path: Path) -> None:
    shutil.copytree(turn / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "runs.parquet"
    rows = [row for row in pq.read_table(path).to_pylist() if row["trained_on"] != "mixture"]
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    page = Page(report(tmp_path, tmp_path / "r.html").read_text())
    assert "add mixtures to the sweep" in page.texts["transfer"]


def test_the_paper_is_checked_in_every_report(page: Page, turn: Path, tmp_path: Path) -> None:
    from analysis.paper import paper

    for finding in paper():
        assert finding["words"] in page.texts["paper"]
    assert "never used to allocate" in page.texts["paper"]
    shutil.copytree(turn / "tokens", tmp_path / "tokens")
    assert "1,521 nats" in Page(report(tmp_path, tmp_path / "r.html").read_text()).texts["paper"]


def test_next_runs_are_those_that_the_verb_names(page: Page, turn: Path) -> None:
    from analysis.next_runs import next_runs

    answer = json.loads((turn / "allocation" / "allocation.json").read_text())
    flops = sum(row["flops"] for row in run_sql(turn, "report_runs") if row["status"] == "finished")
    found = next_runs(
        turn / "laws" / "fits.jsonl",
        tokens=answer["budget"],
        params=answer["params"],
        budget=flops,
        weights=answer["weights"],
    )
    (shown,) = (rows for query, rows in page.tables if rows and "regret_before" in rows[0])
    assert [float(cells["regret_after"][1]) for cells in shown] == [run["regret_after"] for run in found["runs"]]


def test_pairing_is_compared_on_the_same_runs_and_translations_are_shown(
    page: Page, turn: Path, tmp_path: Path
) -> None:
    (shown,) = (rows for _, rows in page.tables if rows and "shuffled" in rows[0] and "better" in rows[0])
    gains = {cells["measured_on"][0]: cells for cells in shown}
    # Planted: halves that are parted cost a tenth on the seen direction and nothing elsewhere.
    assert float(gains["python to go"]["relative"][1]) == pytest.approx(1 - 1 / 1.1)
    assert "+9.09%" in gains["python to go"]["relative"][0]
    assert float(gains["go to java"]["relative"][1]) == pytest.approx(0, abs=1e-12)
    assert float(gains["python"]["runs"][1]) == 2
    scored = next(rows for query, rows in page.tables if query == "report_translations")
    expected = run_sql(turn, "report_translations")
    assert [float(cells["seen"][1]) for cells in scored] == [row["seen"] for row in expected]
    assert {row["pairing"] for row in expected} == {"parallel", "shuffled"}
    assert "every run was made with one seed" not in page.texts["training"]
    # Runs without pairs and translations say nothing of them.
    shutil.copytree(turn / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "translations.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    rows = pq.read_table(tmp_path / "runs" / "runs.parquet")
    pq.write_table(rows.filter(pc.field("mixture") != "paired"), tmp_path / "runs" / "runs.parquet")
    assert "Translation and pairing" not in Page(report(tmp_path, tmp_path / "r.html").read_text()).texts["training"]


def test_the_decision_of_next_runs_is_the_one_of_the_answer() -> None:
    from analysis.report.next_runs import question_of

    shares = {"python": 0.5, "go": 0.4, "pair:python-go": 0.1, "text:notes": 0.0}
    answer = {"budget": 1e9, "params": 1e8, "supply": None, "weights": {"python": 0.5, "go": 0.5}, "max_epochs": None}
    more = {"floors": {"go": 0.2}, "fixed": {}, "transfer": {"python": {"go": 0.1}}}
    asked = question_of({**answer, **more, "shares": shares})
    assert asked["fixed"] == {"pair:python-go": 0.1}
    assert asked["floors"] == {"go": 0.2}
    assert asked["transfer"] == {"python": {"go": 0.1}}
    assert (asked["tokens"], asked["max_epochs"]) == (1e9, 4.0)


def test_the_ring_of_a_law_lies_where_the_law_sees_the_recommendation(turn: Path, tmp_path: Path) -> None:
    """Repeats, pairs and other languages' tokens change what a law sees: its prediction is that of the answer."""
    from analysis.allocate import allocate
    from analysis.fit import predict

    fits = [json.loads(line) for line in (turn / "laws" / "fits.jsonl").read_text().splitlines()]
    languages = [one["group"] for one in fits]
    answer = allocate(
        fits,
        tokens=4_000_000,
        params=400_000,
        supply={**dict.fromkeys(languages, 400_000), "pair:python-go": 100_000},
        parallel_share=0.02,
        transfer={"python": {"go": 0.3}},
    )
    for one, row in zip(fits, answer["by_language"], strict=True):
        assert row["data"] != row["tokens"]
        assert float(predict(one, 400_000, row["data"])[0]) == pytest.approx(row["predicted"])
    shutil.copytree(turn / "laws", tmp_path / "laws")
    shutil.copytree(turn / "runs", tmp_path / "runs")
    shutil.copytree(turn / "allocation", tmp_path / "allocation")
    (tmp_path / "allocation" / "allocation.json").write_text(json.dumps(answer))
    shown = report(tmp_path, tmp_path / "r.html").read_text()
    taken = [row for row in answer["by_language"] if row["tokens"]]
    assert len(taken) > 4
    assert all(f"predicted {row['predicted']:.3f}" in shown for row in taken)


def test_marginal_values_are_those_of_the_allocation(page: Page, turn: Path) -> None:
    answer = json.loads((turn / "allocation" / "allocation.json").read_text())
    (shown,) = (rows for _, rows in page.tables if rows and "next_percent" in rows[0])
    for cells, row in zip(shown, answer["marginal"], strict=True):
        assert float(cells["next_billion"][1]) == row["next_billion"]["gain"]
        assert float(cells["next_percent_low"][1]) == row["next_percent"]["interval"][0]


def test_a_notebook_shows_the_sections_of_the_page(turn: Path, text: str) -> None:
    from analysis.report import figures

    found = figures(turn)
    assert list(found) == re.findall(r'<section id="([a-z-]+)"', text)
    for name, figure in found.items():
        assert str(figure.markup) in text, name
        assert figure.title in figure._repr_html_()
    assert found["laws"].rows["report_fits"] == run_sql(turn, "report_fits")
    assert "<script" not in found["what-if"]._repr_html_()


def test_numbers_in_fields_are_typed_without_losing_a_digit() -> None:
    from analysis.report.whatif import typed

    assert [typed(value) for value in (350e9, 4_000_000, 1500, 1_234_567, 12, 2.5e9)] == [
        *("350B", "4M", "1.5k", "1234567", "12", "2.5B"),
    ]


def test_laws_that_are_no_power_of_the_tokens_are_not_recomputed_in_the_page(turn: Path) -> None:
    from analysis.report.whatif import at_params

    fits = [json.loads(line) for line in (turn / "laws" / "fits.jsonl").read_text().splitlines()]
    fit = fits[0]
    floor, log_b, beta = at_params(fit, fit["estimates"], 250_000)[0]
    estimates = fit["estimates"]
    assert beta == pytest.approx(estimates["beta"], rel=1e-9)
    assert floor == pytest.approx(estimates["E"] + estimates["A"] / 250_000 ** estimates["alpha"], rel=1e-9)
    assert log_b == pytest.approx(math.log(estimates["B"]), rel=1e-9)
