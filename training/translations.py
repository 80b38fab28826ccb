"""What a model's translations are scored on: the source given, the target predicted. No torch here.

Start at `translation_sets`. Each instance of an `evaluation` artifact is read as a training document would be, behind
an end-of-text token, and only the tokens of its target count; as in the documents of pairs, they are tokenized apart
from what stands before them. What always holds: a set depends on the instances, the tokenizer and the sequence length
alone, and directions that parallel documents train are never summed with those that they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake, bad_input
from training.evaluation import IGNORED

Encode = Callable[[Sequence[str]], list[list[int]]]
"""Token ids of texts, without control tokens."""

COLUMNS = ("source_language", "target_language", "seen", "prompt", "target_code")
"""What is read of `parallel_mining.evaluation.INSTANCE_SCHEMA`."""

TRANSLATIONS_FILE = "translations.npz"
"""In the folder of what is trained, while it is: the tokenized evaluation set, where there is one."""

_WIDTH = 64
"""Sets are padded to a multiple of this where sequences are that long, so that any usual tensor parallelism divides."""


@dataclass(frozen=True)
class TranslationSet:
    """The instances of one direction.

    Args:
        source_language: Language id of what is given.
        target_language: Language id of what is predicted.
        seen: Whether parallel documents train this direction.
        inputs: Token ids, `(n, width)`.
        labels: What each is to be followed by, `(n, width)`; `IGNORED` but for the tokens of the target.
        target_bytes: UTF-8 bytes of all targets.
        left_out: Instances that are longer than a sequence.
    """

    source_language: str
    target_language: str
    seen: bool
    inputs: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    target_bytes: int
    left_out: int

    @property
    def target_tokens(self) -> int:
        """Return how many tokens are predicted."""
        return int((self.labels != IGNORED).sum())

    @property
    def named(self) -> dict[str, Any]:
        """Return what its rows are told by."""
        return {
            "source_language": self.source_language,
            "target_language": self.target_language,
            "seen": self.seen,
            "instances": len(self.inputs),
            "left_out": self.left_out,
        }


def read_instances(folder: Path | str) -> list[dict[str, Any]]:
    """Return what is scored of the instances of an `evaluation` artifact: `COLUMNS`.

    `parallel_mining.evaluation` reads all of them, and needs the sandbox that judges translations by running them.

    Raises:
        BadInput: There is no finished one, or it is damaged.
    """
    read_manifest(folder, "evaluation")
    path = Path(folder) / "instances.parquet"
    try:
        return pq.read_table(path, columns=list(COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        bad_input(path, f"cannot be read ({error}); make the evaluation set again")


def translation_sets(
    instances: Sequence[Mapping[str, Any]], encode: Encode, *, end_of_text: int, sequence_length: int
) -> tuple[TranslationSet, ...]:
    """Tokenize the instances of an evaluation set, by direction.

    Args:
        instances: Rows with `COLUMNS`.
        encode: The run's tokenizer.
        end_of_text: Its end-of-text token.
        sequence_length: Tokens that a model reads at once; longer instances are left out and counted.

    Returns:
        A set for each direction that has an instance short enough, in order of languages.

    Raises:
        BadInput: None is.
    """
    directions: dict[tuple[str, str, bool], list[Mapping[str, Any]]] = {}
    for row in instances:
        key = row["source_language"], row["target_language"], bool(row["seen"])
        directions.setdefault(key, []).append(row)
    found: list[TranslationSet] = []
    for (source, target, seen), rows in sorted(directions.items()):
        given = encode([row["prompt"] for row in rows])
        wanted = encode([row["target_code"] for row in rows])
        fitting = [n for n in range(len(rows)) if len(given[n]) + len(wanted[n]) <= sequence_length]
        if not fitting:
            continue
        longest = max(len(given[n]) + len(wanted[n]) for n in fitting)
        width = min(sequence_length, -(-longest // _WIDTH) * _WIDTH)
        inputs = np.full((len(fitting), width), end_of_text, np.int64)
        labels = np.full_like(inputs, IGNORED)
        for place, n in enumerate(fitting):
            ids = [end_of_text, *given[n], *wanted[n]]
            inputs[place, : len(ids) - 1] = ids[:-1]
            labels[place, len(given[n]) : len(ids) - 1] = wanted[n]
        found.append(
            TranslationSet(
                source_language=source,
                target_language=target,
                seen=seen,
                inputs=inputs,
                labels=labels,
                target_bytes=sum(len(rows[n]["target_code"].encode()) for n in fitting),
                left_out=len(rows) - len(fitting),
            )
        )
    if not found:
        raise BadInput(
            [
                Mistake(
                    "evaluation",
                    f"none of its {len(instances)} instances fits into a sequence of {sequence_length} tokens;"
                    " train with longer sequences",
                )
            ]
        )
    return tuple(found)


def mean_bits_per_byte(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the bits per byte over all directions that parallel documents train (`seen`), and over all others.

    Args:
        rows: Rows of `training.runs.TRANSLATION_SCHEMA` of one run; those of its last step count.

    Returns:
        `seen` and `unseen`, weighted by bytes; without those that have no direction.
    """
    last = max((row["step"] for row in rows), default=0)
    found: dict[str, float] = {}
    for name, seen in (("seen", True), ("unseen", False)):
        chosen = [row for row in rows if row["step"] == last and row["seen"] is seen]
        size = sum(row["evaluated_bytes"] for row in chosen)
        if size:
            found[name] = sum(row["bits_per_byte"] * row["evaluated_bytes"] for row in chosen) / size
    return found


def read_evaluation(
    folder: Path | str, tokenizer_file: Path, *, end_of_text: int, sequence_length: int
) -> tuple[TranslationSet, ...]:
    """Tokenize an `evaluation` artifact with the tokenizer of what a run reads.

    Args:
        folder: The artifact.
        tokenizer_file: The tokenizer.
        end_of_text: The token that ends a document.
        sequence_length: Tokens a sequence.

    Raises:
        BadInput: There is no such artifact, it is damaged, or none of its instances fits into a sequence.
    """
    from training.tokenizer import encode, load_tokenizer

    tokenizer = load_tokenizer(tokenizer_file)
    return translation_sets(
        read_instances(folder),
        lambda texts: encode(tokenizer, texts),
        end_of_text=end_of_text,
        sequence_length=sequence_length,
    )


def write_translation_sets(sets: Sequence[TranslationSet], path: Path) -> None:
    """Write sets to a file, for the processes of a run."""
    arrays: dict[str, Any] = {}
    for n, one in enumerate(sets):
        arrays[f"{n}:named"] = np.array([one.source_language, one.target_language])
        arrays[f"{n}:counted"] = np.array([one.seen, one.target_bytes, one.left_out], np.int64)
        arrays[f"{n}:inputs"], arrays[f"{n}:labels"] = one.inputs, one.labels
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_translation_sets(path: Path) -> tuple[TranslationSet, ...]:
    """Read what `write_translation_sets` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        count = sum(name.endswith(":named") for name in arrays.files)
        found: list[TranslationSet] = []
        for n in range(count):
            source, target = (str(name) for name in arrays[f"{n}:named"])
            seen, target_bytes, left_out = (int(value) for value in arrays[f"{n}:counted"])
            inputs, labels = arrays[f"{n}:inputs"], arrays[f"{n}:labels"]
            found.append(TranslationSet(source, target, bool(seen), inputs, labels, target_bytes, left_out))
    return tuple(found)
