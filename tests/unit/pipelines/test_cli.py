"""What the command line says of options that cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.cli import main


def said(arguments: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]


def test_all_values_that_are_wrong_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert said("pack --corpus x --seed abc --workers x --fim-rate q", capsys) == [
        "Error: Invalid value for '--seed': 'abc' is not a valid integer.",
        "Error: Invalid value for '--workers': 'x' is not a valid integer.",
        "Error: Invalid value for '--fim-rate': 'q' is not a valid float.",
        "Error: Missing option '--out'.",
    ]
    assert said("validate --mutants -1", capsys) == [
        "Error: Invalid value for '--mutants': -1 is not in the range 0<=x<=1000.",
        "Error: Missing argument 'PAIRS'.",
    ]


@pytest.mark.parametrize("verb", ["allocate {} --tokens 1B --params 1M", "validate {}", "status {}"])
def test_a_file_that_is_nested_too_deeply_is_named(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / "deep"
    deep.write_text("a = " + "[" * 5000 + "]" * 5000 if "status" in verb else '{"a": ' + "[" * 100_000)
    with pytest.raises(SystemExit) as ended:
        main(verb.format(deep).split())
    assert ended.value.code == 2
    assert f"error: {deep}: lists or objects stand in each other too deeply" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["pack --bogus", "bogus", "fit a.csv b.csv", "sweep --size"])
def test_other_mistakes_of_usage_are_told_once(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(arguments, capsys)) == 1


def test_a_folder_that_cannot_be_copied_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")])

    monkeypatch.setattr("pipelines.cli.polymix.main", full)
    with pytest.raises(SystemExit) as ended:
        main(["pack"])
    assert ended.value.code == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "error: a folder could not be copied: [Errno 28] No space left on device: 'b'; mend that, or name another place"
    ]
