"""What the command line says of options that cannot be used."""

from __future__ import annotations

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


@pytest.mark.parametrize("arguments", ["pack --bogus", "bogus", "fit a.csv b.csv", "sweep --size"])
def test_other_mistakes_of_usage_are_told_once(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(arguments, capsys)) == 1
