from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.compare import compare
from analysis.laws import LAWS
from quality.mistakes import BadInput

TRUE = {"A": 4000.0, "B": 9000.0, "E": 1.2, "a": 0.5, "b": 0.45, "k": 0.5}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["params,tokens,loss_nats"]
    for n in np.geomspace(1e8, 3e9, 7):
        for d in np.geomspace(2e9, 2e11, 7):
            loss = float(LAWS["skaling"].predict(TRUE, n, d)) * np.exp(0.0005 * rng.normal())
            lines.append(f"{n:.17g},{d:.17g},{loss:.17g}")
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_law_behind_the_runs_is_ranked_first_by_held_out_error(runs: Path) -> None:
    rows = compare(runs, ["chinchilla", "skaling"])
    assert [row["law"] for row in rows] == ["skaling", "chinchilla"]
    assert rows[0]["heldout"] < 0.5 * rows[1]["heldout"]
    assert rows[0]["heldout_mixtures"] is None


def test_every_unknown_law_is_named(runs: Path) -> None:
    with pytest.raises(BadInput) as caught:
        compare(runs, ["kaplan", "chinchilla", "gauss"])
    assert len(caught.value.mistakes) == 2
