from __future__ import annotations

from typing import Any

import pytest
from translation_pairs import CODE, INPUTS

from parallel_mining import values
from parallel_mining.drivers import Unavailable
from parallel_mining.scoring import CAUSES, Score, Translation, score_translations
from quality.mistakes import BadInput


def instance(target: str, **changed: Any) -> dict[str, Any]:
    """An instance of gcd; its last case raises on the source's side."""
    cases = [
        {"arguments": values.encode([a, b]), "status": "value", "expected": values.encode(gcd(a, b))}
        for a, b in INPUTS["gcd"]
    ]
    return {
        "source_language": "python",
        "target_language": target,
        "source_entry": "gcd",
        "target_entry": "Maths.gcd",
        "cases": cases,
        "tolerance": "1e-9",
        **changed,
    }


def gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


HANGS = "function gcd(a, b) { while (true) { a += 1; } return a; }\n"
CANDIDATES = {
    "reference": CODE["gcd"]["javascript"],
    "another name, the only function": "const other = (x, y) => (y === 0 ? Math.abs(x) : other(y, x % y));\n",
    "named as in the source, beside a helper": "function abs(x) { return x < 0 ? -x : x; }\n"
    "function get_gcd(a, b) { while (b) { [a, b] = [b, a % b]; } return abs(a); }\n",
    "wrong": "function gcd(a, b) { return a > 50 ? 1 : Math.abs(b ? gcd(b, a % b) : a); }\n",
    "no value": "function gcd(a, b) { while (b) { [a, b] = [b, a % b]; } }\n",
    "does not compile": "function gcd(a, b) { return a ** ; }\n",
    "hangs": HANGS,
    "raises": "function gcd(a, b) { if (a === 100) { throw new Error('no'); } while (b) { [a, b] = [b, a % b]; } "
    "return a; }\n",
    "no such function": "function one(a, b) { return a; }\nfunction two(a, b) { return b; }\n",
    "other in every run": "function gcd(a, b) { const n = process.hrtime.bigint(); while (b) { [a, b] = [b, a % b]; } "
    "return a + Math.random() * 1e-12; }\n",
    "nothing": "",
    "another language": CODE["gcd"]["python"],
}
FAILING = {
    "wrong": "result",
    "no value": "signature",
    "does not compile": "broken",
    "hangs": "timeout",
    "raises": "exception",
    "no such function": "function",
    "other in every run": "nondeterministic",
    "nothing": "function",
    "another language": "function",
}


@pytest.mark.toolchain
def test_translations_are_judged_by_running_them():
    translations = [Translation(instance("javascript"), code) for code in CANDIDATES.values()]
    scores = dict(zip(CANDIDATES, score_translations(translations), strict=True))
    total = len(INPUTS["gcd"])
    for name, score in scores.items():
        if name not in FAILING:
            assert score == Score(True, "", total, total), name
            continue
        assert not score.passed
        assert (name, score.reason.partition(":")[0]) == (name, FAILING[name])
        assert 0 <= score.agreed < score.cases == total
    assert scores["wrong"].agreed == total - 2
    assert scores["raises"].agreed == total - 1
    assert set(FAILING.values()) <= set(CAUSES)


@pytest.mark.toolchain
def test_typed_languages_fail_by_themselves_and_cost_their_batch_nothing():
    java = "class Maths { static int gcd(int a, int b) { return b == 0 ? Math.abs(a) : gcd(b, a % b); } }\n"
    candidates = {
        "": java,
        "broken": java.replace("a % b", "a % c"),
        "signature": java.replace("int a, int b", "Thread a, int b"),
        "result": java.replace("Math.abs(a)", "a + 1"),
    }
    scores = score_translations([Translation(instance("java"), code) for code in candidates.values()])
    assert [score.reason.partition(":")[0] for score in scores] == list(candidates)
    assert [score.passed for score in scores] == [True, False, False, False]


@pytest.mark.toolchain
def test_where_the_source_raises_so_must_the_translation():
    cases = [
        *instance("python")["cases"],
        {"arguments": values.encode(["x", 1]), "status": "exception", "expected": ""},
    ]
    asked = instance("python", cases=cases, target_entry="gcd")
    tame = CODE["gcd"]["python"].replace("while b", "if isinstance(a, str):\n        return 0\n    while b")
    scores = score_translations([Translation(asked, code) for code in (CODE["gcd"]["python"], tame)])
    assert scores[0].passed
    assert scores[1] == Score(False, "exception: gives a value where the source raises", len(cases), len(cases) - 1)


@pytest.mark.toolchain
def test_an_entry_that_is_named_is_the_one_that_runs():
    code = "function gcd(a, b) { return 0; }\nfunction real(a, b) { return b ? real(b, a % b) : a; }\n"
    named, found = score_translations(
        [Translation(instance("javascript"), code, "real"), Translation(instance("javascript"), code)]
    )
    assert named.passed
    assert found.reason.startswith("result: ")


def test_what_cannot_be_run_here_is_no_failed_translation(monkeypatch):
    monkeypatch.setattr(
        "parallel_mining.scoring.available", lambda name: Unavailable(name, "no tool", "apt install it")
    )
    monkeypatch.setattr("parallel_mining.sandbox.ready", lambda: "bubblewrap is missing")
    with pytest.raises(BadInput) as caught:
        score_translations([Translation(instance(name), "x") for name in ("java", "go")])
    assert [str(one) for one in caught.value.mistakes] == [
        "go: no tool; apt install it",
        "java: no tool; apt install it",
        "sandbox: bubblewrap is missing",
    ]
    assert score_translations([]) == []
