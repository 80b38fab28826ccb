"""`polymix fit` and `polymix allocate` as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli import main

LANGUAGES = {"go": (60.0, 900.0, 1.1), "python": (120.0, 2000.0, 1.5)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("verbs") / "runs.csv"
    lines = ["language,params,tokens,bits_per_byte"]
    for language, (a, b, e) in LANGUAGES.items():
        for n in np.geomspace(1e8, 3e9, 4):
            for d in np.geomspace(2e9, 6e10, 4):
                lines.append(f"{language},{n},{d},{(e + a / n**0.3 + b / d**0.36) * np.exp(0.005 * rng.normal())}")
    path.write_text("\n".join(lines) + "\n")
    return path


def polymix(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_the_output_of_fit_is_the_input_of_allocate(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert polymix("fit", runs, "--by", "language", "--bootstrap", "30") == 0
    printed = capsys.readouterr()
    fits = [json.loads(line) for line in printed.out.splitlines()]
    assert [one["group"] for one in fits] == ["go", "python"]
    assert all(one["unit"] == "bits_per_byte" for one in fits)
    (tmp_path / "fits.jsonl").write_text(printed.out)
    assert polymix("allocate", tmp_path / "fits.jsonl", "--tokens", "40B", "--params", "1.5B") == 0
    printed = capsys.readouterr()
    allocation = json.loads(printed.out)
    assert sum(allocation["tokens"].values()) == 40_000_000_000
    assert allocation["params"] == 1.5e9
    assert "note: each law counts a language's own tokens only" in printed.err


def test_the_same_notes_of_several_groups_stand_there_once(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert polymix("fit", runs, "--by", "language", "--bootstrap", "0") == 0
    assert capsys.readouterr().err.count("note: no intervals: --bootstrap 0") == 1


def test_wrong_input_is_listed_and_exits_2(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert polymix("fit", tmp_path / "none.csv") == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert polymix("fit", runs, "--loss", "x", "--by", "y") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: ") == 2
    assert polymix("fit", runs, "--law", "kaplan") == 2
    assert "known: chinchilla, monolingual" in capsys.readouterr().err
    assert polymix("allocate", tmp_path / "none.jsonl", "--tokens", "1B", "--params", "1B") == 2
    assert "no such file" in capsys.readouterr().err
    assert polymix("allocate", runs, "--tokens", "1B", "--params", "1B") == 2
    assert "goes through `polymix fit` first" in capsys.readouterr().err
    assert polymix("allocate", runs, "--tokens", "many", "--params", "1B") == 2
    assert "write 350B, 1.5e9 or 20000000" in capsys.readouterr().err


def test_published_laws_ask_for_their_constants_and_take_them(capsys: pytest.CaptureFixture[str]) -> None:
    budget = ["--tokens", "350B", "--params", "1.5B"]
    assert polymix("allocate", "paper", *budget) == 2
    printed = capsys.readouterr().err
    assert printed.count("error: constant ") == 14
    options = [
        part
        for language in ("python", "java", "javascript", "typescript", "csharp", "go", "rust")
        for part in ("--constant", f"{language}.Nc=40M", "--constant", f"{language}.Dc=2e8")
    ]
    assert polymix("allocate", "paper", *budget, *options) == 0
    assert sum(json.loads(capsys.readouterr().out)["shares"].values()) == pytest.approx(1)
    assert polymix("allocate", "paper", *budget, "--constant", "python=3", "--constant", "go.Nc=x") == 2
    assert capsys.readouterr().err.count("write LANGUAGE.NAME=VALUE") == 2


@pytest.mark.parametrize("verb", ["fit", "allocate"])
def test_help_shows_examples_and_loads_nothing_heavy(verb: str) -> None:
    program = f"""
import sys
from pipelines.cli import main
try:
    main(["{verb}", "--help"])
finally:
    heavy = {{"torch", "pyspark", "duckdb", "scipy", "numpy"}} & set(sys.modules)
    assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"\n    polymix {verb} " in done.stdout
    assert done.stderr == ""
