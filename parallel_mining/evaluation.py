"""The evaluation set: translate this function from one language into another, judged by running the translation.

Start at `evaluation`. Proved pairs that were held out become instances, one for each direction that a group of them
gives: all that does the same as one pivot function is a group, so that two languages which stand in no pair meet in the
functions that both are paired with. What always holds: source and reference of an instance were themselves run against
each other, several times, on the very cases that it has (what is proved by way of a third program is not taken for
proved); no function of an instance, by normalised code or by repository and name, is in a training pair, nor its
document in the training split; a direction is `seen` where the pivot is one side of it, as in all parallel documents,
and `unseen` otherwise; and what was left out is a row with its reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from parallel_mining import values
from parallel_mining.candidates import code_hash
from parallel_mining.documents import translation_prompt
from parallel_mining.execute import Execution, ExecutionLimits, Outcome, Toolchain, available, execute
from parallel_mining.pairs import WHOLE, Program
from parallel_mining.scoring import disagreement, steady
from parallel_mining.signatures import Signature
from parallel_mining.units import bare, folded, infer
from parallel_mining.validate import GivenPair, judge_given, read_pairs
from parallel_mining.verdicts import Question, VerdictSettings, outgrew, tolerance_of
from quality.artifacts import canonical_json, check_place, creating, file_sha256, read_manifest
from quality.contracts import Contract, Expectation, check
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from quality.progress import progress, say
from quality.splits import Groups

INSTANCE_SCHEMA = pa.schema(
    [
        pa.field("instance_id", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),  # what does the same in any language shares it
        pa.field("source_language", pa.string(), nullable=False),
        pa.field("target_language", pa.string(), nullable=False),
        pa.field("seen", pa.bool_(), nullable=False),  # the pivot is the source or the target
        pa.field("source_entry", pa.string(), nullable=False),
        pa.field("target_entry", pa.string(), nullable=False),
        pa.field("source_code", pa.string(), nullable=False),
        pa.field("target_code", pa.string(), nullable=False),  # the reference, which no model is shown
        pa.field("signature", pa.string(), nullable=False),  # JSON: what the reference takes and gives back
        pa.field("prompt", pa.string(), nullable=False),  # what a model is asked to continue
        pa.field(
            "cases",
            pa.list_(
                pa.struct(
                    [
                        pa.field("arguments", pa.string(), nullable=False),  # wire form of the list of arguments
                        pa.field("status", pa.string(), nullable=False),  # value or exception
                        pa.field("expected", pa.string(), nullable=False),  # wire form of the result; "" if it raises
                    ]
                )
            ),
            nullable=False,
        ),
        pa.field("tolerance", pa.string(), nullable=False),  # the widest difference that counts as agreement
        pa.field("compared", pa.int64(), nullable=False),  # cases on which source and reference were run themselves
        pa.field("agreed", pa.int64(), nullable=False),
        pa.field("verified", pa.string(), nullable=False),  # JSON: runs, tool versions, tolerance that was needed
        pa.field("pairs", pa.list_(pa.string()), nullable=False),  # by which pairs the two are in one group
        pa.field("source_licenses", pa.list_(pa.string()), nullable=False),
        pa.field("target_licenses", pa.list_(pa.string()), nullable=False),
        pa.field("source_repo", pa.string(), nullable=False),
        pa.field("target_repo", pa.string(), nullable=False),
        pa.field("source_path", pa.string(), nullable=False),
        pa.field("target_path", pa.string(), nullable=False),
    ]
)

INSTANCE_CONTRACT = Contract(
    noun="instance",
    key=("instance_id",),
    expectations=(
        Expectation("expect_column_values_to_be_unique", {"column": "instance_id"}, "an instance would count twice"),
        Expectation(
            "expect_compound_columns_to_be_unique",
            {"column_list": ["group", "source_language", "target_language"]},
            "a direction would be measured twice on one function",
        ),
        Expectation(
            "expect_column_pair_values_to_be_equal", {"column_A": "compared", "column_B": "agreed"}, "disagreed"
        ),
        Expectation(
            "expect_column_values_to_be_between", {"column": "compared", "min_value": 8}, "a wrong translation passes"
        ),
        Expectation(
            "expect_column_value_lengths_to_be_between", {"column": "prompt", "min_value": 1}, "nothing is asked"
        ),
    ),
)

EXCLUDED_SCHEMA = pa.schema(
    [
        pa.field("group", pa.string(), nullable=False),
        pa.field("source_language", pa.string(), nullable=False),  # "" where the whole group is left out
        pa.field("target_language", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

EVALUATION_VERSION = 1
"""Goes up with any change that may change what is in a set; part of every identity."""


class EvaluationSettings(BaseModel):
    """What is asked for.

    Args:
        pivot: The language of the seen directions; "" for the left one of all pairs.
        per_direction: Instances a direction has at most.
        max_cases: Cases an instance has at most.
        proof: How much evidence a pair needs that is judged here, and how much a direction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pivot: str = ""
    per_direction: int = Field(default=50, ge=1)
    max_cases: int = Field(default=48, ge=8)
    proof: VerdictSettings = VerdictSettings()


@dataclass(frozen=True)
class Half:
    """One side of a proved pair.

    Args:
        language: A language id.
        code: The program.
        entry: Its function.
        licenses: SPDX expressions that all apply to it; empty where none is stated.
        repo: Its repository, or "".
        path: Its file there, or "".
        document: The id of its document in the corpus, or "".
    """

    language: str
    code: str
    entry: str
    licenses: tuple[str, ...] = ()
    repo: str = ""
    path: str = ""
    document: str = ""

    @property
    def key(self) -> str:
        """What two halves share that are the same code, whatever its comments, blanks and own name."""
        return _key(self.language, self.code, self.entry)

    @property
    def program_id(self) -> str:
        """A hash of all that is run."""
        return hashlib.sha256("\0".join((self.language, self.entry, self.code)).encode()).hexdigest()

    @property
    def marks(self) -> tuple[str, ...]:
        """By what it is known again: its code, and its function's name in its repository."""
        if not self.repo or self.entry == WHOLE:
            return (self.key,)
        return self.key, f"function {self.language} {self.repo} {folded(bare(self.entry))}"


@cache
def _key(language: str, code: str, entry: str) -> str:
    renamed = re.sub(rf"(?<!\w){re.escape(bare(entry))}(?!\w)", "f", code)
    return f"code {language} {code_hash(Program(language, renamed, 'f'))}"


@dataclass(frozen=True)
class Proved:
    """A proved pair.

    Args:
        pair_id: Its id where it was read.
        left: One half.
        right: The other.
        inputs: Arguments on which both were run, in the wire form.
        trained: Whether it is a training pair.
    """

    pair_id: str
    left: Half
    right: Half
    inputs: tuple[str, ...]
    trained: bool


Direction: TypeAlias = tuple[str, str]
"""Source and target language."""


@dataclass(frozen=True)
class _Way:
    """Two programs that should do the same, and by which pairs."""

    source: Half
    target: Half
    pairs: tuple[Proved, ...]

    @property
    def direction(self) -> Direction:
        return self.source.language, self.target.language

    @property
    def pivot(self) -> Half:
        """The program that both are proved against; one of the two where they are a pair."""
        return self.pairs[0].left

    @property
    def inputs(self) -> list[tuple[str, ...]]:
        """The lists of inputs that the two may be compared on, best first.

        Where a third program stands between them, both are proved on what both pairs were run on, and one of them on
        the inputs of its own pair.
        """
        if len(self.pairs) == 1:
            return [self.pairs[0].inputs]
        one, other = (pair.inputs for pair in self.pairs)
        shared = set(other)
        return [tuple(wire for wire in one if wire in shared), other, one]


@dataclass
class _Group:
    """All that does the same as some pivot functions."""

    id: str
    pairs: list[Proved] = field(default_factory=list[Proved])

    @property
    def ways(self) -> dict[Direction, list[_Way]]:
        """All ways in each direction: through pairs, and through the pivot functions that pairs share."""
        found: list[_Way] = []
        by_pivot: dict[str, list[Proved]] = {}
        for pair in self.pairs:
            found += [_Way(pair.left, pair.right, (pair,)), _Way(pair.right, pair.left, (pair,))]
            by_pivot.setdefault(pair.left.program_id, []).append(pair)
        for pairs in by_pivot.values():
            found += [
                _Way(one.right, other.right, (one, other))
                for one, other in permutations(pairs, 2)
                if one.right.language != other.right.language
            ]
        ways: dict[Direction, list[_Way]] = {}
        for way in sorted(found, key=lambda way: (len(way.pairs), way.source.program_id, way.target.program_id)):
            ways.setdefault(way.direction, []).append(way)
        return ways


def evaluation(
    pairs: Sequence[Path | str],
    out: Path | str,
    settings: EvaluationSettings | None = None,
    *,
    verdicts: Sequence[Path | str] = (),
    against: Sequence[Path | str] = (),
    corpus: Path | str | None = None,
    command: str = "",
    limits: ExecutionLimits | None = None,
) -> dict[str, Any]:
    """Make an evaluation set of held-out pairs, as an `evaluation` artifact.

    Args:
        pairs: `pairs` artifacts, of which the pairs in the validation split are used, and files of JSON lines as
            `polymix validate` reads them, all of which are.
        out: Folder of the artifact to make.
        settings: What is asked for; `EvaluationSettings()` if None.
        verdicts: What `polymix validate --evidence` printed of the files. A pair whose verdict is not there, or is
            there without its evidence, is judged here.
        against: Further `pairs` artifacts that models are trained on.
        corpus: The `corpus` artifact of the `pairs` artifacts, whose splits are checked.
        command: The command line, for the manifest.
        limits: How much a program may use.

    Returns:
        The manifest's counts; `directions` has a row for each of the languages' ordered pairs.

    Raises:
        BadInput: An input cannot be used, or there is no proved pair in them; all mistakes are listed.
        ContractFailed: What was written does not hold what it promises.
    """
    settings = settings or EvaluationSettings()
    check_place(out, "evaluation")
    read = _read(pairs, verdicts, against, corpus)
    pivot = _pivot(read, settings)
    tools = {name: found for name in sorted(LANGUAGES) if isinstance(found := available(name), Toolchain)}
    identity = {
        "pairs": read.identity,
        "settings": settings.model_dump(mode="json") | {"pivot": pivot},
        "toolchains": {name: found.version for name, found in tools.items()},
        "version": EVALUATION_VERSION,
    }
    with creating(out, "evaluation", identity, command=command) as draft:
        proved = [*read.proved, *_judged(read.unjudged, settings, limits)]
        if not any(not pair.trained for pair in proved):
            bad_input(", ".join(map(str, pairs)), "no proved pair is held out; mine more, or give pairs of other code")
        groups, excluded = _groups(proved, read.splits)
        instances, left_out = _instances(groups, pivot, settings, limits)
        excluded += left_out
        rows = sorted(instances, key=lambda row: (row["source_language"], row["target_language"], row["instance_id"]))
        pq.write_table(pa.Table.from_pylist(rows, INSTANCE_SCHEMA), draft.path / "instances.parquet")
        excluded.sort(key=lambda row: tuple(row.values()))
        pq.write_table(pa.Table.from_pylist(excluded, EXCLUDED_SCHEMA), draft.path / "excluded.parquet")
        check(INSTANCE_CONTRACT, pq.read_table(draft.path / "instances.parquet"), draft.path)
        draft.counts.update(_counts(rows, groups, excluded, pivot, settings))
        unlicensed = sum(not row["source_licenses"] or not row["target_licenses"] for row in rows)
        if unlicensed:
            say(f"note: {unlicensed} instances hold code of which no licence is stated; do not publish them")
        return dict(draft.counts)


def read_instances(folder: Path | str) -> list[dict[str, Any]]:
    """Return the instances of an `evaluation` artifact, as rows of `INSTANCE_SCHEMA`.

    Raises:
        BadInput: There is no finished one, or it is damaged.
    """
    read_manifest(folder, "evaluation")
    path = Path(folder) / "instances.parquet"
    try:
        return pq.read_table(path, schema=INSTANCE_SCHEMA).to_pylist()
    except (OSError, pa.ArrowException) as error:
        bad_input(path, f"cannot be read ({error}); make the evaluation set again")


def seen(direction: Direction, pivot: str) -> bool:
    """Return whether parallel documents of the pivot train a direction of translation."""
    return pivot in direction


@dataclass
class _Read:
    """What stood in the inputs."""

    proved: list[Proved] = field(default_factory=list[Proved])
    unjudged: list[GivenPair] = field(default_factory=list[GivenPair])
    identity: dict[str, Any] = field(default_factory=dict[str, Any])
    splits: dict[str, str] = field(default_factory=dict[str, str])


def _read(
    pairs: Sequence[Path | str],
    verdicts: Sequence[Path | str],
    against: Sequence[Path | str],
    corpus: Path | str | None,
) -> _Read:
    """Read all inputs, and tell all that is wrong with any of them."""
    read, mistakes = _Read(), Mistakes()
    made_of: set[str] = set()
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    given: list[GivenPair] = []
    files: dict[str, str] = {}
    for path in map(Path, verdicts):
        with mistakes.noted():
            known |= _read_verdicts(path)
            files[file_sha256(path)] = "verdicts"
    for path, training in [*((Path(p), False) for p in pairs), *((Path(p), True) for p in against)]:
        with mistakes.noted():
            if path.is_dir() or training:
                manifest = read_manifest(path, "pairs")
                files[manifest["fingerprint"]] = "against" if training else "pairs"
                made_of.add(str(manifest.get("identity", {}).get("corpus", "")))
                read.proved += _of_artifact(path, only_training=training)
            else:
                given += read_pairs(path)
                files[file_sha256(path)] = "lines"
    with mistakes.noted():
        if corpus is not None:
            manifest = read_manifest(corpus, "corpus")
            if made_of - {manifest["fingerprint"]}:
                bad_input(corpus, "is not the corpus that the pairs were mined from; name that one, or leave it out")
            read.splits = _splits(Path(corpus))
            files[manifest["fingerprint"]] = "corpus"
    with mistakes.noted():
        counted = Counter(pair.pair_id for pair in given)
        doubled = sorted(name for name, count in counted.items() if count > 1)
        if doubled:
            raise BadInput(Mistake(f"pair_id {name!r}", "stands in two files; make it unique") for name in doubled)
        unknown = sorted(known.keys() - counted.keys())
        if unknown:
            bad_input(
                "--verdicts",
                f"{len(unknown)} of them are of pairs that no file has, {unknown[0]!r} first; give its file",
            )
    mistakes.tell()
    for pair in given:
        verdict, inputs = known.get(pair.pair_id, ("", ()))
        if not verdict or (verdict == "equivalent" and not inputs):
            read.unjudged.append(pair)
        elif verdict == "equivalent":
            read.proved.append(_of_given(pair, inputs))
    read.identity = dict(sorted(files.items()))
    return read


def _of_artifact(folder: Path, *, only_training: bool) -> list[Proved]:
    path = folder / "pairs.parquet"
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        bad_input(path, f"cannot be read ({error}); mine the pairs again")
    mistakes: list[Mistake] = []
    found: list[Proved] = []
    for row in rows:
        trained = row["split"] != "validation"
        inputs: tuple[str, ...] = ()
        if not trained:
            try:
                inputs = _inputs(json.loads(row["evidence"]))
            except (json.JSONDecodeError, values.NotAValue):
                inputs = ()
            if not inputs:
                mistakes.append(Mistake(f"{path}: pair {row['pair_id']}", "has no inputs as evidence; mine it again"))
        if trained or not only_training:
            found.append(Proved(row["pair_id"], _half(row, "left"), _half(row, "right"), inputs, trained))
    if mistakes:
        raise BadInput(mistakes)
    return found


def _half(row: Mapping[str, Any], side: str) -> Half:
    return Half(
        row[f"{side}_language"],
        row[f"{side}_code"],
        row[f"{side}_entry"],
        tuple(row[f"{side}_licenses"]),
        row[f"{side}_repo"],
        row[f"{side}_path"],
        row[f"{side}_document"],
    )


def _of_given(pair: GivenPair, inputs: tuple[str, ...]) -> Proved:
    left, right = (Half(side.language, side.code, side.entry, side.licenses) for side in (pair.left, pair.right))
    return Proved(pair.pair_id, left, right, inputs, trained=False)


def _inputs(evidence: Any) -> tuple[str, ...]:
    """Return the inputs that stand in a pair's evidence, wherever it lists some; none where it has none.

    Raises:
        NotAValue: One is no list of arguments in the wire form.
    """
    found: dict[str, None] = {}
    parts = cast(dict[str, Any], evidence).values() if isinstance(evidence, dict) else ()
    for part in (part for part in parts if isinstance(part, list)):
        for family in (one for one in cast(list[Any], part) if isinstance(one, dict)):
            found |= dict.fromkeys(map(str, cast(dict[str, Any], family).get("inputs", ())))
    for wire in found:
        if values.decode(wire).kind != "list":
            raise values.NotAValue(f"{wire[:60]!r} is no list of arguments")
    return tuple(found)


def _read_verdicts(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the verdict and the inputs of its evidence, by pair."""
    if not path.is_file():
        bad_input(path, "no such file; give what `polymix validate --evidence` printed")
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    mistakes: list[Mistake] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found[str(row["pair_id"])] = str(row["verdict"]), _inputs(row.get("evidence"))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, values.NotAValue):
            mistakes.append(Mistake(f"{path}:{number}", "no verdict as `polymix validate --evidence` prints them"))
    if mistakes:
        raise BadInput(mistakes)
    return found


def _splits(corpus: Path) -> dict[str, str]:
    folder = corpus / "documents"
    try:
        table = pads.dataset(folder, format="parquet", partitioning="hive").to_table(columns=["id", "split"])
    except (OSError, pa.ArrowException) as error:
        bad_input(folder, f"the corpus is damaged ({error}); remove {corpus} and build it again with `polymix build`")
    return {row["id"]: str(row["split"]) for row in table.to_pylist()}


def _pivot(read: _Read, settings: EvaluationSettings) -> str:
    lefts = {pair.left.language for pair in [*read.proved, *read.unjudged]}
    if settings.pivot and settings.pivot not in LANGUAGES:
        bad_input("pivot", f"{settings.pivot!r} is not in the registry; known: {', '.join(sorted(LANGUAGES))}")
    if not settings.pivot and len(lefts) != 1:
        bad_input("pivot", f"the pairs have {', '.join(sorted(lefts)) or 'nothing'} on their left; say which one it is")
    return settings.pivot or next(iter(lefts))


def _judged(
    given: Sequence[GivenPair], settings: EvaluationSettings, limits: ExecutionLimits | None
) -> Iterator[Proved]:
    if given:
        say(f"{len(given)} pairs have no verdict with evidence; judging them first")
        for pair, judgement in zip(given, judge_given(given, settings.proof, limits=limits), strict=True):
            if judgement.verdict == "equivalent":
                yield _of_given(pair, _inputs(judgement.evidence))


def _groups(proved: Iterable[Proved], splits: Mapping[str, str]) -> tuple[list[_Group], list[dict[str, str]]]:
    """Return the groups that no training pair touches, by id, and rows of the others."""
    joined = Groups()
    proved = list(proved)
    for pair in proved:
        first, *others = (*pair.left.marks, *pair.right.marks)
        for other in others:
            joined.join(first, other)
    trained = {joined.find(pair.left.key) for pair in proved if pair.trained}
    groups: dict[str, _Group] = {}
    for pair in sorted(proved, key=lambda pair: pair.pair_id):
        root = joined.find(pair.left.key)
        if not pair.trained:
            group = groups.setdefault(root, _Group(hashlib.sha256(root.encode()).hexdigest()[:32]))
            group.pairs.append(pair)
    kept: list[_Group] = []
    excluded: list[dict[str, str]] = []
    for root, group in groups.items():
        reason = "training: a training pair has the same code or function" if root in trained else ""
        for document in sorted(half.document for pair in group.pairs for half in (pair.left, pair.right)):
            if document and splits and splits.get(document) != "validation":
                reason = reason or f"split: document {document} is not in the corpus' validation split"
        if reason:
            excluded.append(_left_out(group, ("", ""), reason))
        else:
            kept.append(group)
    return sorted(kept, key=lambda group: group.id), excluded


def _left_out(group: _Group, direction: Direction, reason: str) -> dict[str, str]:
    return {"group": group.id, "source_language": direction[0], "target_language": direction[1], "reason": reason}


_GROUPS_AT_ONCE = 100


def _instances(
    groups: Sequence[_Group], pivot: str, settings: EvaluationSettings, limits: ExecutionLimits | None
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return instances, of the first groups by id in each direction, and a row for each direction of a group left out.

    Groups are run as many at a time as make good batches, until every direction has what is asked for.
    """
    instances: list[dict[str, Any]] = []
    excluded: list[dict[str, str]] = []
    filled: Counter[Direction] = Counter()
    waiting = [(group, group.ways) for group in groups]
    while waiting:
        open_ones = [
            (group, {way: own for way, own in ways.items() if filled[way] < settings.per_direction})
            for group, ways in waiting[:_GROUPS_AT_ONCE]
        ]
        ran = _Ran([way for _, ways in open_ones for own in ways.values() for way in own], settings, limits)
        for group, ways in waiting[:_GROUPS_AT_ONCE]:
            for direction, own in sorted(ways.items()):
                if filled[direction] >= settings.per_direction:
                    reason = f"surplus: the direction has its {settings.per_direction} instances"
                    excluded.append(_left_out(group, direction, reason))
                    continue
                tried = [ran.instance(group, way, pivot) for way in own]
                found = next((one for one in tried if not isinstance(one, str)), None)
                if found is not None:
                    instances.append(found)
                    filled[direction] += 1
                else:
                    excluded.append(_left_out(group, direction, cast(str, tried[0])))
        del waiting[:_GROUPS_AT_ONCE]
    return instances, excluded


@dataclass(frozen=True)
class _Agreement:
    """How two programs compare on one list of inputs; `reason` is "" where that proves them to do the same."""

    reason: str
    cases: tuple[dict[str, str], ...] = ()
    needed: str = "exact"


class _Ran:
    """The programs of some ways, and what they returned on all inputs of these ways."""

    def __init__(self, ways: Sequence[_Way], settings: EvaluationSettings, limits: ExecutionLimits | None) -> None:
        self.settings = settings
        self.inferred: dict[str, tuple[Program, Signature]] = {}
        self.reasons: dict[str, str] = {}
        self.executions: dict[str, Execution] = {}
        self.places: dict[str, dict[str, int]] = {}
        for way in ways:
            for half in (way.source, way.target, way.pivot):
                places = self.places.setdefault(half.program_id, {})
                for wire in (wire for inputs in way.inputs for wire in self._some(inputs)):
                    places.setdefault(wire, len(places))
                self._infer(half)
        asked = list(self.inferred)
        jobs = [(self.inferred[name][0], [_arguments(wire) for wire in self.places[name]]) for name in asked]
        ran: list[Execution] = []
        if jobs:
            with progress(total=len(jobs), description="running against each other", unit="program") as bar:
                ran = execute(jobs, runs=settings.proof.runs, limits=limits, progress=bar.update)
        for name, execution in zip(asked, ran, strict=True):
            self.executions[name] = execution
            if execution.status != "ran":
                self.reasons[name] = f"{execution.status}: {execution.detail}"

    def _some(self, inputs: Sequence[str]) -> list[str]:
        """Return the inputs, or as many as an instance may have, spread evenly: small ones and large ones."""
        limit = self.settings.max_cases
        if len(inputs) <= limit:
            return list(inputs)
        return [inputs[i * len(inputs) // limit] for i in range(limit)]

    def _infer(self, half: Half) -> None:
        name = half.program_id
        if name not in self.inferred and name not in self.reasons:
            try:
                self.inferred[name] = infer(half.language, half.code, half.entry)[:2]
            except BadInput as error:
                self.reasons[name] = f"broken: {error.mistakes[0].what}"

    def instance(self, group: _Group, way: _Way, pivot: str) -> dict[str, Any] | str:
        """Return an instance, or why there is none."""
        for half in (way.source, way.target, way.pivot):
            if half.program_id in self.reasons:
                return f"{self.reasons[half.program_id]} ({half.language})"
        found = _Agreement("insufficient: the two sides share no inputs")
        for inputs in way.inputs:
            tried = self._compared(way, self._some(inputs))
            if not tried.reason or found.reason.startswith("insufficient"):
                found = tried
            if not tried.reason:
                break
        if found.reason:
            return found.reason
        source, target = way.source, way.target
        joined = "\0".join((group.id, source.program_id, target.program_id))
        signature = self.inferred[target.program_id][1]
        return {
            "instance_id": hashlib.sha256(joined.encode()).hexdigest()[:32],
            "group": group.id,
            "source_language": source.language,
            "target_language": target.language,
            "seen": seen(way.direction, pivot),
            "source_entry": source.entry,
            "target_entry": target.entry,
            "source_code": source.code,
            "target_code": target.code,
            "signature": canonical_json(
                {
                    "parameters": [{"name": p.name, "type": p.type and str(p.type)} for p in signature.parameters],
                    "returns": signature.returns and str(signature.returns),
                }
            ),
            "prompt": translation_prompt(source.code, source.language, target.language),
            "cases": list(found.cases),
            "tolerance": tolerance_of(self._question(way), self.settings.proof),
            "compared": len(found.cases),
            "agreed": len(found.cases),
            "verified": canonical_json(
                {
                    "runs": self.settings.proof.runs,
                    "source_toolchain": self.executions[source.program_id].toolchain,
                    "target_toolchain": self.executions[target.program_id].toolchain,
                    "tolerance_needed": found.needed,
                }
            ),
            "pairs": sorted(pair.pair_id for pair in way.pairs),
            **{
                f"{side}_{name}": getattr(half, own)
                for side, half in (("source", source), ("target", target))
                for name, own in (("licenses", "licenses"), ("repo", "repo"), ("path", "path"))
            },
        }

    def _question(self, way: _Way) -> Question:
        one, other = self.inferred[way.source.program_id], self.inferred[way.target.program_id]
        return Question(one[0], other[0], one[1], other[1])

    def _outcomes(self, half: Half, wire: str) -> tuple[Outcome, ...]:
        place = self.places[half.program_id][wire]
        return tuple(run[place] for run in self.executions[half.program_id].runs)

    def _compared(self, way: _Way, wires: Sequence[str]) -> _Agreement:
        """Compare two programs by the rules of a verdict: all that both can say has to agree, and there is enough."""
        proof = self.settings.proof
        allowed = tolerance_of(self._question(way), proof)
        cases: list[dict[str, str]] = []
        results: list[values.Value] = []
        needed, lost = "exact", 0
        for wire in wires:
            for half in (way.source, way.target, way.pivot):
                if not steady(self._outcomes(half, wire)):
                    return _Agreement(f"nondeterministic: {half.language} gives different results between runs")
            one, other = self._outcomes(way.source, wire)[0], self._outcomes(way.target, wire)[0]
            lost += bool({one.status, other.status} & {"timeout", "memory"})
            if not self._can_say(way, way.source, wire) or not self._can_say(way, way.target, wire):
                continue
            wrong = disagreement(one, other, allowed)
            if wrong:
                return _Agreement(f"different: {wrong}")
            if one.value is not None and other.value is not None:
                results.append(other.value)
                found = values.compare(one.value, other.value, allowed).needed
                needed = max(needed, found, key=values.TOLERANCES.index)
            status, expected = ("exception", "") if other.value is None else ("value", values.encode(other.value))
            cases.append({"arguments": wire, "status": status, "expected": expected})
        if lost > 0.2 * len(wires):
            return _Agreement("timeout: too many cases ran out of time or memory")
        distinct = Counter(map(values.digest, results))
        two_sided = len(distinct) == 2 and min(distinct.values()) >= proof.min_distinct and results[0].kind == "bool"
        if len(cases) < max(proof.min_cases, 8) or len(results) < proof.value_share * len(cases):
            return _Agreement(f"insufficient: {len(cases)} cases that both sides take, {len(results)} with a value")
        if len(distinct) < proof.min_distinct and not two_sided:
            return _Agreement(f"insufficient: {len(distinct)} distinct results in {len(cases)} cases")
        return _Agreement("", tuple(cases), needed)

    def _can_say(self, way: _Way, half: Half, wire: str) -> bool:
        """Return whether a program's outcome can be held against it: it is proved where the pivot gives a value.

        Integers that one of the two cannot hold by its declaration are outside of what was proved, and so is what a
        program returns where the pivot raises.
        """
        pivot, outcome = self._outcomes(way.pivot, wire)[0], self._outcomes(half, wire)[0]
        if {pivot.status, outcome.status} & {"timeout", "memory", "unrepresentable"}:
            return False
        if pivot.value is None:
            return outcome.value is None
        wanted, given = self.inferred[way.pivot.program_id][0], self.inferred[half.program_id][0]
        return not outgrew(pivot, outcome, wanted, given)


def _arguments(wire: str) -> list[Any]:
    return values.plain(values.decode(wire))


def _counts(
    rows: Sequence[Mapping[str, Any]],
    groups: Sequence[_Group],
    excluded: Sequence[Mapping[str, str]],
    pivot: str,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    found = Counter((row["source_language"], row["target_language"]) for row in rows)
    cases: Counter[Direction] = Counter()
    for row in rows:
        cases[row["source_language"], row["target_language"]] += len(row["cases"])
    possible = Counter(direction for group in groups for direction in group.ways)
    directions = sorted(permutations(sorted(LANGUAGES), 2), key=lambda one: (not seen(one, pivot), one))
    return {
        "pivot": pivot,
        "per_direction": settings.per_direction,
        "instances": len(rows),
        "seen": sum(row["seen"] for row in rows),
        "unseen": sum(not row["seen"] for row in rows),
        "groups": len(groups),
        "directions": [
            {
                "source": one[0],
                "target": one[1],
                "seen": seen(one, pivot),
                "groups": possible[one],
                "instances": found[one],
                "cases": cases[one],
                "short": max(0, settings.per_direction - found[one]),
            }
            for one in directions
        ],
        "excluded": dict(sorted(Counter(row["reason"].partition(":")[0] for row in excluded).items())),
    }
