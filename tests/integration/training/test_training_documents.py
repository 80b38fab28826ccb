"""Attention within documents: what stands in another document changes nothing, on every layout's way there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import and_masks, create_mask

from training.allocation import Allocation
from training.evaluation import end_of_text, validation_set
from training.model import LlamaTwo, document_masks, model_arguments, rotated
from training.order import plan_order
from training.recipe import train_run
from training.runs import RunSpec
from training.shuffle import Shuffled
from training.sizes import size
from training.stores import open_stores

pytestmark = pytest.mark.torch

VOCABULARY, END = 64, 0
FIRST, SECOND = [5, 9, 3, END], [7, 2, 8, 8, END, 11]


def logits(tokens: list[int], masked: bool = True) -> torch.Tensor:
    arguments = model_arguments(size("25k"), VOCABULARY, END if masked else None)
    arguments.max_seq_len = 16
    model = LlamaTwo(arguments)
    model.init_weights()
    batch = torch.tensor([tokens])
    with torch.no_grad():
        return model(batch, document_masks(batch, END))[0] if masked else model(batch)[0]


def test_tokens_of_another_document_do_not_change_logits() -> None:
    both = logits(FIRST + SECOND)
    other = logits([1, 1, 40, END, *SECOND])
    assert torch.equal(both[4:], other[4:])
    assert not torch.allclose(both[:3], other[:3])
    # Nor does where a document stands: rotary positions are relative.
    assert torch.allclose(both[4:9], logits(SECOND[:5]), atol=1e-5)
    assert torch.allclose(both[9:], logits([11]), atol=1e-5)
    assert torch.allclose(both[:4], logits(FIRST), atol=1e-5)


def test_without_masks_they_do() -> None:
    both = logits(FIRST + SECOND, masked=False)
    assert not torch.allclose(both[4:], logits([1, 1, 40, END, *SECOND], masked=False)[4:], atol=1e-4)
    assert torch.allclose(both[:4], logits(FIRST), atol=1e-5)


def test_the_mask_of_accelerators_is_the_same() -> None:
    from torchtitan.models.attention import get_causal_mask_mod, get_document_mask_mod

    batch = torch.tensor([FIRST + SECOND, SECOND + FIRST])
    allowed = and_masks(get_causal_mask_mod(), get_document_mask_mod(batch, END))
    assert torch.equal(create_mask(allowed, 2, 1, 10, 10, device="cpu"), document_masks(batch, END))


def test_rotations_without_complex_numbers_are_the_same_to_the_bit() -> None:
    from torchtitan.models.llama3.model.model import apply_rotary_emb, precompute_freqs_cis

    turns = precompute_freqs_cis(16, 40, 10_000.0)
    q, k = torch.randn(2, 3, 32, 4, 16, generator=torch.Generator().manual_seed(0))
    expected = apply_rotary_emb(q, k, turns)
    assert all(torch.equal(left, rotated(right, turns)) for left, right in zip(expected, (q, k), strict=True))


def test_a_run_is_trained_and_validated_within_documents(tokens_dir: Path) -> None:
    train, held_out = open_stores(tokens_dir, "train"), open_stores(tokens_dir, "validation")
    order = plan_order(train, Allocation({"python": 1.0}), 40 * 256, 32, 3)
    data: dict[str, Any] = {
        "vocabulary": VOCABULARY,
        "sequences": Shuffled(order, 3).sequences,
        "validation": (validation_set(held_out["python"], sequence_length=32, wanted=1024),),
        "end_of_text": end_of_text(train["python"]),
    }
    assert data["end_of_text"] == END
    spec = RunSpec("25k", 40 * 256, {"python": 1.0}, 3, 32, 256, 0.01, "", across_documents=False)
    outcome = train_run(spec, **data)
    assert outcome.evaluations[0]["loss_nats"] < 2.5
    with pytest.raises(ValueError, match="end_of_text"):
        train_run(spec, **{**data, "end_of_text": None})
