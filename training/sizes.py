"""Which model a size label means: one fixed LLaMA-2 shape each, with its counts by formula. No torch here.

Start at `size`. From `0.1B` up a label is the total number of parameters at a vocabulary of 32,000; below that it is
the number of non-embedding parameters, because the embeddings of a small model outweigh the rest of it. Both counts are
always recorded. Every shape is decoder-only with SwiGLU, rotary positions (theta 10,000, unscaled), multi-head
attention, RMSNorm and untied embeddings; what the formulas count is held against the real module in a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from quality.mistakes import bad_input

LABEL_VOCABULARY = 32_000
"""Where a label from 0.1B up counts all parameters. Source: LLaMA-2, arXiv 2307.09288, section 2.2."""

NORM_EPSILON = 1e-5
"""Source: LLaMA-2's released `params.json` (`norm_eps`)."""

ROPE_THETA = 10_000.0
"""Source: Su et al., RoFormer, arXiv 2104.09864, section 3.2.2."""


@dataclass(frozen=True)
class Size:
    """One model shape.

    Args:
        label: The name, such as `400k` or `0.5B`.
        dimension: Width of the residual stream.
        layers: Transformer blocks.
        heads: Attention heads, each `dimension / heads` wide; keys and values have as many.
        multiple_of: The feed-forward width is rounded up to a multiple of this.
    """

    label: str
    dimension: int
    layers: int
    heads: int
    multiple_of: int

    @property
    def feed_forward(self) -> int:
        """Return the width of the feed-forward layer: 8/3 of the dimension, rounded up.

        Source: Shazeer, GLU variants, arXiv 2002.05202, section 3 (2/3 of 4d keeps the parameters of two matrices).
        """
        width = int(2 * (4 * self.dimension) / 3)
        return self.multiple_of * ((width + self.multiple_of - 1) // self.multiple_of)

    @property
    def non_embedding_parameters(self) -> int:
        """Return the parameters outside the token embeddings and the output layer.

        Source: Kaplan et al., arXiv 2001.08361, section 2.1, with SwiGLU's three matrices and RMSNorm's gains.
        """
        attention = 4 * self.dimension**2
        feed_forward = 3 * self.dimension * self.feed_forward
        norms = 2 * self.dimension
        return self.layers * (attention + feed_forward + norms) + self.dimension

    def total_parameters(self, vocabulary: int) -> int:
        """Return all parameters, token embeddings and output layer included.

        Args:
            vocabulary: Token ids.
        """
        return self.non_embedding_parameters + 2 * vocabulary * self.dimension

    def flops_per_token(self, vocabulary: int, sequence_length: int) -> float:
        """Return the training FLOPs of one token: forward and backward, attention counted as if not causal.

        Args:
            vocabulary: Token ids.
            sequence_length: Tokens a sequence.

        Returns:
            `6 (N + V d) + 12 L d T`: the matrices that multiply (the token embeddings only look up), and attention.

        Source: Chowdhery et al., PaLM, arXiv 2204.02311, appendix B; torchtitan counts the same.
        """
        multiplied = self.non_embedding_parameters + vocabulary * self.dimension
        return 6.0 * multiplied + 12.0 * self.layers * self.dimension * sequence_length

    def activation_bytes_per_token(self, vocabulary: int) -> float:
        """Return the memory that one token's forward pass leaves for its backward pass, nothing recomputed.

        Args:
            vocabulary: Token ids.

        Returns:
            In 16 bits a block keeps 10 vectors of the width (what enters the norms and comes out of them, queries,
            keys, values, what was attended to, both sums) and 3 of the feed-forward; the logits are kept in 16 bits,
            and in 32 bits with their gradient.

        Source: counted as in Korthikanti et al., arXiv 2205.05198, section 4.1, for flash attention and SwiGLU.
        """
        return self.layers * 2.0 * (10 * self.dimension + 3 * self.feed_forward) + 10.0 * vocabulary


STATE_BYTES = 16
"""Bytes a parameter: weight, gradient and Adam's two moments in 32 bits. Source: Rajbhandari et al., ZeRO, arXiv
1910.02054, section 3.1, without its copies in 16 bits."""


SIZES: dict[str, Size] = {
    row.label: row
    for row in (
        Size("25k", 32, 2, 2, 8),
        Size("60k", 40, 3, 2, 8),
        Size("100k", 64, 2, 4, 8),
        Size("200k", 64, 4, 4, 8),
        Size("400k", 128, 2, 4, 8),
        Size("800k", 128, 4, 4, 8),
        Size("1M", 128, 5, 4, 8),
        Size("2M", 144, 8, 6, 8),
        Size("4M", 192, 9, 6, 32),
        Size("8M", 288, 8, 6, 32),
        Size("20M", 384, 11, 6, 32),
        Size("50M", 512, 16, 8, 32),
        Size("0.1B", 640, 12, 10, 256),
        Size("0.2B", 1024, 12, 16, 256),
        Size("0.4B", 1280, 16, 10, 256),
        Size("0.5B", 1536, 14, 12, 256),
        Size("0.6B", 1536, 18, 12, 256),
        Size("1B", 2048, 18, 16, 256),
        Size("1.1B", 2048, 19, 16, 256),
        Size("1.3B", 2048, 23, 16, 256),
        Size("1.5B", 2048, 28, 16, 256),
        Size("1.6B", 2048, 29, 16, 256),
        Size("2B", 2304, 29, 18, 256),
        Size("2.4B", 2560, 28, 20, 256),
        Size("3B", 2560, 36, 20, 256),
        Size("3.1B", 2560, 37, 20, 256),
        Size("7B", 4096, 32, 32, 256),
        Size("14B", 5120, 44, 40, 256),
    )
}


def size_mistake(label: str) -> str:
    """Return why a label names no size, or an empty text where it does."""
    if label in SIZES:
        return ""
    near = get_close_matches(label, SIZES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{label!r} is not a known size; known: {', '.join(SIZES)}{hint}"


def size(label: str) -> Size:
    """Return the shape that a label means.

    Raises:
        BadInput: No such label; the message lists those there are.
    """
    mistake = size_mistake(label)
    if mistake:
        bad_input("size", mistake)
    return SIZES[label]
