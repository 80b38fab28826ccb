"""How text becomes token ids: a byte-level BPE, trained once from a corpus or given as a `tokenizer.json`.

Start at `train_tokenizer` and `load_tokenizer`. What always holds: decoding gives back the very text that was encoded;
the same texts give the same file at any number of threads; and text never becomes a control token, even where it
spells one out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from quality.mistakes import bad_input

END_OF_TEXT = "<|endoftext|>"
# How other makers of byte-level tokenizers spell it: Llama 3, Mistral, DeepSeek.
_END_OF_TEXT_SPELLINGS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>")

# Words with the one character before them (`_name`, `.name`, ` name`), single digits, runs of operators with the line
# ends behind them, indentation without the space that belongs to the next word.
# Source: cl100k_base in OpenAI's tiktoken, without its English contractions, and with single digits as in LLaMA
# (Touvron et al. 2023, arXiv 2302.13971, section 2.1).
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SMALLEST_VOCABULARY = 257  # 256 bytes and end-of-text


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> str:
    """Train a byte-level BPE; end-of-text is id 0.

    Args:
        texts: What to train on; the order does not matter.
        vocabulary: Ids in all, at least 257; fewer come out where the texts have too few different words.

    Returns:
        The text of `tokenizer.json`.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        bad_input("vocabulary", f"{vocabulary}: at least {SMALLEST_VOCABULARY} (the 256 bytes and {END_OF_TEXT})")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=sys.stderr.isatty(),
        special_tokens=[AddedToken(END_OF_TEXT, special=True, normalized=False)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(iter(texts), trainer)
    return tokenizer.to_str(pretty=True)


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Load a `tokenizer.json` so that it encodes all of a text and nothing else.

    Raises:
        BadInput: The file is missing or no tokenizer.
    """
    path = Path(path)
    if not path.is_file():
        bad_input(path, "no such file; a tokenizer.json as Hugging Face tokenizers saves it is needed here")
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception
        bad_input(path, f"not a tokenizer.json ({error})")
    # Not part of the file: without it, text that spells a control token becomes one.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def end_of_text_id(tokenizer: Tokenizer, where: Path | str = "tokenizer") -> int:
    """Return the id that ends every document.

    Raises:
        BadInput: The tokenizer has no such token.
    """
    ids = map(tokenizer.token_to_id, _END_OF_TEXT_SPELLINGS)
    found = next((index for index in ids if index is not None), None)
    if found is None:
        bad_input(where, f"has no end-of-text token; one of {', '.join(_END_OF_TEXT_SPELLINGS)} is needed")
    return found


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[npt.NDArray[np.uint32]]:
    """Yield the ids of each text, in order, without any control token; all cores work."""
    for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        yield np.array(encoding.ids, np.uint32)
