"""What a causal language model writes behind prompts: in batches, greedy or sampled, with a key-value cache.

Start at `load_generator`, which takes any such model that transformers can load. What always holds: the same model,
prompts, settings and seed give the same completions on the same machine; the text of a prompt never becomes a control
token; what ends a completion does not belong to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from quality.mistakes import bad_input

END_OF_TEXT = "<|endoftext|>"
"""What ends a document for a tokenizer of this project, where a model's configuration does not say."""

Ended = Literal["end", "stop", "length", "prompt"]
"""Why a completion is over: the model ended the text; it wrote a text that stops it; it reached the most tokens; or the
prompt alone left it no room."""


class Decoding(BaseModel):
    """How completions are drawn.

    Args:
        samples: Completions a problem.
        temperature: 0 takes the likeliest token each time, which makes more than one sample pointless.
        top_p: Only the likeliest tokens that together have this probability are drawn from.
        max_tokens: Tokens a completion has at most.
        seed: Of what is drawn.
        batch: Prompts at once. It may change results in the last bits, as sums come in another order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    samples: int = Field(default=1, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    max_tokens: int = Field(default=512, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    batch: int = Field(default=16, ge=1)


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Args:
        text: Without what ended it.
        prompt_tokens: Tokens of the prompt.
        tokens: Tokens that were generated.
        ended: Why it is over.
    """

    text: str
    prompt_tokens: int
    tokens: int
    ended: Ended


class Generator(Protocol):
    """Whatever completes prompts."""

    def complete(
        self, prompts: Sequence[str], stops: Sequence[tuple[str, ...]], decoding: Decoding, seed: int
    ) -> list[Completion]:
        """Complete prompts at once.

        Args:
            prompts: What is continued.
            stops: For each, the texts that end its completion.
            decoding: How.
            seed: Of what is drawn.
        """
        ...


def load_generator(model_dir: Path | str, device: str = "") -> Generator:
    """Load a model in Hugging Face's format.

    Args:
        model_dir: A folder with `config.json`, weights and a tokenizer, of any causal language model.
        device: Such as `cuda` or `cpu`; a GPU if there is one unless named.

    Raises:
        BadInput: There is no such model or device.
    """
    import torch
    from safetensors import SafetensorError
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(model_dir)
    if not (folder / "config.json").is_file():
        bad_input(folder, "no config.json here; give a folder in Hugging Face's format, such as `polymix export` makes")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # torch says it in a first line, and what its developers want to know in more.
        why = next(iter(str(error).splitlines()), "torch does not know it")
        bad_input("--device", f"{device!r} cannot be used here ({why}); leave it out, or name cpu")
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
        file = folder / "tokenizer.json"
        tokenizer: Any = (
            Tokenizer.from_file(str(file))
            if file.is_file()
            else AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
        )
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        bad_input(folder, f"no causal language model with a tokenizer can be loaded: {error}")
    tokenizer.encode_special_tokens = True  # what is spelt in a text is text
    return _Transformers(model.to(device).eval(), tokenizer)


class _Transformers:
    """A transformers model with a tokenizer of the library tokenizers."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        named = model.generation_config.eos_token_id
        named = model.config.eos_token_id if named is None else named
        ends = [named] if isinstance(named, int) else list(named or [])
        own = tokenizer.token_to_id(END_OF_TEXT)
        self._ends: list[int] = ends or ([own] if own is not None else [])
        self._room = int(getattr(model.config, "max_position_embeddings", 0) or 2**31)

    def complete(
        self, prompts: Sequence[str], stops: Sequence[tuple[str, ...]], decoding: Decoding, seed: int
    ) -> list[Completion]:
        """Complete prompts at once, those that leave no room apart."""
        encoded = [self._tokenizer.encode(prompt).ids for prompt in prompts]
        done = {
            number: Completion("", len(ids), 0, "prompt")
            for number, ids in enumerate(encoded)
            if not 0 < len(ids) < self._room
        }
        left = [number for number in range(len(prompts)) if number not in done]
        if left:
            rows = self._generate([encoded[n] for n in left], [stops[n] for n in left], decoding, seed)
            for number, new in zip(left, rows, strict=True):
                done[number] = self._completion(len(encoded[number]), new, stops[number])
        return [done[number] for number in range(len(prompts))]

    def _generate(
        self, encoded: list[list[int]], stops: list[tuple[str, ...]], decoding: Decoding, seed: int
    ) -> list[list[int]]:
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        longest = max(map(len, encoded))
        pad = self._ends[0] if self._ends else 0
        device = self._model.device
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in encoded], device=device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in encoded], device=device)
        sampled = decoding.temperature > 0
        config = GenerationConfig(
            max_new_tokens=min(decoding.max_tokens, self._room - longest),
            do_sample=sampled,
            temperature=decoding.temperature if sampled else None,
            top_p=decoding.top_p if sampled else None,
            top_k=0 if sampled else None,  # all tokens; transformers would take the likeliest 50
            eos_token_id=self._ends or None,
            pad_token_id=pad,
            use_cache=True,
        )
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            out = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([_Stop(self._tokenizer, stops, longest)]),
            )
        return [row.tolist() for row in out[:, longest:]]

    def _completion(self, prompt_tokens: int, new: list[int], stop: tuple[str, ...]) -> Completion:
        ends = [place for place, token in enumerate(new) if token in self._ends]
        written = new[: ends[0]] if ends else new
        text = self._tokenizer.decode(written, skip_special_tokens=False)
        places = [place for one in stop if (place := text.find(one)) >= 0]
        if places:
            return Completion(text[: min(places)], prompt_tokens, len(written), "stop")
        return Completion(text, prompt_tokens, len(written), "end" if ends else "length")


class _Stop:
    """Says of each row of a batch whether it has written a text that stops it."""

    def __init__(self, tokenizer: Any, stops: Sequence[tuple[str, ...]], prompt: int) -> None:
        self._tokenizer, self._stops, self._prompt = tokenizer, stops, prompt
        # A token is a byte at least, so that a text lies within as many of the last tokens as it has bytes.
        self._reach = [max((len(one.encode()) for one in stop), default=0) + 4 for stop in stops]

    def __call__(self, input_ids: Any, scores: Any, **_: object) -> Any:  # noqa: ARG002
        import torch

        found: list[bool] = []
        for row, stop, reach in zip(input_ids, self._stops, self._reach, strict=True):
            last = row[max(self._prompt, len(row) - reach) :].tolist() if stop else []
            text = self._tokenizer.decode(last, skip_special_tokens=False) if last else ""
            found.append(any(one in text for one in stop))
        return torch.tensor(found, device=input_ids.device)
