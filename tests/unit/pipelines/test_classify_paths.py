"""`polymix classify`: one row a file, in order, and every wrong path at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.classify import classify
from quality.mistakes import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "code"
    for path, text in {
        "z.go": "package z\n",
        "a/b.py": "import os\n",
        "vendor/c.rs": "pub fn c() {}\n",
        "data.json": "{}",
        ".git/config": "[core]\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    return root


def test_folders_are_walked_in_order_and_git_is_left_out(folder: Path) -> None:
    rows = list(classify([folder]))
    assert [(Path(row["path"]).relative_to(folder).as_posix(), row["language"], row["kind"]) for row in rows] == [
        ("a/b.py", "python", "source"),
        ("data.json", None, "data"),
        ("vendor/c.rs", "rust", "vendored"),
        ("z.go", "go", "source"),
    ]
    assert [set(row) for row in rows] == [{"path", "language", "kind", "confidence", "reason", "dialect"}] * 4


def test_folders_above_an_absolute_path_are_the_machine_s(folder: Path) -> None:
    moved = folder.parent / "tests" / "code"
    moved.parent.mkdir()
    folder.rename(moved)
    kinds = {Path(row["path"]).name: row["kind"] for row in classify([moved])}
    assert kinds["z.go"] == "source"
    assert next(iter(classify(["tests/code/z.go"])))["kind"] == "test"


def test_content_only_looks_at_no_name(folder: Path) -> None:
    go = 'package a\n\nimport "fmt"\n\nfunc F(x int) error {\n\ty := x\n\tfmt.Println(y)\n\treturn nil\n}\n'
    (folder / "vendor" / "wrong.py").write_text(go)
    row = next(iter(classify([folder / "vendor" / "wrong.py"], content_only=True)))
    assert (row["path"], row["language"], row["kind"]) == (str(folder / "vendor" / "wrong.py"), "go", "source")


def test_every_wrong_path_is_named_before_the_first_row(folder: Path) -> None:
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(BadInput) as error:
        classify([folder / "nope.py", folder, folder / "empty", "gone/", "", folder / "pipe"])
    assert [mistake.where for mistake in error.value.mistakes] == [
        str(folder / "nope.py"),
        str(folder / "empty"),
        "gone",
        "''",
        str(folder / "pipe"),
    ]
    assert "neither a file nor a folder" in str(error.value)


def test_the_verb_prints_json_lines(folder: Path) -> None:
    run = [sys.executable, "-m", "pipelines.cli", "classify", "code"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(run, cwd=folder.parent, env=environment, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in rows] == ["code/a/b.py", "code/data.json", "code/vendor/c.rs", "code/z.go"]
    assert rows[1]["language"] is None
    wrong = subprocess.run(
        [*run, "nope"], cwd=folder.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: nope: no such file or folder\n"
