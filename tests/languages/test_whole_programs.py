"""Whole programs of several languages are judged by what they print, and mined, from files to proved pairs."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest

from parallel_mining import sandbox
from parallel_mining.candidates import candidates
from parallel_mining.execute import Unavailable, available
from parallel_mining.mine import MiningSettings, question_of, select
from parallel_mining.pairs import WHOLE
from parallel_mining.units import extract
from parallel_mining.validate import validate
from parallel_mining.verdicts import VerdictSettings, judge
from quality.languages import LANGUAGES
from tests.languages.whole_programs import FIZZ_JS, FIZZ_PY, PAIRS, TOTAL_GO, TOTAL_PY

pytestmark = pytest.mark.toolchain


def needed(*languages: str) -> None:
    """Skip, or fail, where a language cannot be run here."""
    missing = [f"{name}: {tools.reason}" for name in languages if isinstance(tools := available(name), Unavailable)]
    why = "; ".join(missing) or sandbox.ready()
    if why and os.environ.get("POLYMIX_ALL_TOOLCHAINS") == "1":
        pytest.fail(why)
    if why:
        pytest.skip(why)


def given(name: str) -> str:
    """Return one of the pairs as it stands in a file of pairs."""
    _, left, left_code, right, right_code = PAIRS[name]
    sides = {"left": (left, left_code), "right": (right, right_code)}
    row: dict[str, Any] = {"pair_id": name}
    row |= {side: {"language": name, "code": code, "entry": WHOLE} for side, (name, code) in sides.items()}
    return json.dumps(row)


def test_pairs_of_programs_are_told_from_near_misses() -> None:
    needed(*{language for _, left, _, right, _ in PAIRS.values() for language in (left, right)})
    settings = VerdictSettings(runs=1, mutants=0)
    found = {row["pair_id"]: row for row in validate(io.StringIO("\n".join(map(given, PAIRS))), settings)}
    assert {name: row["verdict"] for name, row in found.items()} == {name: row[0] for name, row in PAIRS.items()}
    # Python prints 2.0 where the other side prints 2; nothing else needs a tolerance.
    assert {name for name, row in found.items() if row["tolerance"] == "numeric"} == {"mean"}
    assert {row["tolerance"] for name, row in found.items() if name != "mean"} == {"exact", ""}
    assert all(row["domain"][0]["parameters"] == ["stdin"] for row in found.values() if row["verdict"] == "equivalent")
    assert found["hello"]["reason"].startswith("constant")


def test_programs_are_mined_with_evidence() -> None:
    needed("python", "javascript", "go")
    files = {"fizz.py": FIZZ_PY, "fizz.js": FIZZ_JS, "total.py": TOTAL_PY, "cmd/total/main.go": TOTAL_GO}
    rows = [
        {
            "id": f"{i:032x}",
            "text": text,
            "language": next(key for key, row in LANGUAGES.items() if path.endswith(row.extensions[0])),
            "repo_name": f"repo{i}",
            "path": path,
            "detected_licenses": ["MIT"],
            "license_type": "permissive",
            "split": "train",
        }
        for i, (path, text) in enumerate(files.items())
    ]
    found = [c for c in candidates(extract(rows, workers=1).units, "python", min_score=0.0) if c.left.entry == WHOLE]
    settings = VerdictSettings(cases=40, fresh_cases=8, more_cases=40, runs=2, mutants=3)
    judgements = judge([question_of(candidate) for candidate in found], settings)
    pairs, _ = select(found, judgements, MiningSettings())
    assert {(row["left_path"], row["right_path"]) for row in pairs} == {
        ("fizz.py", "fizz.js"),
        ("total.py", "cmd/total/main.go"),
    }
    for row in pairs:
        assert row["left_entry"] == row["right_entry"] == WHOLE
        evidence = json.loads(row["evidence"])
        assert evidence["left_trial"]
        assert evidence["right_trial"]
        assert all(wire.startswith("[s") for wire in evidence["families"][0]["inputs"])
