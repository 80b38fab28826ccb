"""A whole turn on a few real packages: run, skipped, refused, redone, killed in every stage, and turned again."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.demo import STUDY
from pipelines.turn import KINDS

PACKAGES = [
    "libpython3.11-stdlib",
    "pypi:pytweening",
    "pypi:inflection",
    "pypi:geographiclib",
    "npm:easing-utils",
    "npm:inflected",
    "npm:geographiclib-geodesic",
    "golang-github-montanaflynn-stats-dev",
    "golang-github-iancoleman-strcase-dev",
    "golang-github-go-openapi-inflect-dev",
]
SETTINGS = """
[corpus]
validation_share = 0.15

[mining]

[tokens]
vocabulary = 600

[shards]
tokens = 60_000
sequence_length = 64
pair_share = 0.01

[sweep]
sizes = ["25k", "60k"]
tokens = ["8k", "12k", "16k", "24k"]
bilingual = [0.5]
sequence_length = 64
batch_tokens = 512
validation_tokens = "4k"
validate_on = "trained"

[fit]
bootstrap = 20
against = ["skaling", "farseer"]

[allocation]
tokens = 200_000
params = 100_000
floors = {go = 0.2}
fixed = {"text:notes" = 0.05}
parallel_share = 0.005
stages = [0.5]
transfer = true
"""
UNREPEATABLE = {"seconds", "step_seconds", "loader_seconds"}  # wall clock is recorded, and differs


def polymix(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three languages and some of the demo's own packages, so that the pins stand in one place."""
    raw = tomllib.loads(STUDY.read_text())
    sources = [s for s in raw["sources"] if any(name in s["spec"] for name in PACKAGES)]
    assert len(sources) == len(PACKAGES)
    lines = ['name = "small"', 'pivot = "python"', 'languages = ["python", "javascript", "go"]', "seed = 5"]
    for source in sources:
        lines.append("[[sources]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in source.items()]
    folder = tmp_path_factory.mktemp("study")
    notes = folder / "notes.jsonl"
    words = ["a", "file", "is", "read", "before", "it", "is", "used", "and", "closed", "when", "it", "is", "not"]
    chance = random.Random(2)
    notes.write_text(
        "".join(json.dumps({"text": f"{n}: " + " ".join(chance.choices(words, k=200))}) + "\n" for n in range(100))
    )
    lines += ["[[texts]]", 'name = "notes"', f'spec = "{notes}"']
    path = folder / "small.toml"
    path.write_text("\n".join(lines) + SETTINGS)
    return path


@pytest.fixture(scope="module")
def finished(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A store in which the study was run once, and how many seconds each stage took."""
    store = tmp_path_factory.mktemp("finished")
    done = polymix("turn", study, "--store", store)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["stage"], row["did"]) for row in rows] == [(kind, "ran") for kind in KINDS]
    return store, {row["stage"]: row["seconds"] for row in rows}


def contents(folder: Path) -> dict[str, Any]:
    """What a turn found, without its wall clock and the places it was made at."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.parent.name == "records":  # what runs.parquet is made of, wall clock and all
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            found[name] = table.drop_columns([c for c in UNREPEATABLE | {"command"} if c in table.column_names])
        elif path.name == "manifest.json":
            manifest = json.loads(path.read_text())
            found[name] = {key: manifest[key] for key in ("kind", "fingerprint", "stage")}
        elif path.is_file() and path.suffix in (".json", ".jsonl", ".bin", ".toml"):
            found[name] = path.read_bytes()
    return found


def test_a_turn_finds_pairs_laws_and_an_allocation(finished: tuple[Path, dict[str, float]]) -> None:
    turn = finished[0] / "small" / "0"
    pairs = pq.read_table(turn / "pairs" / "pairs.parquet").to_pylist()
    assert {"javascript", "go"} == {pair["right_language"] for pair in pairs}
    fits = [json.loads(line) for line in (turn / "laws" / "fits.jsonl").read_text().splitlines()]
    assert sorted(fit["group"] for fit in fits) == ["go", "javascript", "python"]
    assert all(fit["n_runs"] == 8 for fit in fits)
    with duckdb.connect(str(turn / "laws" / "runs.duckdb"), read_only=True) as database:
        assert database.sql("SELECT count(*) FROM final_losses").fetchall() == [(24,)]
    answer = json.loads((turn / "allocation" / "allocation.json").read_text())
    assert sum(answer["shares"].values()) == pytest.approx(1)
    assert answer["shares"]["go"] >= 0.2 - 1e-6
    assert answer["shares"]["text:notes"] == pytest.approx(0.05, abs=1e-5)
    pairs = sum(share for source, share in answer["shares"].items() if source.startswith("pair:"))
    assert pairs == pytest.approx(0.005, abs=1e-4)
    assert [stage["until_tokens"] for stage in answer["stages"]] == [100_000, 200_000]
    # Farseer has nine symbols and is not asked where there are eight runs.
    assert [row["law"] for row in answer["other_laws"]] == ["skaling"]
    assert {path.name for path in (turn / "laws").glob("against-*")} == {"against-skaling.jsonl"}
    tau = json.loads((turn / "allocation" / "transfer.json").read_text())["matrix"]
    assert {target: len(others) for target, others in tau.items()} == dict.fromkeys(("python", "javascript", "go"), 2)
    assert answer["transfer"]["go"]["python"] == pytest.approx(tau["go"]["python"])
    page = (turn / "report" / "report.html").read_text()
    assert "What other laws, fitted to the same runs, make of these shares" in page
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", page) == []  # it loads nothing and leads nowhere else


def test_run_again_everything_is_skipped(study: Path, finished: tuple[Path, dict[str, float]]) -> None:
    again = polymix("turn", study, "--store", finished[0])
    assert [json.loads(line)["did"] for line in again.stdout.splitlines()] == ["skipped"] * len(KINDS)
    states = polymix("status", study, "--store", finished[0])
    assert [json.loads(line)["state"] for line in states.stdout.splitlines()] == ["done"] * len(KINDS)


def test_a_study_may_name_laws_of_mixtures_and_a_prior(
    study: Path, finished: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    store, changed = tmp_path / "store", tmp_path / "mixed.toml"
    shutil.copytree(finished[0], store)
    text = study.read_text().replace("transfer = true", 'prior = "uniform"\nprior_weight = 0.001')
    changed.write_text(
        text.replace('against = ["skaling", "farseer"]', 'law = "additive"\nagainst = ["chinchilla", "he"]')
    )
    done = polymix("turn", changed, "--store", store, "--redo", "laws")
    assert done.returncode == 0, done.stderr
    rows = {row["stage"]: row["did"] for row in map(json.loads, done.stdout.splitlines())}
    assert [kind for kind, did in rows.items() if did == "ran"] == ["laws", "allocation", "report"]
    turn = store / "small" / "0"
    fits = [json.loads(line) for line in (turn / "laws" / "fits.jsonl").read_text().splitlines()]
    # Each language's own loss in its own 8 runs and in the 16 of its two pairs.
    assert [(fit["law"], fit["group"], fit["target"], fit["n_runs"]) for fit in fits] == [
        ("additive", name, name, 24) for name in ("go", "javascript", "python")
    ]
    answer = json.loads((turn / "allocation" / "allocation.json").read_text())
    assert answer["law"] == "additive"
    assert answer["shares"]["go"] >= 0.2 - 1e-6
    assert set(answer["intervals"]["shares"]) == {"go", "javascript", "python"}
    assert answer["prior_weight"] == 0.001
    assert [row["law"] for row in answer["other_laws"]] == ["chinchilla", "he"]
    page = (turn / "report" / "report.html").read_text()
    assert "gamma.javascript" in page
    assert "shown is what it says of runs on each language alone" in page
    assert "Tau belongs to laws of a language" in page
    assert "Further runs are judged by laws of N and D" in page


def test_a_changed_field_is_refused_by_name(
    study: Path, finished: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    before = contents(finished[0])
    changed = tmp_path / "changed.toml"
    changed.write_text(study.read_text().replace("bootstrap = 20", "bootstrap = 30"))
    refused = polymix("turn", changed, "--store", finished[0])
    assert refused.returncode == 3
    assert "fit.bootstrap: made with 20, the study says 30" in refused.stderr
    assert "--redo laws" in refused.stderr
    states = [json.loads(line) for line in polymix("status", changed, "--store", finished[0]).stdout.splitlines()]
    assert {row["stage"]: row["state"] for row in states}["laws"] == "stale"
    after = contents(finished[0])
    assert after.keys() == before.keys()
    assert all(_same(after[name], before[name]) for name in before)


def test_every_mistake_of_a_study_is_listed(study: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    text = study.read_text().replace('sizes = ["25k", "60k"]', 'sizes = ["25k", "61k"]')
    text = text.replace("bootstrap = 20", "bootstraps = 20").replace("pair_share = 0.01", "pair_share = 1.5")
    wrong.write_text(text)
    refused = polymix("turn", wrong, "--store", tmp_path / "store")
    assert refused.returncode == 2
    for field in ("sweep.sizes", "fit.bootstraps", "shards.pair_share"):
        assert field in refused.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.timeout(1500)
def test_killed_in_every_stage_the_next_run_completes_the_same(
    study: Path, finished: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    reference, seconds = finished
    chance = random.Random(11)
    for kind in KINDS:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "turn", str(study), "--store", str(tmp_path), "--until", kind],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                if f"] {kind}: " in line:
                    time.sleep(chance.uniform(0, 0.8) * seconds[kind])
                    process.kill()
                    break
        manifest = tmp_path / "small" / "0" / kind / "manifest.json"
        assert not manifest.exists() or "stage" in json.loads(manifest.read_text()), f"{kind} was not killed in time"
    done = polymix("turn", study, "--store", tmp_path)
    assert done.returncode == 0, done.stderr
    expected, found = contents(reference), contents(tmp_path)
    assert found.keys() == expected.keys()
    differing = [name for name in expected if not _same(found[name], expected[name])]
    assert differing == []
    assert not list((tmp_path / "small" / "0").glob(".*.draft"))


def test_the_next_turn_trains_on_what_the_last_one_found(study: Path, finished: tuple[Path, dict[str, float]]) -> None:
    store = finished[0]
    found = json.loads((store / "small" / "0" / "allocation" / "allocation.json").read_text())
    done = polymix("turn", study, "--store", store, "--next")
    assert done.returncode == 0, done.stderr
    rows = {row["stage"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {kind: row["did"] for kind, row in rows.items()} == {
        **dict.fromkeys(("corpus", "pairs", "tokens"), "skipped"),
        **dict.fromkeys(("shards", "runs", "laws", "allocation", "report"), "ran"),
    }
    target = json.loads((store / "small" / "1" / "shards" / "manifest.json").read_text())["target"]
    assert target == pytest.approx({name: 60_000 * share for name, share in found["shares"].items()}, rel=0.01)
    trained = pq.read_table(store / "small" / "1" / "runs" / "runs.parquet").to_pylist()
    assert [dict(run["shares"]) for run in trained if run["trained_on"] == "mixture"]


def _same(one: Any, other: Any) -> bool:
    return one.equals(other) if hasattr(one, "equals") else one == other
