"""A trained model as anybody reads it: Hugging Face's LLaMA format, weights, shape and tokenizer.

Start at `export`. What always holds: the exported model gives the losses that training measured; weights are written in
the precision that they were trained in unless another is named; nothing but the run's own folder is read.
"""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.state_dict_loader import load

from quality.artifacts import creating, file_sha256, read_manifest
from quality.mistakes import bad_input
from training import cpu
from training.checkpoints import check_seals, step_folders
from training.model import LlamaTwo, model_arguments
from training.sizes import NORM_EPSILON, ROPE_THETA, size
from training.stores import TOKENIZER_FILE
from training.task import CHECKPOINT
from training.train import MODEL_FILE

with cpu.torchtitan_importable():
    from torchtitan.models.llama3.model.state_dict_adapter import Llama3StateDictAdapter

FILE_BYTES = 5 * 10**9
"""Most bytes of a file of weights. Source: the default of transformers before version 5."""

Precision = Literal["float32", "bfloat16"]


def export(run: Path | str, out: Path | str, *, precision: Precision = "float32", command: str = "") -> Path:
    """Write a run's model in Hugging Face's format.

    Args:
        run: A `runs` artifact that `polymix train` made.
        out: Folder to make: `config.json`, `generation_config.json`, `model.safetensors` (or several files with an
            index), `tokenizer.json`, `tokenizer_config.json`.
        precision: Of the weights.
        command: The command line, for the manifest.

    Returns:
        The folder.

    Raises:
        BadInput: The run keeps no model, or not the tokenizer that it was trained with, or its checkpoint is damaged.
    """
    run, out = Path(run), Path(out)
    manifest = read_manifest(run, "runs")
    if not (run / MODEL_FILE).is_file():
        bad_input(run, "keeps no model: `polymix train` leaves one, a sweep does not")
    described = json.loads((run / MODEL_FILE).read_text())
    if file_sha256(run / TOKENIZER_FILE) != described["tokenizer"]:
        bad_input(run / TOKENIZER_FILE, "is not the tokenizer that the model was trained with; put that one there")
    identity = {"run": manifest["fingerprint"], "precision": precision}
    with creating(out, "model", identity, command=command) as draft:
        weights = {name: tensor.to(getattr(torch, precision)) for name, tensor in _weights(run, described).items()}
        draft.counts.update(tensors=len(weights), parameters=sum(tensor.numel() for tensor in weights.values()))
        _write_weights(weights, draft.path)
        control = {"bos_token_id": described["end_of_text"], "eos_token_id": described["end_of_text"]}
        config = {**llama_config(described), **control, "dtype": precision}
        for name, value in (
            ("config.json", config),
            ("generation_config.json", {"_from_model_config": True, **control}),
            ("tokenizer_config.json", _tokenizer_config(run / TOKENIZER_FILE, described)),
        ):
            (draft.path / name).write_text(json.dumps(value, indent=2) + "\n")
        shutil.copy(run / TOKENIZER_FILE, draft.path / TOKENIZER_FILE)
        written = (path for path in sorted(draft.path.iterdir()) if not path.name.startswith("."))
        draft.details["files"] = {path.name: file_sha256(path) for path in written}
    return out


def llama_config(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `config.json` of a shape.

    Args:
        described: What a run's `model.json` says: its size, vocabulary and sequence length.
    """
    shape = size(described["size"])
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.dimension,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.dimension // shape.heads,
        "hidden_act": "silu",
        "max_position_embeddings": described["sequence_length"],
        "vocab_size": described["vocabulary"],
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "use_cache": True,
    }


def _weights(run: Path, described: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    checkpoints = step_folders(run / CHECKPOINT)
    if not checkpoints:
        bad_input(run / CHECKPOINT, "holds no checkpoint; train the run again")
    check_seals(checkpoints[-1], "train the run again")
    arguments = model_arguments(size(described["size"]), described["vocabulary"])
    arguments.max_seq_len = described["sequence_length"]
    with torch.device("meta"):
        model = LlamaTwo(arguments)
    state = {name: torch.empty_like(value, device="cpu") for name, value in model.state_dict().items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process is what is meant
        try:
            load(state, storage_reader=FileSystemReader(checkpoints[-1]), no_dist=True)
        except (CheckpointException, OSError, EOFError, pickle.UnpicklingError) as error:
            why = type(next(iter(getattr(error, "failures", {}).values()), (error,))[0]).__name__
            bad_input(checkpoints[-1], f"cannot be read ({why}), for it is damaged; train the run again")
    return Llama3StateDictAdapter(arguments, None).to_hf(state)


def _write_weights(weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    files: list[dict[str, torch.Tensor]] = [{}]
    held = 0
    for name, tensor in weights.items():
        if files[-1] and held + tensor.nbytes > FILE_BYTES:
            files.append({})
            held = 0
        files[-1][name] = tensor.contiguous()
        held += tensor.nbytes
    if len(files) == 1:
        save_file(files[0], folder / "model.safetensors", {"format": "pt"})
        return
    places: dict[str, str] = {}
    for n, part in enumerate(files, 1):
        file = f"model-{n:05d}-of-{len(files):05d}.safetensors"
        save_file(part, folder / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def _tokenizer_config(tokenizer: Path, described: Mapping[str, Any]) -> dict[str, Any]:
    added: list[dict[str, Any]] = json.loads(tokenizer.read_text(encoding="utf-8")).get("added_tokens") or []
    end = next((token["content"] for token in added if token["id"] == described["end_of_text"]), None)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": described["sequence_length"],
    }
