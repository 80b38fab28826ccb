"""A run that is killed goes on with the same bits, and on another layout with the same losses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from quality.mistakes import BadInput, Failure
from training.allocation import Allocation
from training.checkpoints import seal, step_folders
from training.layout import Layout
from training.train import train

pytestmark = pytest.mark.torch

TOKENS, SHARES = 120 * 256, {"python": 0.5, "go": 0.5}
OPTIONS: dict[str, Any] = {
    "allocation": Allocation(SHARES),
    "sequence_length": 32,
    "batch_tokens": 256,
    "validation_tokens": 512,
    "learning_rate": 0.005,
    "checkpoint_every": 50,
}
LAYOUTS = {
    "fsdp2": Layout(2),
    "tensor parallel": Layout(2, tensor_parallel=2),
    "fsdp2 x tensor parallel": Layout(4, tensor_parallel=2),
    "replicas of shards": Layout(4, replicas=2),
}
HEAVY = {name: () if name == "fsdp2" else pytest.mark.prove for name in LAYOUTS}


def losses(folder: Path) -> list[float]:
    curve, evaluations = (pq.read_table(folder / f"{name}.parquet") for name in ("curves", "evaluations"))
    return curve["loss_nats"].to_pylist() + evaluations["loss_nats"].to_pylist()


@pytest.fixture(scope="module")
def whole(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tokens_dir, "25k", TOKENS, tmp_path_factory.mktemp("whole") / "run", **OPTIONS)


@pytest.fixture(scope="module")
def killed(tokens_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the draft of a run that was killed behind its first checkpoint."""
    root = tmp_path_factory.mktemp("killed")
    (root / "a.json").write_text(json.dumps({"shares": SHARES}))
    arguments = f"train --tokens-dir {tokens_dir} --size 25k --tokens {TOKENS} --allocation {root}/a.json"
    arguments += f" --out {root}/run --sequence-length 32 --batch-tokens 256 --validation-tokens 512"
    arguments += " --learning-rate 0.005 --checkpoint-every 50"
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", *arguments.split()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        saved = root / ".run.draft" / "checkpoint" / "step-50" / ".metadata"
        while process.poll() is None and not saved.is_file():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said.decode()
    assert not (root / "run").exists()
    return root


def go_on(killed: Path, tokens_dir: Path, place: Path, layout: Layout) -> Path:
    shutil.copytree(killed / ".run.draft", place / ".run.draft")
    return train(tokens_dir, "25k", TOKENS, place / "run", layout=layout, **OPTIONS)


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(
    whole: Path, killed: Path, tokens_dir: Path, tmp_path: Path
) -> None:
    out = go_on(killed, tokens_dir, tmp_path, Layout())
    assert losses(out) == losses(whole)
    assert len(losses(out)) == 120 + 3


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in HEAVY.items()])
def test_a_killed_run_goes_on_with_another_layout(
    whole: Path, killed: Path, tokens_dir: Path, tmp_path: Path, name: str
) -> None:
    out = go_on(killed, tokens_dir, tmp_path, LAYOUTS[name])
    assert losses(out) == pytest.approx(losses(whole), abs=1e-5, rel=0)
    (row,) = pq.read_table(out / "runs.parquet").to_pylist()
    assert row["world_size"] == LAYOUTS[name].processes


def flip(file: Path) -> None:
    """Change a byte in the middle: the file can still be read."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def test_a_checkpoint_that_cannot_be_read_is_named(killed: Path, tokens_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(killed / ".run.draft", tmp_path / ".run.draft")
    for folder in (tmp_path / ".run.draft" / "checkpoint").iterdir():
        (folder / ".sha256-0.json").unlink(missing_ok=True)
        for file in folder.glob("*.distcp"):
            os.truncate(file, 1000)
    with pytest.raises(Failure, match=r"\.run\.draft/checkpoint cannot be read.* remove its folder step-N"):
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_go_on_from_a_checkpoint_that_was_changed(
    killed: Path, tokens_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(killed / ".run.draft", tmp_path / ".run.draft")
    last = step_folders(tmp_path / ".run.draft" / "checkpoint")[-1]
    seal(last, 0)  # the kill may have been faster
    (file,) = last.glob("*.distcp")
    flip(file)
    with pytest.raises(BadInput, match=rf"{file}: damaged after it was written.* remove {last}"):
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_changed_before_it_was_published_is_refused(
    whole: Path, tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_here(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("training.train.write_tables", killed_here)
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    (record,) = (tmp_path / ".run.draft" / "records").iterdir()
    final = tmp_path / ".run.draft" / "checkpoint" / "step-120"
    (file,) = final.glob("*.distcp")
    flip(file)
    with pytest.raises(BadInput, match=rf"{file}: damaged after it was written.* remove {final} and {record}"):
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()
    # What it says is to be done can be done.
    shutil.rmtree(final)
    with pytest.raises(BadInput, match=rf"{final}: missing"):
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    record.unlink()
    assert losses(train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)) == losses(whole)


def test_a_checkpoint_that_cannot_be_written_is_named(
    tokens_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed.checkpoint.api import CheckpointException
    from torchtitan.components.checkpoint import CheckpointManager

    def full(*_: object, **__: object) -> None:
        error = OSError(errno.ENOSPC, "No space left on device")
        raise CheckpointException("save", {0: (error, traceback.StackSummary())})

    monkeypatch.setattr(CheckpointManager, "save", full)
    with pytest.raises(Failure, match=r"checkpoint/step-1: cannot be written \(.*No space left on device\); free some"):
        train(tokens_dir, "25k", TOKENS, tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()
