"""A trained model is exported, read by transformers, and gives the losses that training measured."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipelines.cli import main
from quality.artifacts import creating
from quality.mistakes import BadInput
from training.allocation import Allocation
from training.evaluation import IGNORED, validation_set
from training.export import export
from training.generation import load_generator
from training.score import model_fingerprint
from training.stores import open_stores
from training.sweep import run_summaries
from training.train import train

transformers = pytest.importorskip("transformers")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers"),
]


@pytest.fixture(scope="module")
def run(tokens_dir: Path, evaluation_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    return train(
        tokens_dir,
        "25k",
        12 * 256,
        root / "run",
        allocation=Allocation({"python": 0.5, "go": 0.5}),
        sequence_length=32,
        batch_tokens=256,
        validation_tokens=512,
        learning_rate=0.005,
        evaluation=evaluation_dir,
    )


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    return export(run, run.parent / "model")


def test_transformers_gives_the_losses_of_training(run: Path, model: Path, tokens_dir: Path) -> None:
    llama = transformers.AutoModelForCausalLM.from_pretrained(model).eval()
    assert type(llama).__name__ == "LlamaForCausalLM"
    assert llama.dtype == torch.float32
    measured = {row["language"]: row for row in pq.read_table(run / "evaluations.parquet").to_pylist()}
    stores = open_stores(tokens_dir, "validation")
    for language, row in measured.items():
        chosen = validation_set(stores[language], sequence_length=32, wanted=512)
        with torch.no_grad():
            logits = llama(torch.from_numpy(chosen.inputs.copy())).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(chosen.labels.copy()).flatten())
        assert float(loss) == pytest.approx(row["loss_nats"], abs=1e-5)


def test_translations_are_scored_by_direction_on_the_target_alone(run: Path, model: Path) -> None:
    rows = {row["target_language"]: row for row in pq.read_table(run / "translations.parquet").to_pylist()}
    assert {name: (row["seen"], row["instances"], row["left_out"]) for name, row in rows.items()} == {
        "go": (True, 2, 0),
        "rust": (False, 1, 1),
    }
    assert (rows["go"]["evaluated_tokens"], rows["go"]["evaluated_bytes"]) == (5, 10)
    llama = transformers.AutoModelForCausalLM.from_pretrained(model).eval()
    nats = 0.0
    for prompt, wanted in (([1, 2, 3], [4, 5]), ([7, 7], [8, 9, 10])):
        ids = torch.tensor([[0, *prompt, *wanted]])
        labels = torch.tensor([[IGNORED] * len(prompt) + wanted])
        with torch.no_grad():
            logits = llama(ids[:, :-1]).logits
        nats += float(torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="sum"))
    assert rows["go"]["loss_nats"] == pytest.approx(nats / 5, abs=1e-5)
    assert rows["go"]["bits_per_byte"] == pytest.approx(nats / 10 / np.log(2), abs=1e-5)
    assert not (run / "translations.npz").exists()
    (summary,) = run_summaries(run)
    assert summary["translation_bits_per_byte"] == {
        "seen": pytest.approx(rows["go"]["bits_per_byte"]),
        "unseen": pytest.approx(rows["rust"]["bits_per_byte"]),
    }


def test_the_tokenizer_goes_along(model: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    assert tokenizer("0710", add_special_tokens=False)["input_ids"] == [7, 10]
    assert tokenizer.eos_token_id == json.loads((model / "config.json").read_text())["eos_token_id"] == 0


def test_the_model_goes_on_from_a_prompt(model: Path) -> None:
    llama = transformers.AutoModelForCausalLM.from_pretrained(model)
    torch.manual_seed(0)
    out = llama.generate(torch.tensor([[0, 5, 9]]), max_new_tokens=5, do_sample=False, pad_token_id=0)
    assert out.shape[0] == 1
    assert 3 < out.shape[1] <= 8


def test_large_models_are_written_to_several_files(
    run: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.export.FILE_BYTES", 40_000)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), "--out", str(tmp_path / "model"), "--precision", "bfloat16"])
    assert ended.value.code == 0
    said = json.loads(capsys.readouterr().out)
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in (tmp_path / "model").glob("*.safetensors"))
    assert len(files) > 1
    assert sorted(set(index["weight_map"].values())) == files
    whole, split = (transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (model, tmp_path / "model"))
    assert split.dtype == torch.bfloat16
    assert said["parameters"] == sum(parameter.numel() for parameter in whole.parameters())
    for left, right in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.equal(left.to(torch.bfloat16), right)


def test_what_keeps_no_model_is_refused(tmp_path: Path) -> None:
    with creating(tmp_path / "runs", "runs", {"a": 1}):
        pass
    with pytest.raises(BadInput, match="keeps no model: `polymix train` leaves one"):
        export(tmp_path / "runs", tmp_path / "out")


def test_a_damaged_checkpoint_is_bad_input(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (file,) = (tmp_path / "run" / "checkpoint").glob("step-*/*.distcp")
    os.truncate(file, 1000)
    with pytest.raises(BadInput, match=rf"{file}: damaged after it was written .*train the run again"):
        export(tmp_path / "run", tmp_path / "out")
    (file.parent / ".sha256-0.json").unlink()
    with pytest.raises(BadInput, match=r"cannot be read .*train the run again"):
        export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_changed_is_not_scored(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    assert model_fingerprint(tmp_path / "model") == model_fingerprint(model)
    weights, config = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "config.json"
    data = bytearray(weights.read_bytes())
    data[-7] ^= 1
    weights.write_bytes(data)
    config.unlink()
    (tmp_path / "model" / "tokenizer_config.json").unlink()
    with pytest.raises(BadInput, match=r"no config\.json"):
        model_fingerprint(tmp_path / "model")
    shutil.copy(model / "config.json", config)
    with pytest.raises(BadInput) as caught:
        model_fingerprint(tmp_path / "model")
    assert [(Path(one.where).name, one.what.split(" (")[0].split(";")[0]) for one in caught.value.mistakes] == [
        ("model.safetensors", "damaged after it was exported"),
        ("tokenizer_config.json", "missing"),
    ]


def test_damaged_weights_are_bad_input(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    os.truncate(tmp_path / "model" / "model.safetensors", 1000)
    with pytest.raises(BadInput, match="no causal language model with a tokenizer can be loaded"):
        load_generator(tmp_path / "model")
