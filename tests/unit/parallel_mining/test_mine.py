from __future__ import annotations

import json
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from parallel_mining import mine as module
from parallel_mining.candidates import Candidate, candidates
from parallel_mining.licensing import LicencePolicy
from parallel_mining.mine import SURPLUS, MiningSettings, cause, mine, select
from parallel_mining.pairs import Program
from parallel_mining.signatures import Parameter, Signature
from parallel_mining.units import Origin, Unit, extract
from parallel_mining.verdicts import Judgement, judge
from quality.artifacts import creating, read_manifest
from quality.licences import license_type
from quality.mistakes import BadInput

PYTHON = """
def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(last + (x != y), row[j] + 1, row[j + 1] + 1)
    return row[-1]


def add(a, b):
    return a + b


def digit_sum(n):
    total = 0
    for digit in str(n):
        total += int(digit)
    return total
"""
JAVASCRIPT = """
function levenshtein(a, b) {
  let row = [...Array(b.length + 1).keys()];
  for (let i = 0; i < a.length; i++) {
    let last = row[0];
    row[0] = i + 1;
    for (let j = 0; j < b.length; j++) {
      const next = Math.min(last + (a[i] === b[j] ? 0 : 1), row[j] + 1, row[j + 1] + 1);
      last = row[j + 1];
      row[j + 1] = next;
    }
  }
  return row[b.length];
}
function add(a, b) { return a + b; }
function digitSum(n) { let total = 7; for (const digit of String(n)) { total += Number(digit); } return total; }
module.exports = { levenshtein, add, digitSum };
"""


def documents() -> list[dict]:
    files = [("python", "pypi:a", "a.py", PYTHON), ("javascript", "npm:b", "b.js", JAVASCRIPT)]
    return [
        {
            "id": f"{i:032x}",
            "text": text,
            "language": language,
            "repo_name": repo,
            "path": path,
            "detected_licenses": ["MIT"],
            "license_type": "permissive",
            "split": "train" if i else "validation",
        }
        for i, (language, repo, path, text) in enumerate(files)
    ]


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    with creating(folder, "corpus", {"test": 1}) as draft:
        for row in documents():
            part = draft.path / "documents" / f"language={row['language']}" / f"split={row['split']}"
            part.mkdir(parents=True)
            kept = {k: v for k, v in row.items() if k not in ("language", "split")}
            pq.write_table(pa.Table.from_pylist([kept]), part / "part.parquet")
    return folder


def test_candidates_are_the_same_in_any_order():
    units = extract(documents(), workers=1).units
    one, other = candidates(units, "python"), candidates(units[::-1], "python")
    assert [(c.left.entry, c.right.entry, c.score) for c in one] == [
        (c.left.entry, c.right.entry, c.score) for c in other
    ]
    assert {(c.left.entry, c.right.entry) for c in one} >= {("levenshtein", "levenshtein"), ("digit_sum", "digitSum")}
    assert all(c.left.language == "javascript" for c in candidates(units, "javascript"))


@pytest.mark.toolchain
def test_a_corpus_is_mined(corpus, tmp_path):
    counts = mine(corpus, tmp_path / "pairs", workers=1)
    [pair] = pq.read_table(tmp_path / "pairs" / "pairs.parquet").to_pylist()
    assert (pair["left_entry"], pair["right_entry"]) == ("levenshtein", "levenshtein")
    assert pair["cases"] == pair["agreed"] >= 8
    assert pair["split"] == "validation"
    evidence = json.loads(pair["evidence"])
    assert evidence["runs"] == 3
    assert evidence["families"][0]["left_outputs_sha256"]
    assert evidence["licences"] == {"left": ["MIT"], "right": ["MIT"]}
    assert (pair["left_licenses"], pair["right_licenses"]) == (["MIT"], ["MIT"])
    rejected = {r["left_entry"]: r for r in pq.read_table(tmp_path / "pairs" / "rejected.parquet").to_pylist()}
    assert rejected["add"]["reason"].startswith("trivial")
    assert rejected["digit_sum"]["verdict"] == "different"
    assert counts == read_manifest(tmp_path / "pairs", "pairs")["counts"]
    assert counts["pairs"] == 1
    assert pair["channel"] == "index"
    assert {r["channel"] for r in rejected.values()} == {"index"}
    assert counts["channels"] == {"index": {"candidates": sum(counts["candidates"].values()), "proved": 1, "pairs": 1}}


FILES = ("pairs.parquet", "rejected.parquet", "units.parquet")


@pytest.mark.toolchain
def test_mining_is_repeatable_and_a_kill_leaves_nothing_finished(corpus, tmp_path):
    out, other = tmp_path / "pairs", tmp_path / "other"
    arguments = [sys.executable, "-m", "pipelines.cli", "mine", str(corpus), "--out", str(out)]
    running = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("units:"):
            break
    else:
        pytest.fail("it ended before it could be killed")
    running.kill()
    assert running.wait(timeout=60) == -signal.SIGKILL
    running.stderr.close()
    with pytest.raises(BadInput, match="no finished pairs"):
        read_manifest(out, "pairs")
    mine(corpus, out, workers=2)
    mine(corpus, other, workers=1)
    for name in FILES:
        assert (out / name).read_bytes() == (other / name).read_bytes()
    assert read_manifest(out, "pairs")["fingerprint"] == read_manifest(other, "pairs")["fingerprint"]


@pytest.mark.toolchain
def test_what_was_judged_before_a_kill_is_not_judged_again(corpus, tmp_path, monkeypatch):
    asked: list[int] = []

    def judging(questions, *args, **kwargs):
        asked.append(len(questions))
        return judge(questions, *args, **kwargs)

    monkeypatch.setattr(module, "judge", judging)
    mine(corpus, tmp_path / "whole", workers=1)
    monkeypatch.setattr(module, "_JUDGED_AT_ONCE", 1)
    whole, asked[:] = asked[0], []
    assert whole >= 2

    def stopping(questions, *args, **kwargs):
        if len(asked) == 1:
            raise KeyboardInterrupt
        return judging(questions, *args, **kwargs)

    monkeypatch.setattr(module, "judge", stopping)
    with pytest.raises(KeyboardInterrupt):
        mine(corpus, tmp_path / "again", workers=1)
    monkeypatch.setattr(module, "judge", judging)
    mine(corpus, tmp_path / "again", workers=1)
    assert asked == [1] * whole, "one was judged before it was stopped, the others after it"
    names = [sorted(path.name for path in (tmp_path / out).iterdir()) for out in ("again", "whole")]
    assert names[0] == names[1], "what it kept for a second try is gone"
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.toolchain
def test_the_licences_of_both_halves_decide_what_is_emitted(tmp_path):
    def mined(left: str, right: str, copyleft: bool) -> tuple[list, dict, set]:
        folder = tmp_path / f"{left}-{right}-{copyleft}"
        with creating(folder / "corpus", "corpus", {}) as draft:
            for row, licence in zip(documents(), (left, right), strict=True):
                part = draft.path / "documents" / f"language={row['language']}" / f"split={row['split']}"
                part.mkdir(parents=True)
                kept = {k: v for k, v in row.items() if k not in ("language", "split")}
                kept |= {"detected_licenses": [licence], "license_type": license_type([licence])}
                pq.write_table(pa.Table.from_pylist([kept]), part / "part.parquet")
        settings = MiningSettings(licences=LicencePolicy(copyleft=copyleft))
        mine(folder / "corpus", folder / "pairs", settings, workers=1)
        pairs, rejected, units = (pq.read_table(folder / "pairs" / name).to_pylist() for name in FILES)
        reasons = {row["left_entry"]: row["reason"] for row in rejected}
        return [row["left_entry"] for row in pairs], reasons, {row["reason"] for row in units}

    assert mined("GPL-3.0-only", "GPL-3.0-only", copyleft=False) == ([], {}, {"licence: non_permissive"})
    pairs, reasons, _ = mined("GPL-3.0-only", "GPL-3.0-only", copyleft=True)
    assert pairs == ["levenshtein"]
    pairs, reasons, _ = mined("MIT", "GPL-3.0-only", copyleft=True)
    assert pairs == []
    assert reasons["levenshtein"] == "licence: MIT and GPL-3.0-only may not stand in one document"


def unit_of(language: str, repo: str, path: str, entry: str, code: str) -> Unit:
    return Unit(
        f"{language} {repo} {path} {entry} {code}",
        Program(language, code, entry),
        Signature((Parameter("a"),)),
        Origin("d", repo, path),
        {},
        (),
    )


def test_overloads_and_other_builds_of_a_package_are_one_function():
    left = unit_of("python", "pypi:a", "a.py", "last_index_of", "1")
    rights = [
        unit_of("go", "deb:funk", "typesafe.go", "LastIndexOfInt32", "2"),
        unit_of("go", "deb:funk", "typesafe.go", "LastIndexOfInt64", "3"),
        unit_of("go", "deb:funk", "dist/typesafe.go", "LastIndexOf", "4"),
        unit_of("go", "deb:copy", "other.go", "IndexLast", " 4 // copied"),
        unit_of("go", "deb:own", "own.go", "LastIndex", "5"),
    ]
    found = [Candidate(left, right, 0.9 - i / 10) for i, right in enumerate(rights)]
    pairs, rejected = select(found, [Judgement("equivalent", "all cases agree")] * len(found), MiningSettings())
    assert {row["right_entry"] for row in pairs} == {"LastIndexOfInt32", "IndexLast", "LastIndex"}
    assert {row["right_entry"] for row in rejected} == {"LastIndexOfInt64", "LastIndexOf"}
    assert all((row["verdict"], cause(row["reason"])) == ("equivalent", SURPLUS) for row in rejected)


def test_settings_are_strict():
    with pytest.raises(ValidationError, match="not in the registry"):
        MiningSettings(pivot="cobol")
    with pytest.raises(ValidationError):
        MiningSettings.model_validate({"candidates": 3})


def test_no_corpus_no_pivot(tmp_path, corpus):
    with pytest.raises(BadInput, match="no finished corpus"):
        mine(tmp_path, tmp_path / "out")
    with pytest.raises(BadInput, match="pairs need documents in rust"):
        mine(corpus, tmp_path / "out", MiningSettings(pivot="rust"))
    assert not (tmp_path / "out").exists()
