"""Does a document hold a task of a benchmark that models are tested with?

Start at `Benchmarks.read`, which indexes the benchmark files that the user supplies (none is shipped), and at
`Benchmarks.check`, which asks of one text whether it holds one of their tasks. What is asked is how much of the *task*
lies in the document, since a document is mostly longer than a task and copied ones stand beside other code.

Text is read as words: runs of letters, cut where camelCase is, in lower case, and runs of digits. Punctuation, comment
marks and `_` only separate, so that a docstring reads alike in all languages and `has_close` is `hasClose`. Names of
types (`list`, `String`, `None`, ...) are left out, since translations of a prompt replace them. Four rules, any of
which is enough:

- `prompt`: most of the n-grams of a task's prose;
- `solution`: most of the n-grams of its reference solution, unless that is short or an idiom (`trivial_solutions.txt`);
- `tests`: most of the n-grams of its tests;
- `signature`: its function by name with its parameters in their order, if these are telling, or else with most of the
  solution's own words after them: renamed locals, translated code without its prompt.

A translated solution that keeps neither prompt nor telling names is another program, and is mostly not found.

What always holds: an n-gram that many tasks share says nothing and is not counted; the answer depends on the text, the
benchmark rows and the settings only; two indexes of one `digest` give the same answers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from quality.artifacts import fingerprint
from quality.mistakes import BadInput, Mistake, bad_input

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

CONTAMINATION_VERSION = 1
"""Goes up with any change that may change an answer; part of every digest."""

Part = Literal["prompt", "solution", "tests", "signature"]
_PARTS: tuple[Part, ...] = ("prompt", "solution", "tests")


class ContaminationSettings(BaseModel):
    """All that defines when a document counts as contaminated, beside the benchmarks.

    Args:
        ngram: Words in an n-gram. Source: 8 to 13 in GPT-3 (Brown et al. 2020, appendix C), 10 in DeepSeek-Coder
            (Guo et al. 2024), 12 in datatrove, where one n-gram in common is enough. Here most of a task must be in
            common, and names of types are no words: 6 finds 99.8 in 100 of MBPP's translated prompts, 8 finds 98.7,
            and neither hit anything in 515 MB of packages.
        share: Of a part's n-grams, in the document. Measured: at 0.5 the definition of a textbook function was hit.
        min_prompt_ngrams: A prompt with fewer n-grams of its own must be in the document word for word.
        min_solution_ngrams: A solution (or tests) with fewer n-grams of its own is trivial and never matches alone.
        common: An n-gram of so many tasks of one index is phrasing ("write a function to find the"), not content.
        spread: A match must lie within so many times the part's own length.
        telling_words: Words of three letters and more in a function's name and parameters that are not those of any
            program, from which on the signature alone is enough. Measured: counting all words, `max_height(node)` was
            hit.
        signature_words: As many let the signature rule ask for the solution's own words. Measured: with 2,
            `valid_date(date)` was hit.
        min_own_words: As many of these must follow the signature.
        own_share: And this share of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ngram: int = Field(default=6, ge=2, le=50)
    share: float = Field(default=0.6, gt=0, le=1)
    min_prompt_ngrams: int = Field(default=4, ge=1)
    min_solution_ngrams: int = Field(default=6, ge=1)
    common: int = Field(default=4, ge=2)
    spread: float = Field(default=3.0, ge=1)
    telling_words: int = Field(default=3, ge=2)
    signature_words: int = Field(default=3, ge=1)
    min_own_words: int = Field(default=3, ge=1)
    own_share: float = Field(default=0.6, gt=0, le=1)


@dataclass(frozen=True)
class Task:
    """A task of a benchmark, as text; any part may be empty.

    Args:
        benchmark: The file it came from, without folder and endings.
        name: Its id there.
        prompt: What is asked, in words.
        solution: The reference solution.
        tests: The tests.
        entry: The name of the function that is asked for.
        parameters: The names of its parameters.
    """

    benchmark: str
    name: str
    prompt: str = ""
    solution: str = ""
    tests: str = ""
    entry: str = ""
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contaminated:
    """The task that a document holds.

    Args:
        benchmark: The benchmark.
        task: The task's id in it.
        part: Which rule found it.
        share: How much of that part is in the document, 0 to 1.
        matched: How many n-grams (signature: words) that is.
    """

    benchmark: str
    task: str
    part: Part
    share: float
    matched: int

    def __str__(self) -> str:
        return f"{self.benchmark} {self.task}: {self.share:.0%} of its {self.part} ({self.matched})"


# --- Words ------------------------------------------------------------------------------------------------------------

# A word's hash is the polynomial of its bytes in an odd base, summed anywhere in the buffer and moved to its start by
# the base's inverse modulo 2**64, so that all words of a text are hashed in one pass.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_CHAIN = 0xD6E8FEB86659FD93
_MASK = (1 << 64) - 1
_SEPARATOR, _DIGIT, _UPPER, _LOWER = range(4)
_CHUNK = 1 << 20

_REWORDED = """
    arr array arraylist arrays bool boolean c cpp csharp dict dictionaries dictionary double false float golang hash
    hashmap int integer integers java javascript list lists long map maps nil none null option pair pairs php python
    ruby rust script slice slices str string strings table tables true tuple tuples type typescript undefined vec
    vector vectors void
"""
"""What translations of a prompt put for one another: types and languages. Source: the terms that MultiPL-E (Cassano et
al. 2023) rewords, and the names of its languages that are no English words."""

_COMMON_CODE_WORDS = """
    abs and append as assert async await break byte case catch char class const continue contains count def default
    del elif else end enumerate err error except extends f64 final finally fmt fn for foreach from func function get
    go i i32 i64 if implements import in index insert instanceof is isinstance iter iterator item items j join k key
    keys lambda len length let main math max min mut namespace new next not num nums number numbers object of or
    override package params pass print private protected pub public push range raise ref res result ret return
    reverse s self set size solution sort sorted static struct sum super switch tail this throw throws tmp to try
    type u8 usize use using val value values var while with x y yield 0 1 2 10
"""
"""Words of any program; a solution's own words are the others."""


def _byte_tables() -> tuple[NDArray[np.uint8], U64]:
    kinds = np.zeros(256, np.uint8)
    kinds[[*b"0123456789"]] = _DIGIT
    kinds[65:91] = _UPPER
    kinds[97:123] = _LOWER
    kinds[128:] = _LOWER
    digests = [hashlib.blake2b(bytes([byte]).lower(), digest_size=8).digest() for byte in range(256)]
    values = np.array([int.from_bytes(digest, "little") for digest in digests], np.uint64)
    values[kinds == _SEPARATOR] = 0
    return kinds, values


_KIND, _VALUE = _byte_tables()
# Whether a word begins at a byte, by the kind of the byte before (times 4) and its own.
_BEGINS = np.array(
    [
        kind != _SEPARATOR and before != kind and (before, kind) != (_UPPER, _LOWER)
        for before in range(4)
        for kind in range(4)
    ]
)


@cache
def _powers(base: int, exponent: int) -> U64:
    powers = np.full(1 << exponent, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def _mixed(values: U64) -> U64:
    """Return splitmix64's finaliser of each value. Source: Steele, Lea, Flood, OOPSLA 2014."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _words(text: str) -> U64:
    """Return the hash of each word of a text, in order."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= _CHUNK:
        return _words_of(data)
    found: list[U64] = []
    at = 0
    while at < len(data):
        # Cut where no word is: tables of powers as long as a text would take sixteen times its size.
        end = at + _CHUNK
        if end < len(data):
            end = max(data.rfind(b"\n", at, end), data.rfind(b" ", at, end)) + 1 or end
        found.append(_words_of(data[at:end]))
        at = end
    return np.concatenate(found)


def _words_of(raw: bytes) -> U64:
    data = np.frombuffer(raw, np.uint8)
    if not len(data):
        return np.zeros(0, np.uint64)
    kinds = _KIND[data]
    values = _VALUE[data]
    if b"\\" in raw:
        # What stands after a backslash is an escape, not a letter of the word after it: "\nCheck" in a JSON string.
        escaped = np.flatnonzero(data[:-1] == 92) + 1
        kinds[escaped] = _SEPARATOR
        values[escaped] = 0
    pairs = kinds.copy()
    pairs[1:] |= kinds[:-1] << 2
    starts = np.flatnonzero(_BEGINS[pairs])
    if not len(starts):
        return np.zeros(0, np.uint64)
    exponent = max(16, len(data).bit_length())
    values *= _powers(_BASE, exponent)[: len(data)]
    return _mixed(np.add.reduceat(values, starts) * _powers(_INVERSE, exponent)[starts])


def _chained(words: U64, size: int) -> U64:
    """Return the hash of each run of `size` words, by doubling."""
    if size == 1 or len(words) < size:
        return words[: max(0, len(words) - size + 1)]
    left, right = size // 2, size - size // 2
    both = _chained(words, right)
    first = both if left == right else _chained(words, left)
    count = len(words) - size + 1
    return first[:count] * np.uint64(pow(_CHAIN, right, 1 << 64)) + both[left : left + count]


@cache
def _reworded() -> NDArray[np.bool_]:
    """Return which words are left out, by the low 16 bits of the hash (a word in a thousand shares them by chance)."""
    table = np.zeros(1 << 16, np.bool_)
    table[(_words(_REWORDED) & np.uint64(0xFFFF)).astype(np.int64)] = True
    return table


def _places(words: U64) -> I64:
    """Return the indices of the words that n-grams are made of."""
    return np.flatnonzero(~_reworded()[(words & np.uint64(0xFFFF)).view(np.int64)])


def _unique(values: U64) -> U64:
    # np.unique hashes first, which takes several times as long as a vectorised sort.
    values = np.sort(values)
    return values[np.flatnonzero(np.diff(values, prepend=~values[:1]))]


_CUT = "\f"
"""Stands in a task's prompt where something was left out, so that no n-gram goes across."""


def _grams(text: str, size: int) -> U64:
    """Return the distinct n-grams of a text, sorted."""
    pieces = [_words(piece) for piece in text.split(_CUT)]
    return _unique(np.concatenate([_chained(words[_places(words)], size) for words in pieces]))


class _Filter:
    """A bit table that says of most values that are not in a set that they are not."""

    def __init__(self, values: U64) -> None:
        self._mask = np.uint64((1 << max(16, (16 * len(values)).bit_length())) - 1)
        self._table = np.zeros(int(self._mask) + 1, np.bool_)
        self._table[self._at(values)] = True

    def _at(self, values: U64) -> I64:
        return (values & self._mask).view(np.int64)

    def hits(self, values: U64) -> I64:
        return np.flatnonzero(self._table[self._at(values)])


# --- The index --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Signature:
    """What the signature rule looks for.

    Args:
        task: Index of the task.
        parameters: Hashes of the words of the parameters' names, in order.
        telling: Whether these and the name are enough.
        own: Hashes of the solution's own words, sorted.
        window: How many words after the name they must lie in.
    """

    task: int
    parameters: tuple[int, ...]
    telling: bool
    own: tuple[int, ...]
    window: int


@dataclass(frozen=True, eq=False)
class Benchmarks:
    """An index of benchmark tasks; small, and can be pickled.

    Args:
        settings: The settings.
        tasks: Benchmark and name of each task.
        digest: Of all that the answers depend on, 64 hex digits; `""` where there is no benchmark.
        grams: The counted n-grams of all parts, sorted.
        owners: Which parts hold each n-gram: those of gram `i` are `owners[offsets[i]:offsets[i + 1]]`. A part's number
            is its task's index times 3, plus 0 for the prompt, 1 for the solution, 2 for the tests.
        offsets: See `owners`.
        sizes: Counted n-grams of each part.
        limits: From how many of them on a document holds the part.
        lengths: Words of each part.
        signatures: What the signature rule looks for, by the hash of the function's name.
        name_words: How many words names have.
    """

    settings: ContaminationSettings
    tasks: tuple[tuple[str, str], ...]
    digest: str
    grams: U64
    owners: NDArray[np.int32]
    offsets: I64
    sizes: I64
    limits: I64
    lengths: I64
    signatures: Mapping[int, tuple[_Signature, ...]] = field(repr=False)
    name_words: tuple[int, ...]

    @classmethod
    def of(
        cls,
        tasks: Iterable[Task],
        settings: ContaminationSettings | None = None,
        trivial: Iterable[str] = (),
    ) -> Benchmarks:
        """Index tasks.

        Args:
            tasks: The tasks; their order is no part of the result.
            settings: The settings.
            trivial: Solutions that are idioms, beside those of `trivial_solutions.txt`: their n-grams count in no
                solution.
        """
        settings = settings or ContaminationSettings()
        ordered = sorted(set(tasks), key=lambda task: (task.benchmark, task.name, repr(task)))
        idioms = sorted({*_shipped_trivial(), *trivial})
        size = settings.ngram
        parts = [_grams(text, size) for task in ordered for text in (task.prompt, task.solution, task.tests)]
        uncounted = _uncounted(parts, settings.common)
        of_idioms = np.concatenate([np.zeros(0, np.uint64), *(_grams(idiom, size) for idiom in idioms)])
        limits: list[int] = []
        for number, grams in enumerate(parts):
            keep = ~np.isin(grams, uncounted)
            if number % 3 == 1:
                keep &= ~np.isin(grams, of_idioms)
            parts[number], limit = _counted(number % 3, grams, grams[keep], settings)
            limits.append(limit)
        sizes = np.array([len(grams) for grams in parts], np.int64)
        values = np.concatenate([np.zeros(0, np.uint64), *parts])
        owners = np.repeat(np.arange(len(parts), dtype=np.int32), sizes)
        order = np.lexsort((owners, values))
        grams, starts = np.unique(values[order], return_index=True)
        texts = [text for task in ordered for text in (task.prompt, task.solution, task.tests)]
        signatures = _signatures(ordered, settings)
        identity = [
            CONTAMINATION_VERSION,
            settings.model_dump(mode="json"),
            [[t.benchmark, t.name, t.prompt, t.solution, t.tests, t.entry, *t.parameters] for t in ordered],
            idioms,
        ]
        return cls(
            settings=settings,
            tasks=tuple((task.benchmark, task.name) for task in ordered),
            digest=fingerprint(identity) if ordered else "",
            grams=grams,
            owners=owners[order],
            offsets=np.append(starts, len(values)).astype(np.int64),
            sizes=sizes,
            limits=np.array(limits, np.int64),
            lengths=np.array([len(_words(text)) for text in texts], np.int64),
            signatures=signatures,
            name_words=tuple(
                sorted({len(_words(ordered[one.task].entry)) for group in signatures.values() for one in group})
            ),
        )

    @classmethod
    def read(
        cls, paths: Sequence[Path], settings: ContaminationSettings | None = None, trivial: Path | None = None
    ) -> Benchmarks:
        """Index benchmark files.

        Args:
            paths: JSON Lines, JSON (a list of rows) or Parquet, each also with `.gz` but the last. Columns are known as
                HumanEval, MBPP, MultiPL-E, MBXP, BigCodeBench, APPS and DS-1000 call them (`COLUMNS`).
            settings: The settings.
            trivial: Solutions that are idioms, with a line `---` between two, beside those that are shipped.

        Raises:
            BadInput: Every mistake in every file.
        """
        tasks: list[Task] = []
        mistakes: list[Mistake] = []
        idioms: list[str] = []
        for path in paths:
            try:
                tasks += read_tasks(path)
            except BadInput as error:
                mistakes += error.mistakes
        names = Counter(_stem(path) for path in paths)
        mistakes += [
            Mistake(str(path), f"another file is called {_stem(path)} too; rename one, since reports name it")
            for path in paths
            if names[_stem(path)] > 1
        ]
        if trivial is not None:
            try:
                idioms = _snippets(trivial.read_text("utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                mistakes.append(Mistake(str(trivial), f"cannot be read: {error}"))
        if mistakes:
            raise BadInput(mistakes)
        return cls.of(tasks, settings, idioms)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    @cached_property
    def _gram_filter(self) -> _Filter:
        return _Filter(self.grams)

    @cached_property
    def _name_filter(self) -> _Filter:
        return _Filter(np.array(sorted(self.signatures), np.uint64))

    def check(self, text: str) -> Contaminated | None:
        """Return the task that a text holds (of several, the one it holds most of), or None.

        Args:
            text: A document.
        """
        words = _words(text)
        found = [*self._by_grams(words), *self._by_signature(words)]
        if not found:
            return None
        share, part, task, matched = min(found, key=lambda one: (-one[0], one[1], one[2]))
        benchmark, name = self.tasks[task]
        return Contaminated(benchmark, name, (*_PARTS, "signature")[part], share, matched)

    def _by_grams(self, words: U64) -> Iterable[tuple[float, int, int, int]]:
        """Yield share, part, task and count of what holds by its n-grams."""
        places = _places(words)
        grams = _chained(words[places], self.settings.ngram)
        at = self._gram_filter.hits(grams)
        if not len(at):
            return
        known = np.searchsorted(self.grams, grams[at])
        known[known == len(self.grams)] = 0
        right = self.grams[known] == grams[at]
        at, known = at[right], known[right]
        # Each n-gram once for the first look; where it stands matters only to what passes that.
        distinct = np.flatnonzero(np.bincount(known))
        counts = np.bincount(self._owned(distinct)[0], minlength=len(self.sizes))
        passing = (counts > 0) & (counts >= self.limits)
        if not passing.any():
            return
        parts, of_hit = self._owned(known)
        keep = np.flatnonzero(passing[parts])
        keep = keep[np.argsort(parts[keep], kind="stable")]
        ordered = parts[keep]
        for part in np.flatnonzero(passing).tolist():
            mine = of_hit[keep[np.searchsorted(ordered, part) : np.searchsorted(ordered, part, "right")]]
            span = int(self.settings.spread * int(self.lengths[part])) + self.settings.ngram
            matched = _densest(places[at[mine]].tolist(), known[mine].tolist(), span)
            if matched >= self.limits[part]:
                yield matched / int(self.sizes[part]), part % 3, part // 3, matched

    def _owned(self, known: I64) -> tuple[NDArray[np.int32], I64]:
        """Return the parts that hold n-grams, one after the other, and which of the n-grams each is for."""
        counts = self.offsets[known + 1] - self.offsets[known]
        of_gram = np.repeat(np.arange(len(known)), counts)
        first = np.cumsum(counts) - counts
        return self.owners[self.offsets[known][of_gram] + np.arange(len(of_gram)) - first[of_gram]], of_gram

    def _by_signature(self, words: U64) -> Iterable[tuple[float, int, int, int]]:
        """Yield share, part, task and count of what holds by its signature."""
        for size in self.name_words:
            names = _chained(words, size)
            for place in self._name_filter.hits(names).tolist():
                for signature in self.signatures.get(int(names[place]), ()):
                    after = place + size
                    head = words[after : after + _HEAD_WORDS * (len(signature.parameters) + 1)].tolist()
                    if not _in_order(signature.parameters, head):
                        continue
                    body = set(words[after : after + signature.window].tolist())
                    matched = sum(word in body for word in signature.own)
                    share = matched / max(1, len(signature.own))
                    if signature.telling:
                        yield 1.0, 3, signature.task, len(signature.parameters)
                    elif matched >= self.settings.min_own_words and share >= self.settings.own_share:
                        yield share, 3, signature.task, matched


_HEAD_WORDS = 4
"""Within how many words a parameter, the next: their types stand between."""


def _densest(places: Sequence[int], values: Sequence[int], span: int) -> int:
    """Return how many distinct values lie within `span` of one another, at most.

    Args:
        places: Where the values stand, in ascending order.
        values: The values.
        span: In the unit of the places.
    """
    inside: Counter[int] = Counter()
    first = best = 0
    for place, value in zip(places, values, strict=True):
        inside[value] += 1
        while place - places[first] > span:
            inside[values[first]] -= 1
            if not inside[values[first]]:
                del inside[values[first]]
            first += 1
        best = max(best, len(inside))
    return best


def _in_order(wanted: Sequence[int], given: Iterable[int]) -> bool:
    rest = iter(given)
    return all(word in rest for word in wanted)


def _uncounted(parts: Sequence[U64], common: int) -> U64:
    """Return the n-grams that stand in `common` tasks or more."""
    of_tasks = [_unique(np.concatenate(parts[task : task + 3])) for task in range(0, len(parts), 3)]
    values, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *of_tasks]), return_counts=True)
    return values[counts >= common]


def _counted(kind: int, every: U64, counted: U64, settings: ContaminationSettings) -> tuple[U64, int]:
    """Return the n-grams of a part that count, and how many of them must be met; none where it is too short."""
    if kind == 0 and len(counted) < settings.min_prompt_ngrams:
        # A short prompt, word for word: what it shares with others belongs to it.
        return every, len(every)
    if kind != 0 and len(counted) < settings.min_solution_ngrams:
        return counted[:0], 0
    return counted, math.ceil(settings.share * len(counted))


def _spoken(text: str, letters: int) -> set[int]:
    """Return the hashes of a text's words of so many letters and more that are no names of types."""
    words = re.findall(r"[A-Za-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return {*_words(" ".join(word for word in words if len(word) >= letters)).tolist()} - {*_words(_REWORDED).tolist()}


def _signatures(tasks: Sequence[Task], settings: ContaminationSettings) -> dict[int, tuple[_Signature, ...]]:
    found: dict[int, tuple[_Signature, ...]] = {}
    everyday = {*_words(_COMMON_CODE_WORDS).tolist()}
    for index, task in enumerate(tasks):
        name = _words(task.entry)
        parameters = tuple(cast(list[int], _words(" ".join(task.parameters)).tolist()))
        said = len(_spoken(" ".join([task.entry, *task.parameters]), 3) - everyday)
        # Numbers and single letters stand after any name that dates, indices or coordinates are computed from.
        own = _spoken(task.solution, 2) - everyday - {*parameters, *name.tolist()}
        new = _spoken(" ".join(task.parameters), 3) - {*name.tolist()}
        # A call with parameters of these names says it too; an `a` and a `b` stand in any call.
        telling = said >= settings.telling_words and bool(new) and min(map(len, task.parameters)) >= 3
        if len(name) < 2 or said < settings.signature_words or not (telling or len(own) >= settings.min_own_words):
            continue
        window = 2 * len(_words(task.solution)) + 60
        signature = _Signature(index, parameters, telling, tuple(sorted(own)), window)
        key = int(_chained(name, len(name))[0])
        found[key] = (*found.get(key, ()), signature)
    return found


# --- Benchmark files --------------------------------------------------------------------------------------------------

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": ("task_id", "name", "id", "question_id", "problem_id", "metadata"),
    "description": ("description", "docstring", "instruct_prompt", "question_content"),
    "prompt": ("prompt", "complete_prompt", "text", "question"),
    "solution": ("canonical_solution", "reference_code", "code", "solution", "solutions", "answer"),
    "tests": ("test", "tests", "test_list", "code_context", "input_output"),
    "entry": ("entry_point", "fn_name"),
}
"""Columns that are read, by what they hold; of several in a row the first that is not empty. Those of the second line
are words only, those of the third may hold code too."""

_ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet")


def read_tasks(path: Path) -> list[Task]:
    """Read the tasks of one benchmark file.

    Args:
        path: See `Benchmarks.read`.

    Raises:
        BadInput: It cannot be read, holds no row, or its rows hold no prompt, solution or tests.
    """
    rows = _rows(path)
    if not rows:
        bad_input(path, "holds no task")
    columns = [column for names in COLUMNS.values() for column in names]
    tasks: list[Task] = []
    mistakes: list[Mistake] = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            mistakes.append(Mistake(f"{path}: row {number}", "is no object with columns"))
            continue
        task = _task(_stem(path), number, cast(Mapping[str, Any], row))
        if task.prompt or task.solution or task.tests:
            tasks.append(task)
        else:
            mistakes.append(
                Mistake(
                    f"{path}: row {number}",
                    f"has no prompt, solution or tests: its columns are {', '.join(sorted(map(str, row))) or 'none'};"
                    f" known: {', '.join(columns)}",
                )
            )
    if mistakes:
        shown = mistakes[:3]
        if len(mistakes) > len(shown):
            shown.append(
                Mistake(str(path), f"and {len(mistakes) - len(shown):,} more rows of {len(rows):,} like these")
            )
        raise BadInput(shown)
    return tasks


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return next((name[: -len(ending)] for ending in _ENDINGS if name.lower().endswith(ending)), name)


def _rows(path: Path) -> list[Any]:
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(_ENDINGS):
        bad_input(
            path, f"not a kind of file that benchmarks come in; known: {' '.join(_ENDINGS)}, the JSON ones also .gz"
        )
    try:
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            return pq.read_table(path).to_pylist()
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.lower().endswith(".gz") else data).decode("utf-8-sig")
        if not name.endswith(".json"):
            return _json_lines(path, text)
        value = json.loads(text)
        if isinstance(value, dict) and not any(column in value for names in COLUMNS.values() for column in names):
            # Rows by their id.
            return [{"task_id": key} | row if isinstance(row, dict) else row for key, row in value.items()]
        return cast(list[Any], value) if isinstance(value, list) else [value]
    except FileNotFoundError:
        bad_input(path, "no such file")
    except json.JSONDecodeError as error:
        bad_input(path, f"is no JSON: {error}")
    except (OSError, EOFError, ValueError) as error:
        bad_input(path, f"cannot be read: {error}")


def _json_lines(path: Path, text: str) -> list[Any]:
    rows: list[Any] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            mistakes.append(Mistake(f"{path}: line {number}", f"is no JSON: {error}"))
    if mistakes:
        raise BadInput(mistakes)
    return rows


def _text_of(row: Mapping[str, Any], what: str) -> str:
    for column in COLUMNS[what]:
        value = row.get(column)
        if value is None or value == "" or value == []:
            continue
        if isinstance(value, list | tuple):
            return "\n".join(map(str, cast(Sequence[Any], value)))
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return ""


def _task(benchmark: str, number: int, row: Mapping[str, Any]) -> Task:
    prompt, solution, tests = (_text_of(row, what) for what in ("prompt", "solution", "tests"))
    entry = _text_of(row, "entry") or _asked_for(tests, solution)
    return Task(
        benchmark,
        _text_of(row, "name") or f"row {number}",
        _prose(_text_of(row, "description") or _comments(prompt), entry),
        solution,
        tests,
        entry,
        _parameters(f"{prompt}\n{solution}", entry),
    )


def _asked_for(tests: str, solution: str) -> str:
    """Return the function of a solution that its tests call first, where no column names it."""
    defined = re.findall(r"\b(?:def|function|func|fn)\s+(\w+)", solution)
    called = [name for name in re.findall(r"(\w+)\s*\(", tests) if name in defined]
    return called[0] if called else defined[-1] if defined else ""


_DOCSTRING = re.compile(r"(?:\"\"\"(.*?)\"\"\"|\'\'\'(.*?)\'\'\'|/\*(.*?)\*/)", re.DOTALL)
_COMMENT = re.compile(r"^\s*(?://+|#+|--)\s?(.*)$", re.MULTILINE)


def _comments(prompt: str) -> str:
    """Return what a prompt says in docstrings or comments; all of it where it has none."""
    blocks = ["".join(found) for found in _DOCSTRING.findall(prompt)]
    return _CUT.join(blocks) or "\n".join(_COMMENT.findall(prompt)) or prompt


def _prose(text: str, entry: str) -> str:
    """Return a prompt's sentences, or all of it where they are few: examples are rewritten in a translation."""
    kept: list[str] = []
    example = False
    for line in re.split(r"[\n\r]+", text):
        stripped = line.strip(" \t*")
        call = entry and re.search(rf"\b{re.escape(entry)}\s*\(", stripped)
        if stripped.startswith(">") or (call and len(re.findall(r"\b[A-Za-z]{2,}\b", stripped)) < 7):
            example = True
        elif not (example and len(re.findall(r"[A-Za-z]{2,}", stripped)) < 4):
            kept += [_CUT, stripped] if example else [stripped]
            example = False
    return "\n".join(kept) if len(re.findall(r"[A-Za-z]{2,}", " ".join(kept))) >= 8 else text


def _parameters(code: str, entry: str) -> tuple[str, ...]:
    """Return the names of a function's parameters, as far as its first definition shows them."""
    found = (
        re.search(rf"\b{re.escape(entry)}\s*(?:=\s*(?:function\s*)?)?\(([^()]*(?:\([^()]*\)[^()]*)*)\)", code)
        if entry
        else None
    )
    if not found:
        return ()
    names: list[str] = []
    for one in re.split(r",(?![^\[<(]*[\]>)])", found[1]):
        stated = one.partition("=")[0].strip()
        # `numbers: List[float]`, `List<Double> numbers`, `numbers []float64`: the first is a name before a colon.
        name = stated.partition(":")[0].strip() if ":" in stated else (re.findall(r"\w+", stated) or [""])[-1]
        if re.fullmatch(r"\*{0,2}\w+", name):
            names.append(name.lstrip("*"))
    return tuple(names)


# --- Idioms -----------------------------------------------------------------------------------------------------------


@cache
def _shipped_trivial() -> tuple[str, ...]:
    return tuple(_snippets(files("quality").joinpath("trivial_solutions.txt").read_text("utf-8")))


def _snippets(text: str) -> list[str]:
    return [snippet.strip() for snippet in re.split(r"^---\s*$", text, flags=re.MULTILINE) if snippet.strip()]
