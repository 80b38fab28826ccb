"""A tokenizer as everything here reads it: all of a text is text, even what spells out a control token. No torch here.

Start at `load_tokenizer`. How tokenizers are made and much text is encoded at once stands in `pipelines.tokenizer`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from quality.mistakes import bad_input


def load_tokenizer(path: Path | str) -> Tokenizer:
    """Load a `tokenizer.json` so that it encodes all of a text and nothing else.

    Raises:
        BadInput: The file is missing or no tokenizer.
    """
    path = Path(path)
    if not path.is_file():
        bad_input(path, "no such file; a tokenizer.json as Hugging Face tokenizers saves it is needed here")
    try:
        tokenizer = Tokenizer.from_str(_with_control_tokens_marked(path.read_text(encoding="utf-8")))
    except Exception as error:  # the library raises bare Exception
        bad_input(path, f"not a tokenizer.json ({error})")
    # Not part of the file: without it, text that spells a control token becomes one.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _with_control_tokens_marked(text: str) -> str:
    """Return a `tokenizer.json` whose added tokens are all special, but for those that are no markup.

    Makers leave the mark out of tokens such as `<tool_call>` or `<|fim_prefix|>` that only chat templates write; text
    that spells one would become it. Added runs of white space and single characters are text and stay so.
    """
    given = json.loads(text)
    for token in given.get("added_tokens") or []:
        token["special"] = bool(token.get("special")) or len(token["content"].strip()) > 1
    return json.dumps(given)


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts, without any control token.

    Args:
        tokenizer: What `load_tokenizer` gave.
        texts: The texts.
    """
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
