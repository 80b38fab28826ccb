"""What a model is validated on: the same sequences of every language for every run, in bits per byte. No torch.

Start at `validation_set`. The sequences are spread evenly over a language's validation store and never depend on the
run, its seed or its layout, so that two runs differ by their models alone. Losses in nats a token depend on the
tokenizer; `bits_per_byte` does not, and is what laws are fitted to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quality.mistakes import bad_input
from training.stores import TokenStore

IGNORED = -100
"""The label of a token that does not count. Source: torch's cross-entropy, whose default it is."""


@dataclass(frozen=True)
class ValidationSet:
    """Fixed sequences of one language.

    Args:
        language: Language id.
        sequences: Token ids, `(n, sequence_length + 1)`; a row's last `sequence_length` are predicted.
        target_bytes: Bytes of source text behind the predicted tokens.
    """

    language: str
    sequences: npt.NDArray[np.int64]
    target_bytes: int

    @property
    def inputs(self) -> npt.NDArray[np.int64]:
        """Return what is given, `(n, sequence_length)`."""
        return self.sequences[:, :-1]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Return what each token is to be followed by, `(n, sequence_length)`."""
        return self.sequences[:, 1:]

    @property
    def target_tokens(self) -> int:
        """Return how many tokens are predicted."""
        return self.labels.size

    @property
    def named(self) -> dict[str, str]:
        """Return what its rows are told by."""
        return {"language": self.language}


def end_of_text(store: TokenStore) -> int:
    """Return the token that ends the documents of a store."""
    return int(store.ids[store.ends[0] - 1])


def validation_set(store: TokenStore, *, sequence_length: int, wanted: int) -> ValidationSet:
    """Choose sequences spread evenly over a validation store.

    Args:
        store: A language's validation store.
        sequence_length: Tokens that a sequence predicts.
        wanted: Tokens to predict in all, at most; all of a smaller store is used.

    Returns:
        The sequences, none of which overlaps another, and the bytes that the predicted tokens stand for.

    Raises:
        BadInput: The store holds less than one sequence, or fewer tokens than one are wanted.
    """
    fit = (store.tokens - 1) // sequence_length
    if fit < 1:
        bad_input(
            store.folder,
            f"holds {store.tokens} tokens, a sequence takes {sequence_length + 1};"
            " add validation text or shorten sequence_length",
        )
    count = min(fit, wanted // sequence_length)
    if count < 1:
        bad_input("validation_tokens", f"{wanted} is less than one sequence of {sequence_length}; raise it")
    firsts = (np.arange(count, dtype=np.int64) * fit // count) * sequence_length
    sequences = np.stack([store.window(int(first), sequence_length + 1) for first in firsts])
    return ValidationSet(store.source, sequences, int(store.id_bytes[sequences[:, 1:]].sum()))


def bits_per_byte(total_nats: float, target_bytes: int) -> float:
    """Return the bits that a model needs for a byte of text.

    Args:
        total_nats: Summed cross-entropy of the predicted tokens.
        target_bytes: Bytes of text behind them.

    Returns:
        `total_nats / (ln 2 * bytes)`.

    Source: Gao et al., The Pile, arXiv 2101.00027, section 3.1.
    """
    return total_nats / math.log(2) / target_bytes
