"""Where nothing can be written is told before any input is looked at, whatever the verb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quality.mistakes import BadInput


def _train(out: str) -> object:
    from training.train import train

    return train("none", "25k", 1, out)


def _sweep(out: str) -> object:
    from training.settings import SweepSettings
    from training.sweep import sweep

    return sweep(SweepSettings(sizes=("25k",), tokens=(40_960,)), "none", out)


def _score(out: str) -> object:
    from training.score import score

    return score("none", "multipl-e", ["none"], out)


def _ingest(out: str) -> object:
    from analysis.ingest import ingest

    return ingest(["none"], out)


def _report(out: str) -> object:
    from analysis.report.page import report

    return report("none", out)


@pytest.mark.parametrize("verb", [_train, _sweep, _score, _ingest, _report])
def test_a_place_is_checked_first(verb: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out, said in (("/proc/new", "/proc: No such file"), (f"{tmp_path}/file/new", "file is not a folder")):
        with pytest.raises(BadInput, match=said):
            verb(out)
