"""Several processes give the losses of one, and a run is launched, resumed and refused as it should be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.layout import Layout
from training.plan import plan_sweep
from training.settings import SweepSettings
from training.train import train

pytestmark = pytest.mark.torch

OPTIONS: dict[str, Any] = {
    "allocation": Allocation({"python": 0.5, "go": 0.5}),
    "sequence_length": 32,
    "batch_tokens": 256,
    "validation_tokens": 512,
    "learning_rate": 0.005,
}


def losses(folder: Path) -> list[float]:
    curve = pq.read_table(folder / "curves.parquet")
    evaluations = pq.read_table(folder / "evaluations.parquet")
    return curve["loss_nats"].to_pylist() + evaluations["loss_nats"].to_pylist()


@pytest.fixture(scope="module")
def alone(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tokens_dir, "25k", 12 * 256, tmp_path_factory.mktemp("train") / "run", **OPTIONS)


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(Layout(2), id="fsdp2"),
        pytest.param(Layout(2, tensor_parallel=2), id="tensor parallel"),
        pytest.param(Layout(4, tensor_parallel=2), id="fsdp2 x tensor parallel", marks=pytest.mark.prove),
        pytest.param(Layout(4, replicas=2), id="replicas of shards", marks=pytest.mark.prove),
    ],
)
def test_processes_give_the_losses_of_one(alone: Path, tokens_dir: Path, tmp_path: Path, layout: Layout) -> None:
    out = train(tokens_dir, "25k", 12 * 256, tmp_path / "run", layout=layout, **OPTIONS)
    assert losses(out) == pytest.approx(losses(alone), abs=1e-6, rel=0)
    assert len(losses(out)) == 12 + 3
    left, right = (pq.read_table(folder / "runs.parquet").to_pylist()[0] for folder in (out, alone))
    assert (left["world_size"], right["world_size"]) == (layout.processes, 1)
    assert left["run_id"] == right["run_id"]
    assert not (out / "task.json").exists()


@pytest.mark.prove
@pytest.mark.parametrize("layout", [Layout(2), Layout(2, 2), Layout(4, 2)], ids=["fsdp2", "tp", "fsdp2 x tp"])
def test_processes_give_the_losses_of_one_within_documents(tokens_dir: Path, tmp_path: Path, layout: Layout) -> None:
    within = {**OPTIONS, "across_documents": False}
    one, more = (
        train(tokens_dir, "25k", 12 * 256, tmp_path / name, layout=way, **within)
        for name, way in (("one", Layout()), ("more", layout))
    )
    assert losses(more) == pytest.approx(losses(one), abs=1e-6, rel=0)


def test_a_run_keeps_its_model(alone: Path) -> None:
    assert [path.name for path in (alone / "checkpoint").iterdir()] == ["step-12"]
    assert (alone / "checkpoint" / "step-12" / ".metadata").is_file()
    model = json.loads((alone / "model.json").read_text())
    assert (model["dimension"], model["layers"], model["vocabulary"]) == (32, 2, 64)


def test_what_cannot_be_trained_is_refused(tokens_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(BadInput, match="'21M' is not a known size"):
        train(tokens_dir, "21M", 3072, out, **OPTIONS)
    with pytest.raises(BadInput, match="lower --tokens or raise --max-epochs"):
        train(tokens_dir, "25k", 1_000_000, out, **OPTIONS)
    with pytest.raises(BadInput, match="fewer than 10 steps"):
        train(tokens_dir, "25k", 512, out, **OPTIONS)
    with pytest.raises(BadInput, match="not a whole number of sequences of 32; 256 is"):
        train(tokens_dir, "25k", 4096, out, **{**OPTIONS, "batch_tokens": 250})
    with pytest.raises(BadInput, match="do not divide"):
        train(tokens_dir, "25k", 4096, out, layout=Layout(3), **OPTIONS)
    with pytest.raises(BadInput, match="3 does not divide 4"):
        Layout(4, 3)
    with pytest.raises(BadInput, match="no finished artifact"):
        train(tmp_path / "none", "25k", 4096, out, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_two_kinds_of_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--size", "25k", "--tokens", "10k", "--out", str(tmp_path / "x")])
    assert ended.value.code == 2
    assert "give exactly one of them" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "--size", "25k", "--tokens", "lots", "--out", str(tmp_path / "x")])
    assert ended.value.code == 2
    assert "'lots' is not a count" in capsys.readouterr().err


def test_the_command_trains_as_it_is_told(tokens_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"train --tokens-dir {tokens_dir} --size 25k --tokens 2560 --sequence-length 32 --batch-tokens 256"
    data += f" --out {tmp_path / 'run'} --validation-tokens 512"
    with pytest.raises(SystemExit) as ended:
        main([*data.split(), "--processes", "2", "--replicas", "2"])
    assert ended.value.code == 2
    assert "replicas: 2 replicas of one process each would not be sharded" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*data.split(), "--within-documents", "--schedule", "cosine"])
    assert ended.value.code == 0
    (row,) = pq.read_table(tmp_path / "run" / "runs.parquet").to_pylist()
    assert (row["across_documents"], row["schedule"], row["restarts"]) == (False, "cosine", 0)
    assert row["precision"] == "float32"
    assert json.loads(capsys.readouterr().out)["run_id"] == row["run_id"]


def test_a_store_whose_bytes_changed_is_refused_before_anything_is_trained(tokens_dir: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "tokens"
    shutil.copytree(tokens_dir, damaged)
    ids = damaged / "go" / "train" / "tokens.bin"
    ids.write_bytes(ids.read_bytes()[:-2] + b"\x01\x00")
    with pytest.raises(BadInput, match="go"):
        plan_sweep(SweepSettings(sizes=("25k",), tokens=(1024,), sequence_length=32, batch_tokens=64), damaged)
