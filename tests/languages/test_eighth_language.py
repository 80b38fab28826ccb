"""A language is one row of the registry and one driver folder: an eighth is added to a copy, and goes the whole way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from parallel_mining import sandbox

ROOT = Path(__file__).parents[2]
PACKAGES = ["quality", "parallel_mining", "training", "analysis", "pipelines"]
ROW = '        Language("xonsh", "Xonsh", (".xsh",), "tree_sitter_python:language", "#", interpreters=("xonsh",)),\n'
LEVENSHTEIN = """\
def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(last + (x != y), row[j] + 1, row[j + 1] + 1)
    return row[-1]


def digit_sum(n):
    total = 0
    for digit in str(n):
        total += int(digit)
    return total


def is_vowel(letter):
    return letter.lower() in "aeiou"
"""
XONSH = """\
def levenshtein(left, right):
    # The whole table, one line for each letter of the left text.
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for down in range(len(left) + 1):
        table[down][0] = down
    for across in range(len(right) + 1):
        table[0][across] = across
    for down in range(1, len(left) + 1):
        for across in range(1, len(right) + 1):
            replaced = table[down - 1][across - 1]
            if left[down - 1] != right[across - 1]:
                replaced += 1
            table[down][across] = min(replaced, table[down - 1][across] + 1, table[down][across - 1] + 1)
    return table[len(left)][len(right)]
"""
POLYMIX = "from pipelines.cli import main; main()"


@pytest.fixture
def house(tmp_path):
    """Copy the packages, and add the row and the folder: nothing else is changed."""
    house = tmp_path / "house"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__"))
    registry = house / "quality" / "languages.py"
    text = registry.read_text()
    last = text.rindex('        Language("rust"')
    registry.write_text(text[:last] + ROW + text[last:])
    shutil.copytree(
        Path(__file__).parent / "xonsh",
        house / "parallel_mining" / "drivers" / "xonsh",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return house


def run(house: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(house)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.toolchain
def test_the_contract_covers_it(house):
    shutil.copy(ROOT / "pyproject.toml", house)
    contract = shutil.copy(ROOT / "tests" / "languages" / "test_contract.py", house)
    done = run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", contract, "-k", "xonsh")
    assert done.returncode == 0, done.stdout + done.stderr
    own = run(house, "-m", "pytest", "-q", "--collect-only", contract, "-k", "python").stdout.count("::test_")
    told = done.stdout.splitlines()[-1]
    assert sandbox.ready() or (f"{own} passed" in told and "skipped" not in told)


@pytest.mark.spark
@pytest.mark.toolchain
def test_it_goes_from_source_files_to_a_proved_pair(house, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(ROOT / "LICENSE", source)
    (source / "distance.py").write_text(LEVENSHTEIN)
    (source / "distance.xsh").write_text(XONSH)
    (source / "broken.xsh").write_text("def def def given(first = = second\n" * 3)

    done = run(house, "-c", POLYMIX, "classify", source / "distance.xsh")
    assert json.loads(done.stdout)["language"] == "xonsh", done.stderr

    done = run(house, "-c", POLYMIX, "build", source, "--out", tmp_path / "corpus")
    assert done.returncode == 0, done.stderr
    documents = pads.dataset(tmp_path / "corpus" / "documents", partitioning="hive").to_table().to_pylist()
    assert {(row["language"], row["path"]) for row in documents} == {
        ("python", "distance.py"),
        ("xonsh", "distance.xsh"),
    }
    rejects = pq.read_table(tmp_path / "corpus" / "rejects.parquet").to_pylist()
    assert [row["reason"] for row in rejects if row["path"] == "broken.xsh"] == ["syntax"]

    done = run(house, "-c", POLYMIX, "mine", tmp_path / "corpus", "--out", tmp_path / "pairs")
    assert done.returncode == 0, done.stderr
    [pair] = pq.read_table(tmp_path / "pairs" / "pairs.parquet").to_pylist()
    assert (pair["left_language"], pair["right_language"]) == ("python", "xonsh")
    assert pair["cases"] == pair["agreed"] >= 8
