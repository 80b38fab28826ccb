"""The model that is trained: torchtitan's Llama as LLaMA-2, with initial weights and document masks of ours.

Start at `model_arguments`. What always holds: the initial weights are a pure function of seed and parameter name, so
that every layout starts from the same model; where attention stays within documents, a token's logits depend on the
tokens of its own document alone.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.attention.flex_attention import BlockMask, and_masks
from torch.nn.functional import scaled_dot_product_attention

from training import cpu
from training.sizes import NORM_EPSILON, ROPE_THETA, Size

with cpu.torchtitan_importable():
    from torchtitan.config import JobConfig
    from torchtitan.models.attention import (
        FlexAttentionWrapper,
        create_attention_mask,
        get_causal_mask_mod,
        get_document_mask_mod,
    )
    from torchtitan.models.llama3 import Transformer, TransformerModelArgs
    from torchtitan.models.llama3.model.args import RoPEScalingArgs
    from torchtitan.models.llama3.model.model import Attention, apply_rotary_emb


@dataclass
class LlamaArguments(TransformerModelArgs):
    """torchtitan's shape with the seed of the initial weights and where attention ends.

    Args:
        seed: Of the initial weights.
        end_of_text: The token id that ends a document, where attention stays within documents; None where it does not.
    """

    seed: int = 0
    end_of_text: int | None = None

    def update_from_config(self, job_config: JobConfig, **kwargs: Any) -> None:
        """Take the sequence length and the seed from torchtitan's settings."""
        super().update_from_config(job_config, **kwargs)
        self.seed = int(job_config.debug.seed or 0)


class LlamaTwo(Transformer):
    """torchtitan's Transformer, with initial weights that are a function of seed and parameter name alone.

    torch's own generators would give every shard of a parameter the same numbers on a CPU, and other numbers for every
    layout and torch version.
    """

    def __init__(self, model_args: LlamaArguments) -> None:
        super().__init__(model_args)
        for layer in self.layers.values():
            layer.attention = LlamaAttention(model_args)

    def init_weights(self, buffer_device: torch.device | None = None) -> None:
        """Fill the model with its initial values, each process its own part."""
        with torch.device(buffer_device or self.freqs_cis.device):
            self.freqs_cis = self._precompute_freqs_cis()
        arguments = cast(LlamaArguments, self.model_args)
        for name, parameter in self.named_parameters():
            values = torch.from_numpy(
                initial_values(plain_name(name), tuple(parameter.shape), arguments.n_layers, arguments.seed)
            )
            whole = values.to(parameter.device, parameter.dtype)
            if isinstance(parameter.data, DTensor):
                sharded = parameter.data
                whole = distribute_tensor(whole, sharded.device_mesh, sharded.placements, src_data_rank=None)
            parameter.data.copy_(whole)


class LlamaAttention(Attention):
    """torchtitan's attention with masks, and with rotary positions that a compiler can fuse.

    Masks are those of flex attention where there is an accelerator; on a CPU, where torch has no backward of it, they
    are booleans.
    """

    def __init__(self, model_args: LlamaArguments) -> None:
        super().__init__(model_args)
        self.flex_attention = FlexAttentionWrapper()

    def forward(
        self,
        x: torch.Tensor,
        freqs_cis: torch.Tensor,
        attention_masks: Any,
        positions: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what `x` attends to, `(batch, sequence, dimension)`, as `x`."""
        batch, length, _ = x.shape
        # Heads by what is there: tensor parallelism leaves each process some of them.
        q, k, v = (matrix(x).view(batch, length, -1, self.head_dim) for matrix in (self.wq, self.wk, self.wv))
        if torch.compiler.is_compiling():
            q, k = rotated(q, freqs_cis), rotated(k, freqs_cis)
        else:
            q, k = apply_rotary_emb(q, k, freqs_cis=freqs_cis, positions=positions)
        q, k, v = (heads.transpose(1, 2) for heads in (q, k, v))
        if attention_masks is None:
            attended = self.inner_attention(q, k, v)
        elif isinstance(attention_masks, BlockMask):
            attended = self.flex_attention(q, k, v, block_mask=attention_masks)
        else:
            attended = scaled_dot_product_attention(q, k, v, attn_mask=attention_masks)
        return self.wo(attended.transpose(1, 2).reshape(batch, length, -1))


def rotated(heads: torch.Tensor, freqs_cis: torch.Tensor) -> torch.Tensor:
    """Turn pairs of neighbours by their positions, without complex numbers, which inductor cannot fuse.

    Args:
        heads: Queries or keys, `(batch, sequence, heads, width)`.
        freqs_cis: Complex rotations, `(at least sequence, width / 2)`.

    Returns:
        What torchtitan's `apply_rotary_emb` does, to the bit. Not compiled, this takes a CPU four times as long.
    """
    cosine, sine = torch.view_as_real(freqs_cis[: heads.shape[1]]).unsqueeze(1).unbind(-1)
    even, odd = heads.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), -1).flatten(-2).type_as(heads)


def document_masks(tokens: torch.Tensor, end_of_text: int) -> BlockMask | torch.Tensor:
    """Return which tokens may attend to which: earlier ones of the same document, and themselves.

    Args:
        tokens: Token ids, `(batch, sequence)`. The end-of-text token belongs to the document that it ends.
        end_of_text: Its id.

    Returns:
        A block mask, or on a CPU booleans of `(batch, 1, sequence, sequence)`, queries before keys.
    """
    length = tokens.shape[1]
    if tokens.device.type != "cpu":
        allowed = and_masks(get_causal_mask_mod(), get_document_mask_mod(tokens, end_of_text))
        return create_attention_mask(allowed, tokens.shape[0], None, length, length)
    ends = (tokens == end_of_text).long()
    document = ends.cumsum(1) - ends
    same = document[:, :, None] == document[:, None, :]
    return (same & torch.ones(length, length, dtype=torch.bool).tril())[:, None]


def plain_name(name: str) -> str:
    """Return a parameter's name without what wrappers added to it."""
    return name.replace("_checkpoint_wrapped_module.", "").replace("_orig_mod.", "")


def initial_values(name: str, shape: tuple[int, ...], layers: int, seed: int) -> npt.NDArray[np.float32]:
    """Return the initial values of one parameter.

    Args:
        name: Its name in the model, such as `layers.0.attention.wq.weight`.
        shape: Its whole shape, however it is sharded.
        layers: Transformer blocks of the model.
        seed: The run's seed.

    Returns:
        Ones for the gains of norms; else normal values cut at three standard deviations: 0.02, divided by the square
        root of twice the layers for what adds to the residual stream.

    Source: the scheme of GPT-2 (Radford et al. 2019, section 2.3), as in torchtitan's Llama; the embeddings' 0.02 is
    GPT-2's as well.
    """
    if "norm" in name:
        return np.ones(shape, np.float32)
    matrix = name.split(".")[-2]
    if matrix == "output":
        deviation = shape[-1] ** -0.5
    else:
        deviation = 0.02 / math.sqrt(2 * layers) if matrix in ("wo", "w2") else 0.02
    random = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), zlib.crc32(name.encode())]))
    values = random.standard_normal(shape, dtype=np.float32)
    np.clip(values, -3, 3, out=values)
    values *= np.float32(deviation)
    return values


def model_arguments(shape: Size, vocabulary: int, end_of_text: int | None = None) -> LlamaArguments:
    """Return a size as torchtitan's own arguments: its llama3 model with plain rotary positions is LLaMA-2.

    Args:
        shape: The size.
        vocabulary: Token ids.
        end_of_text: The token id that ends a document, where attention shall stay within documents.
    """
    return LlamaArguments(
        dim=shape.dimension,
        n_layers=shape.layers,
        n_heads=shape.heads,
        n_kv_heads=shape.heads,
        vocab_size=vocabulary,
        multiple_of=shape.multiple_of,
        norm_eps=NORM_EPSILON,
        rope_theta=ROPE_THETA,
        rope_scaling_args=RoPEScalingArgs(scaling_factor=1.0),
        depth_init=False,
        end_of_text=end_of_text,
    )
