"""The nouns `Program`, `ParallelPair`, `Verdict` and `Evidence`, with their Arrow schemas and contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from parallel_mining.types import Type
from quality.contracts import Contract, Expectation

Verdict = Literal["equivalent", "different", "insufficient", "nondeterministic", "timeout", "broken", "unsupported"]
VERDICTS: tuple[Verdict, ...] = (
    "equivalent",
    "different",
    "insufficient",
    "nondeterministic",
    "timeout",
    "broken",
    "unsupported",
)


WHOLE = "<program>"
"""The entry of a whole program; no language has a function of such a name."""


@dataclass(frozen=True)
class Program:
    """A self-contained piece of source text with one function to call, or a whole program.

    A whole program has the entry `WHOLE`. Its one argument is the text on standard input, its result the text that it
    printed on standard output, as UTF-8; to end with a status other than zero is to raise. Every call is a new process.

    Args:
        language: A language id.
        code: Everything it needs: imports, helpers, types; compiles on its own (a driver adds only its harness).
        entry: The function, qualified where it is a static method: `gcd`, `MathUtils.gcd`. A method that needs its
            object is called through a function in the code that makes it of plain values, given before the method's
            own: `Money_times` is `Money(amount).times(n)`; `Called.Money_times` where functions are members.
        parameters: Canonical parameter types, or None where nothing declares them.
        returns: Canonical result type, or None where nothing declares it.
    """

    language: str
    code: str
    entry: str
    parameters: tuple[Type, ...] | None = None
    returns: Type | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole program, and not one function."""
        return self.entry == WHOLE


STDIN, PRINTED = Type("stdin"), Type("str")


def whole_program(language: str, code: str) -> Program:
    """Return a text as a whole program."""
    return Program(language, code, WHOLE, (STDIN,), PRINTED)


PAIR_SCHEMA = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("left_language", pa.string(), nullable=False),  # the pivot
        pa.field("right_language", pa.string(), nullable=False),
        pa.field("left_entry", pa.string(), nullable=False),
        pa.field("right_entry", pa.string(), nullable=False),
        pa.field("left_code", pa.string(), nullable=False),  # the unit as it was run: what a document shows
        pa.field("right_code", pa.string(), nullable=False),
        pa.field("left_document", pa.string(), nullable=False),  # Document.id
        pa.field("right_document", pa.string(), nullable=False),
        pa.field("left_repo", pa.string(), nullable=False),
        pa.field("right_repo", pa.string(), nullable=False),
        pa.field("left_path", pa.string(), nullable=False),
        pa.field("right_path", pa.string(), nullable=False),
        pa.field("left_licenses", pa.list_(pa.string()), nullable=False),
        pa.field("right_licenses", pa.list_(pa.string()), nullable=False),
        pa.field("split", pa.string(), nullable=False),  # train only if both documents are
        pa.field("channel", pa.string(), nullable=False),  # how they met: index, port, stem, vectors, joined by "+"
        pa.field("score", pa.float64(), nullable=False),  # candidate similarity, 0 to 1
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("tolerance", pa.string(), nullable=False),  # exact, 1e-9, ... : the widest that was needed
        pa.field("cases", pa.int64(), nullable=False),  # inputs on which both sides were run
        pa.field("agreed", pa.int64(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),  # JSON: the input family the agreement holds on
        pa.field("evidence", pa.string(), nullable=False),  # JSON: inputs, output hashes, seeds, tool versions
    ]
)

PAIR_CONTRACT = Contract(
    noun="pair",
    key=("pair_id",),
    expectations=(
        Expectation("expect_column_values_to_be_unique", {"column": "pair_id"}, "a pair was emitted twice"),
        Expectation(
            "expect_column_values_to_be_in_set", {"column": "verdict", "value_set": ["equivalent"]}, "unproved"
        ),
        Expectation("expect_column_pair_values_to_be_equal", {"column_A": "cases", "column_B": "agreed"}, "disagreed"),
        Expectation("expect_column_values_to_be_between", {"column": "cases", "min_value": 8}, "too little evidence"),
    ),
)
