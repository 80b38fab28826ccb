from __future__ import annotations

import base64
import random

import pytest
from pydantic import ValidationError

from quality.filters import DEFAULT_LIMITS, REASONS, Limits, judge_syntax, judge_text, measure
from quality.languages import LANGUAGES
from quality.syntax import Syntax

CODE = "\n".join(f"def f{i}(a, b):\n    return a * {i} + b\n" for i in range(60))
BLOB = base64.b64encode(random.Random(0).randbytes(900)).decode()
LIMITS = Limits()


def reason(text: str, limits: Limits = LIMITS) -> str | None:
    found = judge_text(len(text.encode()), measure(text), limits)
    return found and found.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CODE, None),
        ("x = 1\n", None),
        (" \n\t\n", "blank"),
        ("", "blank"),
        ("# é\n" + CODE, None),
        ("a = 1;" * 200 + "\n", "long_line"),
        (("abc = 12 + foo(bar) * baz_" + "name" * 30 + "\n") * 10, "long_lines"),
        ("const likeArray = (x: any): x is ArrayLike<any> => x && typeof x.length === 'number' && x !== null;;", None),
        ("{}();--[]\n" * 100, "few_letters"),
        ("\n".join(f"k{i} = '{BLOB[i * 80 : i * 80 + 80]}'" for i in range(12)), "encoded"),
        ("T = [\n" + "\n".join(", ".join(["0x1f"] * 16) + "," for _ in range(40)) + "]\n", "encoded"),
        ("\n".join(f"{i * 7919 % 99991:05d}, {i * 104729 % 99991:05d}," for i in range(99)), "numbers"),
        ("some_call(with_arguments)\n" * 100, "repeated_lines"),
        ("some_call(with_arguments)\n" * 30 + CODE, None),
    ],
)  # fmt: skip
def test_each_measure_rejects_what_it_is_for(text: str, expected: str | None) -> None:
    assert reason(text) == expected
    assert expected is None or expected in REASONS


def test_too_large_counts_raw_bytes() -> None:
    assert reason(CODE, Limits(max_bytes=len(CODE))) is None
    assert reason(CODE, Limits(max_bytes=len(CODE) - 1)) == "too_large"


def test_the_detail_names_value_and_limit() -> None:
    found = judge_text(1201, measure("a = 1;" * 200), LIMITS)
    assert found is not None
    assert found.detail == "1200 > 1000 characters"


@pytest.mark.parametrize(
    ("errors", "comments", "expected"),
    [(0.0, 0.0, None), (0.05, 0.95, None), (0.06, 0.0, "syntax"), (0.0, 0.96, "comments_only")],
)
def test_syntax_is_judged_by_the_limits(errors: float, comments: float, expected: str | None) -> None:
    found = judge_syntax(Syntax(errors, comments, 9), LIMITS)
    assert (found and found.reason) == expected


def test_shares_are_of_the_whole_text() -> None:
    found = measure("ab1\n\n  x=22\nab1ab1ab1ab1\nab1ab1ab1ab1\n")
    assert found.longest_line == 12
    assert found.mean_line == pytest.approx((3 + 0 + 6 + 12 + 12) / 5)
    assert found.digits == pytest.approx((1 + 2 + 8) / (3 + 4 + 24))
    assert found.repeated_lines == pytest.approx(1 / 2)
    assert found.alphanumeric == pytest.approx(30 / 38)


def test_default_limits_name_known_languages_and_nonsense_is_refused() -> None:
    assert set(DEFAULT_LIMITS) <= set(LANGUAGES)
    with pytest.raises(ValidationError, match="max_bytes"):
        Limits(max_bytes=0)
    with pytest.raises(ValidationError, match="max_wit"):
        Limits.model_validate({"max_wit": 1})
