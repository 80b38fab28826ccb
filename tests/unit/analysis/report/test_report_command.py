"""`polymix report`: what it prints, what it refuses, and what it imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(str(caught.value.code or 0))


def test_it_prints_what_it_read_and_wrote(turn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "report.html"
    assert run(["report", str(turn.parent.parent), "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["turn"] == str(turn)
    assert said["bytes"] == out.stat().st_size > 100_000
    assert set(said["artifacts"].values()) == {"finished"}
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_wrong_input_exits_2_with_one_line_each(turn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "report.html")
    for store in (tmp_path / "missing", tmp_path, turn / "runs", Path(__file__)):
        assert run(["report", str(store), "--out", out]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_help_shows_examples_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from pipelines.cli import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'duckdb', 'jinja2', 'scipy', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "\n    polymix report store --out report.html\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
