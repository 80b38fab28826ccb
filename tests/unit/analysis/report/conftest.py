"""The turn and its page, made once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_turn import MAKERS

from analysis.report.page import report


@pytest.fixture(scope="session")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole turn, below a folder whose name needs quoting everywhere."""
    folder = tmp_path_factory.mktemp("store") / "it's [a] study, c*" / "0"
    for make in MAKERS.values():
        make(folder)
    return folder


@pytest.fixture(scope="session")
def page_file(turn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that turn."""
    return report(turn, tmp_path_factory.mktemp("page") / "report.html")
