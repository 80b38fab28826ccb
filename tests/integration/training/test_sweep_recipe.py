"""What the recipe can do, a sweep can ask for: its runs are those that `train` would make one by one."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from quality.artifacts import read_manifest
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.hyperparameters import batch_size
from training.plan import plan_sweep
from training.pricing import price
from training.records import TABLES
from training.settings import SweepSettings
from training.sizes import size
from training.sweep import run_summaries, sweep
from training.train import train
from training.translations import TRANSLATIONS_FILE

pytestmark = pytest.mark.torch

SETTINGS: dict[str, Any] = {
    "sizes": ["25k"],
    "tokens": [3200, 6400],
    "each_language": False,
    "mixtures": {"both": {"python": 0.5, "go": 0.5}},
    "sequence_length": 32,
    "validation_tokens": 512,
    "schedule": "cosine",
    "across_documents": False,
}
WALL_CLOCK = {"seconds", "step_seconds", "loader_seconds"}


def settings(**changes: Any) -> SweepSettings:
    return SweepSettings.model_validate_json(json.dumps({**SETTINGS, **changes}))


def rows_of(folder: Path, name: str, tokens: int, without: set[str]) -> list[dict[str, Any]]:
    """The rows of one run, which is told by its tokens."""
    [run] = [row for row in pq.read_table(folder / "runs.parquet").to_pylist() if row["tokens"] == tokens]
    rows = [row for row in pq.read_table(folder / name).to_pylist() if row["run_id"] == run["run_id"]]
    maps = {"shares", "repeats"}
    return [
        {key: dict(value) if key in maps else value for key, value in row.items() if key not in without} for row in rows
    ]


@pytest.fixture(scope="module")
def swept(tokens_dir: Path, evaluation_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "runs"
    sweep(settings(), tokens_dir, out, evaluation=evaluation_dir, workers=1)
    return out


def test_a_cosine_sweep_trains_each_run_whole_as_train_does(
    swept: Path, tokens_dir: Path, evaluation_dir: Path, tmp_path: Path
) -> None:
    alone = train(
        tokens_dir,
        "25k",
        6400,
        tmp_path / "run",
        allocation=Allocation({"python": 0.5, "go": 0.5}),
        sequence_length=32,
        batch_tokens=32,
        validation_tokens=512,
        schedule="cosine",
        across_documents=False,
        evaluation=evaluation_dir,
    )
    for name in TABLES:
        without = {"command", "stores", "run_id", "mixture"} | WALL_CLOCK
        found = rows_of(swept, name, 6400, without)
        assert found == rows_of(alone, name, 6400, without), name
        assert found


def test_rows_say_how_they_were_trained_and_what_was_translated(swept: Path) -> None:
    runs = pq.read_table(swept / "runs.parquet").to_pylist()
    assert [(row["tokens"], row["steps"], row["batch_tokens"]) for row in runs] == [(3200, 100, 32), (6400, 200, 32)]
    assert {(row["schedule"], row["across_documents"], row["precision"]) for row in runs} == {
        ("cosine", False, "float32")
    }
    translated = pq.read_table(swept / "translations.parquet").to_pylist()
    assert {(row["run_id"], row["tokens"]) for row in translated} == {(row["run_id"], row["tokens"]) for row in runs}
    assert [(row["target_language"], row["seen"], row["instances"], row["left_out"]) for row in translated] == [
        ("go", True, 2, 0),
        ("rust", False, 1, 1),
    ] * 2
    assert all(set(row["translation_bits_per_byte"]) == {"seen", "unseen"} for row in run_summaries(swept))
    assert not (swept / TRANSLATIONS_FILE).exists()


def test_the_evaluation_set_is_identity_and_its_place_is_not(
    swept: Path, tokens_dir: Path, evaluation_dir: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(evaluation_dir, moved)
    ids = [run.run_id for run in plan_sweep(settings(), tokens_dir, evaluation=moved).runs]
    assert ids == pq.read_table(swept / "runs.parquet")["run_id"].to_pylist()
    assert read_manifest(swept)["identity"]["evaluation"] == read_manifest(evaluation_dir)["fingerprint"]
    assert not set(ids) & {run.run_id for run in plan_sweep(settings(), tokens_dir).runs}
    with pytest.raises(BadInput, match=r"shuffled pairs need(.|\n)*no finished evaluation here"):
        plan_sweep(settings(pairing=["shuffled"]), tokens_dir, evaluation=tokens_dir.parent)


def test_what_a_sweep_does_not_name_follows_the_size(tokens_dir: Path) -> None:
    plan = plan_sweep(
        settings(sizes=["25k", "400k"], tokens=["51200", "102400"], schedule="wsd-sqrt", max_epochs=9.0), tokens_dir
    )
    batches = {trunk.size: trunk.batch_tokens for trunk in plan.trunks}
    assert batches == {label: batch_size(size(label).non_embedding_parameters, 51_200, 32) for label in ("25k", "400k")}
    assert len(plan.trunks) == 2
    cosine = plan_sweep(settings(sizes=["25k"], tokens=["51200", "102400"], max_epochs=9.0), tokens_dir)
    assert [len(trunk.runs) for trunk in cosine.trunks] == [1, 1]
    cost = price(cosine, workers=1)
    assert cost.tokens == cost.tokens_alone == sum(run.steps * run.spec.batch_tokens for run in cosine.runs)
    assert {run.as_json()["schedule"] for run in cosine.runs} == {"cosine"}


@pytest.mark.skipif(importlib.util.find_spec("torchao") is not None, reason="torchao is installed")
def test_eight_bits_without_their_library_are_refused_before_anything_is_trained(
    tokens_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="float8: needs torchao"):
        sweep(settings(float8=True), tokens_dir, tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []
    plan = plan_sweep(settings(float8=True), tokens_dir)
    assert all(run.spec.float8 for run in plan.runs)


def test_the_command_takes_an_evaluation_set(
    tokens_dir: Path, evaluation_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text('sizes = ["25k"]\ntokens = [3200]\nsequence_length = 32\nlanguages = ["go"]\nschedule = "linear"\n')
    arguments = ["sweep", str(file), "--tokens-dir", str(tokens_dir), "--evaluation", str(evaluation_dir), "--dry-run"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "schedule: 'linear': Input should be 'wsd-sqrt' or 'cosine'" in capsys.readouterr().err
    file.write_text(file.read_text().replace("linear", "cosine"))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code in (0, None)
    [row] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["schedule"], row["batch_tokens"]) == ("cosine", 32)
