"""The nouns of scoring: `Problem`, `Attempt`, `Judgement`, `Metric`, what a task offers, and pass@k. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Problem:
    """One thing that a model is asked to write.

    Args:
        problem_id: Its name, of its own within a set.
        prompt: What the model continues.
        language: The language that is to be written.
        source_language: The language that it is translated from, or "".
        seen: Whether training data had this direction, or None where that has no meaning.
        stop: Texts that end a completion; they do not belong to it.
        data: What `judge` needs.
    """

    problem_id: str
    prompt: str
    language: str
    source_language: str = ""
    seen: bool | None = None
    stop: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Problems:
    """The problems of a task.

    Args:
        problems: Those that can be judged.
        skipped: Why others cannot, to how many.
    """

    problems: tuple[Problem, ...]
    skipped: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Attempt:
    """A completion of a problem."""

    problem: Problem
    completion: str


@dataclass(frozen=True)
class Judgement:
    """What came of an attempt.

    Args:
        passed: Whether it does what was asked for.
        reason: Why not, its cause before a colon; or "".
        cases: How many cases it was tried on, or 0 where they are not told apart.
        agreed: On how many of them it was right.
    """

    passed: bool
    reason: str = ""
    cases: int = 0
    agreed: int = 0


@dataclass(frozen=True)
class Judged:
    """An attempt with its judgement."""

    attempt: Attempt
    judgement: Judgement


@dataclass(frozen=True)
class Metric:
    """A number made of judgements.

    Args:
        name: What it is called, such as `pass@1`.
        value: The number.
        details: How it was made, where the name does not say (a signature).
    """

    name: str
    value: float
    details: str = ""


class ScoreTask(Protocol):
    """What the module of a task must offer."""

    def read(self, paths: Sequence[Path]) -> Problems:
        """Return the problems of files or folders."""
        ...

    def judge(self, attempts: Sequence[Attempt], progress: Callable[[int], object] | None = None) -> list[Judgement]:
        """Return what came of completions, in order."""
        ...

    def metrics(self, judged: Sequence[Judged], ks: Sequence[int]) -> list[Metric]:
        """Return the metrics of one group of problems."""
        ...


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the probability that one of `k` samples passes, estimated from more of them without bias.

    Args:
        samples: Samples of a problem, at least k.
        passed: How many of them passed.
        k: How many would be drawn.

    Returns:
        `1 - C(n - c, k) / C(n, k)`.

    Raises:
        ValueError: There are fewer than k samples.

    Source: Chen et al., arXiv 2107.03374, section 2.1, equation 1 and figure 3 (as a product, which does not overflow).
    """
    if samples < k:
        raise ValueError(f"pass@{k} needs {k} samples, not {samples}")
    failing = 1.0
    for n in range(samples - passed + 1, samples + 1):
        failing *= max(0.0, 1 - k / n)
    return 1.0 - failing if samples - passed >= k else 1.0


def passing(judged: Sequence[Judged], ks: Sequence[int]) -> list[Metric]:
    """Return pass@k for every k, each the mean over problems."""
    by_problem: dict[str, list[bool]] = {}
    for one in judged:
        by_problem.setdefault(one.attempt.problem.problem_id, []).append(one.judgement.passed)
    found = list(by_problem.values())
    return [
        Metric(f"pass@{k}", sum(pass_at_k(len(results), sum(results), k) for results in found) / len(found)) for k in ks
    ]
