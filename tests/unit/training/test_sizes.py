from __future__ import annotations

import pytest

from quality.mistakes import BadInput
from training.sizes import LABEL_VOCABULARY, SIZES, size

UNIT = {"k": 1e3, "M": 1e6, "B": 1e9}


@pytest.mark.parametrize("label", SIZES)
def test_a_label_says_how_many_parameters_there_are(label: str) -> None:
    shape = size(label)
    named = float(label[:-1]) * UNIT[label[-1]]
    counted = shape.total_parameters(LABEL_VOCABULARY) if label[-1] == "B" else shape.non_embedding_parameters
    assert counted == pytest.approx(named, rel=0.1)
    assert shape.dimension % shape.heads == 0
    assert (shape.dimension // shape.heads) % 2 == 0  # rotary positions turn pairs
    assert shape.feed_forward % shape.multiple_of == 0


def test_7b_is_llama_two() -> None:
    assert size("7B").total_parameters(32_000) == 6_738_415_616
    assert size("7B").feed_forward == 11_008


@pytest.mark.torch
@pytest.mark.parametrize("label", SIZES)
def test_the_formulas_count_what_the_module_has(label: str) -> None:
    import torch
    from torchtitan.models.llama3 import Transformer

    from training.model import model_arguments

    shape = size(label)
    arguments = model_arguments(shape, 1000)
    arguments.max_seq_len = 256
    with torch.device("meta"):
        model = Transformer(arguments)
    parameters, flops = arguments.get_nparams_and_flops(model, 256)
    assert shape.total_parameters(1000) == parameters
    assert shape.flops_per_token(1000, 256) == flops
    embeddings = model.tok_embeddings.weight.numel() + model.output.weight.numel()
    assert shape.non_embedding_parameters == parameters - embeddings


def test_what_activations_take_grows_with_shape_and_vocabulary() -> None:
    # A block of the 7B in 16 bits: 2 x (10 x 4096 + 3 x 11008) bytes a token, and the logits.
    assert size("7B").activation_bytes_per_token(32_000) == 32 * 147_968 + 320_000
    labels = ("0.1B", "0.5B", "1B", "3B", "7B", "14B")
    taken = [size(label).activation_bytes_per_token(32_000) for label in labels]
    assert taken == sorted(taken)


def test_the_ladders_of_the_paper_are_there() -> None:
    ladder = "0.1B 0.2B 0.4B 0.6B 1.1B 1.3B 1.6B 2B 2.4B 3.1B 0.5B 1.5B 3B 7B 14B 1M 2M 4M 8M 20M 50M"
    assert set(ladder.split()) <= set(SIZES)


def test_an_unknown_size_lists_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"'0.5b' is not a known size; known: 25k, .*7B, 14B; did you mean 0.5B"):
        size("0.5b")
