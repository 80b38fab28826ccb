"""How text becomes token ids: a byte-level BPE, trained once from a corpus or given as a `tokenizer.json`.

Start at `train_tokenizer`, and `encoding` for much text at once. What always holds: decoding gives back the very text
that was encoded; the same texts give the same file at any number of threads; and text never becomes a control token,
even where it spells one out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from quality.mistakes import bad_input
from quality.workers import worker_processes
from training.tokenizer import load_tokenizer

END_OF_TEXT = "<|endoftext|>"
# How other makers of byte-level tokenizers spell it: Llama 3, Mistral, DeepSeek.
_END_OF_TEXT_SPELLINGS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>")

# How makers of code models spell what comes before a prefix, a suffix and a middle: ours, StarCoder, Qwen, CodeGemma
# (as ours), DeepSeek-Coder (whose hole comes before the suffix), Code Llama.
FIM_TOKENS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_FIM_SPELLINGS = (
    FIM_TOKENS,
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
    ("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>"),
)

# Words with the one character before them (`_name`, `.name`, ` name`), single digits, runs of operators with the line
# ends behind them, indentation without the space that belongs to the next word.
# Source: cl100k_base in OpenAI's tiktoken, without its English contractions, and with single digits as in LLaMA
# (Touvron et al. 2023, arXiv 2302.13971, section 2.1).
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SMALLEST_VOCABULARY = 257  # 256 bytes and end-of-text


def train_tokenizer(texts: Iterable[str], vocabulary: int, control: Sequence[str] = ()) -> str:
    """Train a byte-level BPE; end-of-text is id 0, further control tokens follow.

    Args:
        texts: What to train on; the order does not matter.
        vocabulary: Ids in all, at least 257 and one for each further control token; fewer come out where the texts
            have too few different words.
        control: Further control tokens.

    Returns:
        The text of `tokenizer.json`.
    """
    names = (END_OF_TEXT, *control)
    smallest = SMALLEST_VOCABULARY + len(control)
    if vocabulary < smallest:
        bad_input("vocabulary", f"{vocabulary}: at least {smallest} (the 256 bytes and {', '.join(names)})")
    tokenizer = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=sys.stderr.isatty(),
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in names],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(iter(texts), trainer)
    return tokenizer.to_str(pretty=True)


def _untrained() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
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


def fim_ids(tokenizer: Tokenizer, where: Path | str = "tokenizer") -> tuple[int, int, int]:
    """Return the control tokens that come before a prefix, a suffix and a middle.

    Raises:
        BadInput: The tokenizer has no such tokens.
    """
    for names in _FIM_SPELLINGS:
        prefix, suffix, middle = (tokenizer.token_to_id(name) for name in names)
        if prefix is not None and suffix is not None and middle is not None:
            return prefix, suffix, middle
    return bad_input(
        where, f"has no tokens for fill-in-the-middle; {', '.join(FIM_TOKENS)} are needed, or set the rate to 0"
    )


class Encoder:
    """Turns texts into packed token ids, as the tokenizer itself would, but several times faster where it can.

    Source code repeats its words, so the ids of each are looked up rather than merged anew. That needs the words: for
    a tokenizer of our own they are cut by the same pattern in Python's own engine, on ASCII only, where both engines
    agree on what a letter is. All other lines, and all text for other tokenizers, go through the tokenizer.

    Args:
        path: A `tokenizer.json`.
        dtype: The ids' type in what is returned, little-endian.
    """

    def __init__(self, path: Path | str, dtype: np.dtype[Any]) -> None:
        self.tokenizer = load_tokenizer(path)
        self.dtype = dtype
        self._control = _control_tokens(self.tokenizer)
        self._words = _Words(self.tokenizer, dtype) if _is_ours(self.tokenizer) else None

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        """Return the ids of each text, packed, without any control token."""
        if self._words is None:
            return self._slow(texts)
        pieces: list[list[str]] = [[text] if text.isascii() else _lines(text) for text in texts]
        others = iter(self._slow([piece for own in pieces for piece in own if not piece.isascii()]))
        words = self._words.packed
        return [b"".join(words(piece) if piece.isascii() else next(others) for piece in own) for own in pieces]

    def _slow(self, texts: Sequence[str]) -> list[bytes]:
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [
            np.array(self._without_control(text, encoding.ids), self.dtype).tobytes()
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _without_control(self, text: str, ids: list[int]) -> list[int]:
        """Return a text's ids, made anew where one is a control token's.

        The model itself gives such an id where the control token is also a word of its vocabulary: by a merge, or as a
        whole where it looks words up before it merges. Cut behind its first character, no piece spells it.
        """
        if self._control.keys().isdisjoint(ids):
            return ids
        spelt = "|".join(map(re.escape, self._control.values()))
        cuts = [0, *(match.start() + 1 for match in re.finditer(f"(?={spelt})", text)), len(text)]
        pieces = [text[start:end] for start, end in pairwise(cuts)]
        encodings = self.tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        return [index for encoding in encodings for index in encoding.ids]


class _Words(dict[str, bytes]):
    """The packed ids of every word met so far."""

    def __init__(self, tokenizer: Tokenizer, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self._model = tokenizer.model
        self._dtype = dtype

    def __missing__(self, word: str) -> bytes:
        tokens = self._model.tokenize(word.translate(_BYTE_ALPHABET))
        ids = np.array([token.id for token in tokens], self._dtype).tobytes()
        if len(self) < _WORDS_KEPT and len(word) <= _LONGEST_WORD_KEPT:
            self[word] = ids
        return ids

    def packed(self, text: str) -> bytes:
        """Return the ids of an ASCII text."""
        return b"".join(map(self.__getitem__, _ASCII_PATTERN.findall(text)))


def _control_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    return {index: token.content for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}


def _is_ours(tokenizer: Tokenizer) -> bool:
    """Return whether a tokenizer cuts text as those of `train_tokenizer` do, and its model gives words only."""
    given, ours = (json.loads(one.to_str()) for one in (tokenizer, _untrained()))
    model = given["model"]
    return (
        all(given[key] == ours[key] for key in ("normalizer", "pre_tokenizer"))
        and not model.get("dropout")
        and not model.get("ignore_merges")
        and all(token["special"] for token in given["added_tokens"])
        and {token["content"] for token in given["added_tokens"]}.isdisjoint(map("".join, model["merges"]))
    )


def _lines(text: str) -> list[str]:
    """Cut a text into runs of lines that are ASCII and runs that are not, where no word goes across.

    A word ends with a line's end unless only white space follows before the next one, so a line that starts with a
    printing ASCII character starts a word.
    """
    runs = groupby(_LINE_STARTS.split(text), key=str.isascii)
    return ["".join(lines) for _, lines in runs]


_SPACE = r" \t\n\v\f\r"
# PATTERN for ASCII text. Python's own \s also takes four control characters that are no white space in Unicode.
_ASCII_PATTERN = re.compile(
    rf"[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^{_SPACE}A-Za-z0-9]+[\r\n]*|[{_SPACE}]*[\r\n]+"
    rf"|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
)
_LINE_STARTS = re.compile(r"(?<=\n)(?=[!-~])")
_WORDS_KEPT = 1_000_000  # some 150 MB at most
_LONGEST_WORD_KEPT = 64


def _byte_alphabet() -> dict[int, str]:
    """Return the character that stands for each byte in a byte-level vocabulary.

    Source: `bytes_to_unicode` in OpenAI's GPT-2 encoder: printing characters stand for themselves, the others are
    numbered from 256 on.
    """
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    return {byte: chr(byte) for byte in printing} | {byte: chr(256 + place) for place, byte in enumerate(others)}


_BYTE_ALPHABET = _byte_alphabet()


@contextmanager
def encoding(
    path: Path | str, dtype: np.dtype[Any], total_bytes: int, processes: int | None = None
) -> Iterator[Callable[[Iterable[Sequence[str]]], Iterator[list[bytes]]]]:
    """Encode batches of texts on all cores.

    Args:
        path: A `tokenizer.json`.
        dtype: The ids' type in what is returned.
        total_bytes: About how much text there will be: little is encoded in this process.
        processes: How many processes encode; None for one a core. The result does not depend on it.

    Yields:
        A function from batches of texts to their packed ids, in order, that reads only a little ahead.
    """
    processes = processes or min(len(os.sched_getaffinity(0)), 1 + total_bytes // _BYTES_A_PROCESS)
    if processes <= 1:
        encoder = Encoder(path, dtype)
        yield lambda batches: (encoder.encode(texts) for texts in batches)
        return
    with worker_processes(processes, __name__, _start_worker, (str(path), dtype)) as pool:

        def encoded(batches: Iterable[Sequence[str]]) -> Iterator[list[bytes]]:
            ahead: deque[Future[list[bytes]]] = deque()
            for texts in batches:
                ahead.append(pool.submit(_work, texts))
                if len(ahead) > 2 * processes:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

        yield encoded


_BYTES_A_PROCESS = 16_000_000  # about two seconds of encoding, against one to start a process
_worker: dict[str, Encoder] = {}


def _start_worker(path: str, dtype: np.dtype[Any]) -> None:
    _worker["encoder"] = Encoder(path, dtype)


def _work(texts: Sequence[str]) -> list[bytes]:
    return _worker["encoder"].encode(texts)
