"""How well does a model write code? Completions of a task's problems, what came of each, and the scores they make.

Start at `score`; `training.score_tasks` holds the tasks, `training.generation` writes. A `scores` artifact has a row an
attempt (`attempts.parquet`) and a row a metric and group (`scores.parquet`). What always holds: scoring that was killed
goes on where it was, and ends with the same completions; no completion is run outside the sandbox.

Importing this module imports no torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from quality.artifacts import MANIFEST, check_place, creating, file_sha256, fingerprint, read_manifest, write_atomically
from quality.contracts import Contract, Expectation, check
from quality.mistakes import BadInput, Mistake, bad_input
from quality.progress import progress, say
from training.generation import Completion, Decoding, Generator, load_generator
from training.score_tasks import score_task
from training.score_tasks.problems import Attempt, Judged, Judgement, Metric, Problem, ScoreTask

ATTEMPT_SCHEMA = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("source_language", pa.string(), nullable=False),  # "" where nothing is translated
        pa.field("language", pa.string(), nullable=False),
        pa.field("seen", pa.bool_()),  # null where that has no meaning
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("ended", pa.string(), nullable=False),  # end, stop, length, prompt
        pa.field("completion", pa.string(), nullable=False),
        pa.field("passed", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("cases", pa.int64(), nullable=False),
        pa.field("agreed", pa.int64(), nullable=False),
    ]
)

SCORE_SCHEMA = pa.schema(
    [
        pa.field("model", pa.string(), nullable=False),  # fingerprint of the model's files
        pa.field("task", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("source_language", pa.string(), nullable=False),  # "" where nothing is translated, and in means
        pa.field("language", pa.string(), nullable=False),  # "" in means: each language or direction counts the same
        pa.field("seen", pa.bool_()),  # null where that has no meaning
        pa.field("value", pa.float64(), nullable=False),
        pa.field("groups", pa.int64(), nullable=False),  # languages or directions behind it
        pa.field("problems", pa.int64(), nullable=False),
        pa.field("samples", pa.int64(), nullable=False),  # of each problem
        pa.field("details", pa.string(), nullable=False),  # how the metric was made
    ]
)

ATTEMPT_CONTRACT = Contract(
    noun="attempt",
    key=("problem_id", "sample"),
    expectations=(
        Expectation(
            "expect_compound_columns_to_be_unique", {"column_list": ["problem_id", "sample"]}, "it would count twice"
        ),
        Expectation(
            "expect_column_values_to_be_in_set",
            {"column": "ended", "value_set": ["end", "stop", "length", "prompt"]},
            "",
        ),
    ),
)

SCORE_VERSION = 1
"""Goes up with any change that may change a completion or a judgement; part of every identity."""

_JUDGED_AT_ONCE = 512
_WEIGHTS = (".safetensors", ".bin", ".json", ".model")


def score(
    model_dir: Path | str,
    task: str,
    problems: Sequence[Path | str],
    out: Path | str,
    *,
    decoding: Decoding | None = None,
    ks: Sequence[int] = (1,),
    limit: int | None = None,
    device: str = "",
    generator: Generator | None = None,
    command: str = "",
) -> Path:
    """Have a model complete a task's problems, judge what it wrote, and leave a `scores` artifact.

    Args:
        model_dir: A causal language model in Hugging Face's format.
        task: A name of `training.score_tasks.TASKS`.
        problems: Files or folders that the task reads.
        out: The artifact's folder.
        decoding: How completions are drawn.
        ks: For which k `pass@k` is told.
        limit: Only the first so many problems of every language or direction.
        device: Where the model runs; a GPU if there is one unless named.
        generator: What completes prompts instead of the model; the folder is then only its name.
        command: The command line that makes it again.

    Returns:
        The artifact's folder.

    Raises:
        BadInput: There is no such model, task or problem, or what is needed to judge is not here.
        ContractFailed: The table of attempts is not what its contract says.
    """
    out, decoding = Path(out), decoding or Decoding()
    chosen = score_task(task)
    mistakes = [
        Mistake("k", f"pass@{k} needs {k} samples of each problem, not {decoding.samples}; raise samples")
        for k in ks
        if not 1 <= k <= decoding.samples
    ]
    if decoding.samples > 1 and decoding.temperature == 0:
        mistakes.append(Mistake("temperature", "0 makes all samples of a problem the same; raise it, or take one"))
    if mistakes:
        raise BadInput(mistakes)
    check_place(out, "scores")
    read = chosen.read([Path(path) for path in problems])
    taken = _limited(read.problems, limit)
    model = model_fingerprint(model_dir) if generator is None else fingerprint({"generator": str(model_dir)})
    identity = {
        "version": SCORE_VERSION,
        "model": model,
        "task": task,
        "problems": fingerprint([[one.problem_id, one.prompt, one.stop, _plain(one.data)] for one in taken]),
        "decoding": json.loads(decoding.model_dump_json()),
        "ks": list(ks),
    }
    if (out / MANIFEST).is_file() and read_manifest(out, "scores")["fingerprint"] == fingerprint(identity):
        say(f"{out}: this is scored already; nothing to do")
        return out
    for why, count in read.skipped.items():
        say(f"{count} problems are left out: {why}")
    asked = [(problem, sample) for problem in taken for sample in range(decoding.samples)]
    with creating(out, "scores", identity, command=command, resume=True) as draft:
        completions = _generate(
            asked, decoding, draft.path / "generated", lambda: generator or load_generator(model_dir, device)
        )
        judged = _judge(chosen, asked, completions, draft.path / "judged")
        rows = [
            {
                "problem_id": problem.problem_id,
                "sample": sample,
                "source_language": problem.source_language,
                "language": problem.language,
                "seen": problem.seen,
                "prompt_tokens": completion.prompt_tokens,
                "tokens": completion.tokens,
                "ended": completion.ended,
                "completion": completion.text,
                **asdict(one.judgement),
            }
            for (problem, sample), completion, one in zip(asked, completions, judged, strict=True)
        ]
        attempts = pa.Table.from_pylist(rows, ATTEMPT_SCHEMA)
        pq.write_table(attempts, draft.path / "attempts.parquet")
        check(ATTEMPT_CONTRACT, attempts, draft.path)
        scores = _scores(chosen, judged, ks, model, task, decoding.samples)
        pq.write_table(pa.Table.from_pylist(scores, SCORE_SCHEMA), draft.path / "scores.parquet")
        for folder in ("generated", "judged"):
            shutil.rmtree(draft.path / folder)
        draft.counts.update(
            problems=len(taken),
            attempts=len(rows),
            passed=sum(one.judgement.passed for one in judged),
            tokens=sum(completion.tokens for completion in completions),
            skipped=dict(read.skipped),
        )
    return out


def read_scores(folder: Path | str) -> list[dict[str, Any]]:
    """Return the rows of a `scores` artifact's scores, in order."""
    read_manifest(folder, "scores")
    return pq.read_table(Path(folder) / "scores.parquet").to_pylist()


def model_fingerprint(model_dir: Path | str) -> str:
    """Return the fingerprint of a model: of its configuration, weights and tokenizer.

    Raises:
        BadInput: There is no model, or a file is not the one that `polymix export` wrote.
    """
    folder = Path(model_dir)
    if not (folder / "config.json").is_file():
        bad_input(folder, "no config.json here; give a folder in Hugging Face's format, such as `polymix export` makes")
    found = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.suffix in _WEIGHTS}
    mistakes = [
        Mistake(str(folder / name), f"{how}; export the model again, or remove {folder / MANIFEST} if that was meant")
        for name, digest in _exported(folder).items()
        if (how := _changed(digest, found.get(name)))
    ]
    if mistakes:
        raise BadInput(mistakes)
    return fingerprint([[name, digest] for name, digest in found.items()])


def _exported(folder: Path) -> dict[str, str]:
    """Return the checksums of what `polymix export` wrote; none of a model from elsewhere."""
    try:
        return read_manifest(folder, "model").get("files", {})
    except BadInput:
        return {}


def _changed(exported: str, found: str | None) -> str | None:
    if found is None:
        return "missing"
    return None if found == exported else "damaged after it was exported (its SHA-256 differs)"


def _plain(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, default=str)


def _limited(problems: Sequence[Problem], limit: int | None) -> list[Problem]:
    taken: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        taken.setdefault((problem.source_language, problem.language), []).append(problem)
    return [problem for own in taken.values() for problem in own[:limit]]


def _generate(
    asked: Sequence[tuple[Problem, int]], decoding: Decoding, folder: Path, load: Callable[[], Generator]
) -> list[Completion]:
    """Return a completion for each prompt; what an earlier try has written is read back."""
    # Prompts of one length go together, as shorter ones are filled up; the order depends on the problems alone.
    order = sorted(range(len(asked)), key=lambda place: (len(asked[place][0].prompt), place))
    batches = [order[start : start + decoding.batch] for start in range(0, len(order), decoding.batch)]
    folder.mkdir(exist_ok=True)
    found: dict[int, Completion] = {}
    generator: Generator | None = None
    with progress(total=len(asked), description="generating", unit="completion") as bar:
        for number, batch in enumerate(batches):
            file = folder / f"{number:06d}.json"
            if file.is_file():
                rows = json.loads(file.read_text())
                found |= {place: Completion(**row) for place, row in zip(batch, rows, strict=True)}
                bar.update(len(batch))
                continue
            generator = generator or load()
            seed = int(fingerprint([decoding.seed, number])[:8], 16)
            wanted = [asked[place][0] for place in batch]
            completions = generator.complete(
                [problem.prompt for problem in wanted], [problem.stop for problem in wanted], decoding, seed
            )
            write_atomically(file, json.dumps([asdict(one) for one in completions]))
            found |= dict(zip(batch, completions, strict=True))
            bar.update(len(batch))
    return [found[place] for place in range(len(asked))]


def _judge(
    task: ScoreTask, asked: Sequence[tuple[Problem, int]], completions: Sequence[Completion], folder: Path
) -> list[Judged]:
    attempts = [Attempt(problem, one.text) for (problem, _), one in zip(asked, completions, strict=True)]
    folder.mkdir(exist_ok=True)
    judged: list[Judged] = []
    with progress(total=len(attempts), description="judging", unit="completion") as bar:
        for start in range(0, len(attempts), _JUDGED_AT_ONCE):
            some, file = attempts[start : start + _JUDGED_AT_ONCE], folder / f"{start:09d}.json"
            if file.is_file():
                judgements = [Judgement(**row) for row in json.loads(file.read_text())]
                bar.update(len(some))
            else:
                judgements = task.judge(some, bar.update)
                write_atomically(file, json.dumps([asdict(one) for one in judgements]))
            judged += [Judged(attempt, one) for attempt, one in zip(some, judgements, strict=True)]
    return judged


def _scores(
    task: ScoreTask, judged: Sequence[Judged], ks: Sequence[int], model: str, name: str, samples: int
) -> list[dict[str, Any]]:
    """Return a row a metric and group, and behind them the means over groups, seen and unseen apart."""
    groups: dict[tuple[bool | None, str, str], list[Judged]] = {}
    for one in judged:
        problem = one.attempt.problem
        groups.setdefault((problem.seen, problem.source_language, problem.language), []).append(one)
    found = {group: task.metrics(own, ks) for group, own in groups.items()}

    def rows(
        seen: bool | None, source: str, language: str, members: Sequence[tuple[bool | None, str, str]]
    ) -> Iterator[dict[str, Any]]:
        for place, metric in enumerate(found[members[0]]):
            same: list[Metric] = [found[member][place] for member in members]
            yield {
                "model": model,
                "task": name,
                "metric": metric.name,
                "source_language": source,
                "language": language,
                "seen": seen,
                "value": sum(one.value for one in same) / len(same),
                "groups": len(members),
                "problems": sum(len(groups[member]) for member in members) // samples,
                "samples": samples,
                "details": metric.details,
            }

    made = [row for group in sorted(groups, key=_order) for row in rows(*group, [group])]
    for seen in (None, True, False):
        members = [group for group in groups if group[0] is seen]
        if members:
            made += rows(seen, "", "", members)
    return made


def _order(group: tuple[bool | None, str, str]) -> tuple[bool, str, str]:
    return group[0] is False, group[1], group[2]
