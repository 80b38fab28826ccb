"""The command line as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import VERBS

ROOT = Path(__file__).parents[2]

# What may not be imported by `--help` of a verb of the extra on the left.
FOREIGN = {
    "analysis": ["torch", "torchtitan", "pyspark", "tree_sitter", "great_expectations", "tokenizers", "datatrove"],
    "mining": ["torch", "torchtitan", "pyspark", "duckdb", "scipy", "datatrove"],
    "spark": ["torch", "torchtitan", "duckdb", "scipy"],
    "train": ["pyspark", "duckdb", "scipy", "datatrove"],
    "score": ["torch", "transformers", "torchtitan", "pyspark", "duckdb", "scipy", "datatrove"],
    "": ["torch", "torchtitan", "pyspark", "great_expectations"],
}


def polymix(*arguments: str, blocked: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked or []!r}));"
        "from pipelines.cli import main; main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )


def test_help_lists_every_verb_and_the_readme_does_too() -> None:
    shown = polymix("--help")
    assert shown.returncode == 0
    readme = (ROOT / "README.md").read_text()
    for verb in VERBS:
        assert f"\n  {verb} " in shown.stdout
        assert f"`polymix {verb}" in readme or f"`{verb}`" in readme


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_teaches_and_needs_only_its_own_extra(verb: str) -> None:
    shown = polymix(verb, "--help", blocked=FOREIGN[VERBS[verb][1]])
    assert shown.returncode == 0, shown.stderr
    assert "Example" in shown.stdout
    assert f"polymix {verb}" in shown.stdout


def test_an_unknown_verb_and_an_unknown_option_exit_2() -> None:
    for arguments in (["cook"], ["fit", "--spice", "x"]):
        refused = polymix(*arguments)
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert "Error" in refused.stderr


def test_a_missing_library_is_said_with_the_extra_that_has_it(tmp_path: Path) -> None:
    runs = tmp_path / "runs.csv"
    runs.write_text("params,tokens,loss\n1,1,1\n")
    refused = polymix("fit", str(runs), "--law", "chinchilla", blocked=["duckdb"])
    assert refused.returncode == 2
    assert "polymix[analysis]" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "nowhere", "--out", "{out}"],
        ["classify", "nowhere"],
        ["dedup", "nowhere.parquet", "--out", "{out}"],
        ["mine", "nowhere", "--out", "{out}"],
        ["validate", "nowhere.jsonl"],
        ["pack", "--corpus", "nowhere", "--allocation", "nowhere.json", "--tokens", "1M", "--out", "{out}"],
        ["sweep", "nowhere.toml", "--tokens-dir", "nowhere", "--out", "{out}"],
        ["fit", "nowhere.csv", "--law", "chinchilla"],
        ["allocate", "nowhere.jsonl", "--tokens", "1000000", "--params", "1000000"],
        ["report", "nowhere", "--out", "{out}.html"],
        ["turn", "nowhere.toml", "--store", "{out}"],
        ["status", "nowhere.toml", "--store", "{out}"],
        ["show", "nowhere"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_input_is_one_clear_error_and_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    refused = polymix(*(argument.format(out=tmp_path / "out") for argument in arguments))
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    assert "nowhere" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "precious"])
def test_a_place_that_cannot_be_made_or_holds_something_else_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"id": "a", "text": "x"}\n')
    (tmp_path / "file").write_text("x")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "manifest.json").write_text('{"kind": "corpus", "fingerprint": "0"}')
    before = sorted(tmp_path.rglob("*"))
    refused = polymix("dedup", str(tmp_path / "texts.jsonl"), "--out", str(tmp_path / place))
    assert refused.returncode == 2, refused.stderr
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert f"error: {tmp_path / place}" in refused.stderr
    assert "name a" in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_all_wrong_options_of_a_fit_are_said_at_once(tmp_path: Path) -> None:
    runs = tmp_path / "runs.csv"
    runs.write_text("params,tokens,loss\n1,1,1\n")
    refused = polymix("fit", str(runs), "--law", "moore", "--drop-highest", "-1", "--bootstrap", "-5")
    assert refused.returncode == 2
    for option in ("--law", "--drop-highest", "--bootstrap"):
        assert f"error: {option}: " in refused.stderr


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    code = "from pipelines.cli import main; main(['classify', 'pipelines', 'quality', 'training', 'analysis'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
