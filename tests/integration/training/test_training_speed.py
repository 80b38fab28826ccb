"""What makes training fast works as far as a CPU can tell: compiled models, float8 emulated, the benchmark itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quality.mistakes import BadInput
from training.recipe import Outcome, train_run
from training.runs import RunSpec

pytestmark = pytest.mark.torch


def trained(**changes: Any) -> Outcome:
    arguments = {name: changes.pop(name) for name in ("compiled", "end_of_text") if name in changes}
    spec = RunSpec("25k", 10 * 256, {"go": 1.0}, 0, 32, 256, 0.01, "", **changes)
    rows = np.random.default_rng(0).integers(0, 8, (80, 33))
    return train_run(spec, vocabulary=64, sequences=lambda places: rows[places], validation=(), **arguments)


def test_a_run_says_how_long_its_steps_took_and_how_long_it_waited_for_data() -> None:
    outcome = trained()
    assert 0 < outcome.step_seconds < outcome.seconds
    assert 0 < outcome.loader_seconds < outcome.seconds
    assert outcome.precision == "float32"


@pytest.mark.skipif(importlib.util.find_spec("torchao") is not None, reason="torchao is installed")
def test_float8_without_torchao_is_refused() -> None:
    with pytest.raises(BadInput, match=r"pip install 'polymix\[float8\]'"):
        trained(float8=True)


@pytest.mark.prove
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
def test_float8_emulated_is_near_full_precision() -> None:
    pytest.importorskip("torchao")
    exact, rough = trained(), trained(float8=True)
    assert rough.precision == "float8"
    assert rough.final_train_loss_nats == pytest.approx(exact.final_train_loss_nats, abs=0.05)
    assert rough.final_train_loss_nats != exact.final_train_loss_nats


@pytest.mark.prove
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("changes", [{}, {"across_documents": False, "end_of_text": 0}], ids=["causal", "documents"])
def test_a_compiled_model_has_the_losses_of_one_that_is_not(changes: dict[str, Any]) -> None:
    plain, compiled = trained(**changes), trained(compiled=True, **changes)
    assert [point["loss_nats"] for point in compiled.curve] == pytest.approx(
        [point["loss_nats"] for point in plain.curve], abs=1e-4
    )


@pytest.mark.prove
def test_the_benchmark_runs_where_there_is_no_accelerator(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmark.bench_gpu", "--sizes", "25k", "--steps", "2"]
    command += ["--batch-tokens", "512", "--sequence-length", "64", "--out", str(tmp_path / "rows.json")]
    command += ["--systems", "polymix;polymix, within documents;torchtitan"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["system"] for row in rows] == ["polymix", "polymix, within documents", "torchtitan"]
    assert all(row["tokens_per_s"] > 0 and row["of_matmul"] > 0 for row in rows)
