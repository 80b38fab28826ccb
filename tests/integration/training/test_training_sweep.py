"""A sweep: what it leaves, that neither a kill nor the number of workers changes it, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from quality.artifacts import read_manifest
from quality.mistakes import BadInput
from training.records import RECORDS, TABLES
from training.settings import SweepSettings
from training.sweep import plan_sweep, price, sweep

pytestmark = pytest.mark.torch

SETTINGS: dict[str, Any] = {
    "sizes": ["25k", "60k"],
    "tokens": [2560, "5120"],
    "languages": ["python", "go"],
    "mixtures": {"both": {"python": 0.5, "go": 0.5}},
    "sequence_length": 32,
    "batch_tokens": 256,
    "validation_tokens": 512,
    "validate_on": "trained",
}


def settings(**changes: Any) -> SweepSettings:
    return SweepSettings.model_validate_json(json.dumps({**SETTINGS, **changes}))


def content(folder: Path) -> dict[str, list[dict[str, Any]]]:
    tables = {name: pq.read_table(folder / name).to_pylist() for name in TABLES}
    for row in tables["runs.parquet"]:
        for name in ("seconds", "step_seconds", "loader_seconds"):
            del row[name]
    return tables


@pytest.fixture(scope="module")
def swept(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sweep(
        settings(), tokens_dir, tmp_path_factory.mktemp("sweep") / "runs", workers=1, command="polymix sweep x"
    )


def test_a_sweep_leaves_a_row_a_run_with_all_that_a_fit_needs(swept: Path) -> None:
    runs = pq.read_table(swept / "runs.parquet").to_pylist()
    assert [(row["trained_on"], row["size"], row["tokens"]) for row in runs] == [
        (trained_on, size, tokens)
        for trained_on in ("python", "go", "mixture")
        for size in ("25k", "60k")
        for tokens in (2560, 5120)
    ]
    assert {row["status"] for row in runs} == {"finished"}
    assert runs[0]["params_non_embedding"] == 25_248
    assert runs[0]["params_total"] == 25_248 + 2 * 64 * 32
    assert runs[1]["repeats"] == [("python", pytest.approx(5120 / 12_000, rel=0.01))]
    evaluations = pq.read_table(swept / "evaluations.parquet").to_pylist()
    assert len(evaluations) == 8 + 4 * 2
    assert {row["tokens"] for row in evaluations} == {2560, 5120}
    assert read_manifest(swept, "runs")["counts"]["finished"] == 12
    assert pq.read_table(swept / "contract.parquet")["success"].to_pylist() == [True] * 4


def test_a_killed_sweep_keeps_its_finished_runs_and_ends_the_same(
    swept: Path, tokens_dir: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, json; from pathlib import Path; from training.settings import SweepSettings;"
        "from training.sweep import sweep;"
        "sweep(SweepSettings.model_validate_json(sys.argv[1]), sys.argv[2], sys.argv[3], workers=1,"
        " command='polymix sweep x')"
    )
    out = tmp_path / "runs"
    arguments = [sys.executable, "-c", code, settings().model_dump_json(), str(tokens_dir), str(out)]
    records = tmp_path / ".runs.draft" / RECORDS
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 240
        while process.poll() is None and len(list(records.glob("*.json"))) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    kept = {path.name: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert 3 <= len(kept) < 12
    assert not out.exists()
    sweep(settings(), tokens_dir, out, workers=2, command="polymix sweep x")
    assert content(out) == content(swept)
    after = {path.name: path.stat().st_mtime_ns for path in (out / RECORDS).glob("*.json")}
    assert {name: after[name] for name in kept} == kept
    assert read_manifest(out)["fingerprint"] == read_manifest(swept)["fingerprint"]


def test_a_finished_sweep_is_left_as_it_is(swept: Path, tokens_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (swept / "manifest.json").stat().st_mtime_ns
    sweep(settings(), tokens_dir, swept)
    assert (swept / "manifest.json").stat().st_mtime_ns == before
    assert "finished already" in capsys.readouterr().err


def test_trunks_cost_less_than_runs_alone(tokens_dir: Path) -> None:
    plan = plan_sweep(settings(), tokens_dir)
    cost = price(plan, workers=1)
    assert cost.tokens_alone == 6 * (2560 + 5120)
    assert cost.tokens == 6 * (2 * 256 + 5120)
    assert cost.flops < sum(run.flops for run in plan.runs)
    assert cost.measured == ("25k", "60k")
    assert 0 < cost.minutes < 30
    assert all(seconds > 0 for seconds in cost.seconds_per_token.values())


def test_run_ids_name_everything_a_run_depends_on(tokens_dir: Path) -> None:
    first = plan_sweep(settings(), tokens_dir)
    ids = [run.run_id for run in first.runs]
    assert len(set(ids)) == 12
    assert [run.run_id for run in plan_sweep(settings(), tokens_dir).runs] == ids
    for changed in ({"seed": 5}, {"validation_tokens": 544}, {"learning_rate": 0.001}, {"batch_tokens": 128}):
        assert not set(ids) & {run.run_id for run in plan_sweep(settings(**changed), tokens_dir).runs}


def test_what_the_stores_cannot_supply_is_refused_before_anything_is_trained(tokens_dir: Path, tmp_path: Path) -> None:
    wanted = settings(
        tokens=["1M"], languages=["python", "java"], mixtures={"rust": {"rust": 0.1, "text:docs": 0.9}}, max_epochs=2.0
    )
    with pytest.raises(BadInput) as caught:
        sweep(wanted, tokens_dir, tmp_path / "runs")
    said = str(caught.value)
    assert "java: java: no training store" in said
    assert "text:docs" in said
    with pytest.raises(BadInput, match=r"999936 tokens wanted, at most 2\d+ available; lower tokens, or raise max"):
        sweep(settings(tokens=["1M"], mixtures={}, max_epochs=2.0), tokens_dir, tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def run_cli(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_command_prints_the_plan_and_its_price(
    tokens_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["25k"]\ntokens = ["5k"]\nsequence_length = 32\nbatch_tokens = 256\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir), "--dry-run", "--workers", "1") == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["mixture"] for row in rows] == ["python", "go", "rust"]
    assert rows[0]["tokens"] == 5120
    assert "3 runs, 15,360 tokens" in err
    assert "minutes" in err


def test_the_command_lists_every_mistake(tokens_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["21M"]\ntokens = ["many"]\nlayers = 3\nlearning_rate = 2.0\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir), "--out", str(tmp_path / "runs")) == 2
    err = capsys.readouterr().err
    assert "sizes: '21M' is not a known size; known: 25k" in err
    assert "'many' is not a count" in err
    assert "layers: there is no such setting" in err
    assert "learning_rate" in err
    file.write_text('sizes = ["25k"]\ntokens = ["5k"]\nsequence_length = 32\nbatch_tokens = 256\n')
    assert run_cli("sweep", str(file), "--tokens-dir", str(tmp_path / "none"), "--out", str(tmp_path / "runs")) == 2
    assert "no finished tokens here" in capsys.readouterr().err
    assert run_cli("sweep", str(file), "--tokens-dir", str(tokens_dir)) == 2
    assert "--out: is missing" in capsys.readouterr().err
