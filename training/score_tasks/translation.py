"""Translate a function or program into another language, judged by running it, and by BLEU beside that.

Start at `read`. Problems are the instances of an `evaluation` artifact (`parallel_mining.evaluation`); a direction is
`seen` where the pivot of the parallel documents is one side of it. What is executed decides; BLEU says how alike the
texts are, and is there because others report it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from parallel_mining.evaluation import INSTANCE_SCHEMA
from parallel_mining.execute import Unavailable, available
from parallel_mining.scoring import Translation, score_translations
from quality.mistakes import BadInput, Mistake
from training.score_tasks.problems import Attempt, Judged, Judgement, Metric, Problem, Problems, passing

INSTANCES = "instances.parquet"


def read(paths: Sequence[Path]) -> Problems:
    """Read instances.

    Args:
        paths: `evaluation` artifacts, or Parquet files of instances.

    Raises:
        BadInput: A file is missing, is no such table, holds nothing, or needs a toolchain that is not here; all are
            listed.
    """
    mistakes: list[Mistake] = []
    problems: dict[str, Problem] = {}
    for path in paths:
        file = path / INSTANCES if path.is_dir() else path
        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowException) as error:
            mistakes.append(Mistake(str(file), f"cannot be read as Parquet ({error}); `polymix evaluation` makes it"))
            continue
        missing = [name for name in INSTANCE_SCHEMA.names if name not in table.column_names]
        if missing:
            mistakes.append(Mistake(str(file), f"has no {', '.join(missing)}; `polymix evaluation` makes such a table"))
            continue
        for row in table.to_pylist():
            problems[row["instance_id"]] = Problem(
                row["instance_id"], row["prompt"], row["target_language"], row["source_language"], row["seen"], data=row
            )
    for language in sorted({problem.language for problem in problems.values()}):
        tools = available(language)
        if isinstance(tools, Unavailable):
            mistakes.append(Mistake(language, f"{tools.reason}; {tools.install}"))
    if not problems and not mistakes:
        mistakes.append(Mistake(", ".join(map(str, paths)), "holds no instances"))
    if mistakes:
        raise BadInput(mistakes)
    return Problems(tuple(problems.values()))


def judge(attempts: Sequence[Attempt], progress: Callable[[int], object] | None = None) -> list[Judgement]:
    """Run translations on the cases of their instances."""
    translations = [Translation(attempt.problem.data, attempt.completion) for attempt in attempts]
    found = score_translations(translations, progress=progress)
    return [Judgement(score.passed, score.reason, score.cases, score.agreed) for score in found]


def metrics(judged: Sequence[Judged], ks: Sequence[int]) -> list[Metric]:
    """Return execution accuracy (the part of translations that pass), pass@k above 1, and BLEU against the references.

    Source: BLEU as sacrebleu computes it (Post, arXiv 1804.08771), whose signature is the metric's details.
    """
    from sacrebleu.metrics.bleu import BLEU

    accuracy = Metric("execution_accuracy", sum(one.judgement.passed for one in judged) / len(judged))
    bleu = BLEU()
    found = bleu.corpus_score(
        [one.attempt.completion for one in judged], [[one.attempt.problem.data["target_code"] for one in judged]]
    )
    score = Metric("bleu", float(found.score), str(bleu.get_signature()))
    return [accuracy, *passing(judged, [k for k in ks if k > 1]), score]
