"""What a model is scored on: one module a task.

Start at `score_task`. A task is a row of `TASKS` and a module, which must have

- `read(paths) -> Problems`: the problems of files or folders; every mistake in them is bad input, told at once;
- `judge(attempts, progress) -> list[Judgement]`: what came of completions, most often by running them in the sandbox;
- `metrics(judged, ks) -> list[Metric]`: what is made of the judgements of one group of problems.

Generation, resuming, grouping and tables are the same for all tasks (`training.score`). Importing this package imports
no torch.
"""

from __future__ import annotations

from collections.abc import Callable

from quality.mistakes import bad_input
from training.score_tasks.problems import ScoreTask


def _multipl_e() -> ScoreTask:
    from training.score_tasks import multipl_e

    return multipl_e


def _translation() -> ScoreTask:
    from training.score_tasks import translation

    return translation


TASKS: dict[str, Callable[[], ScoreTask]] = {"multipl-e": _multipl_e, "translation": _translation}
"""Task to what imports its module; nothing else names a task."""


def score_task(name: str) -> ScoreTask:
    """Return a task's module.

    Raises:
        BadInput: No such task.
    """
    if name not in TASKS:
        bad_input("task", f"{name!r} is not a task; known: {', '.join(TASKS)}")
    return TASKS[name]()
