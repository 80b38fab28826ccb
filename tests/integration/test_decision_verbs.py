"""`polymix transfer`, `allocate` with limits, `next`, `optimum` and `paper` as a person calls them, in that order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.laws import LAWS
from pipelines.cli import main
from training.settings import read_sweep_settings

LAW = LAWS["chinchilla"]
LANGUAGES = {
    "go": {"A": 60.0, "B": 900.0, "E": 0.6, "alpha": 0.3, "beta": 0.34},
    "python": {"A": 80.0, "B": 2000.0, "E": 0.7, "alpha": 0.31, "beta": 0.36},
    "rust": {"A": 70.0, "B": 3000.0, "E": 0.5, "alpha": 0.3, "beta": 0.38},
}
BUDGET = ["--tokens", "40B", "--params", "1.5B"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("decision")
    runs, pairs = ["language,params,tokens,bits_per_byte"], ["target,auxiliary,tokens,loss,seed,params"]
    for language, symbols in LANGUAGES.items():
        for n in np.geomspace(1e8, 3e9, 5):
            for d in np.geomspace(2e9, 6e10, 5):
                value = float(LAW.predict(symbols, n, d)) * np.exp(0.003 * rng.normal())
                runs.append(f"{language},{n},{d},{value}")
        for other, tau in (("", 0.0), *((name, 0.3) for name in LANGUAGES if name != language)):
            for tokens in (16e9, 32e9):
                own = tokens / 2 if other else tokens
                for seed in range(3):
                    value = float(LAW.predict(symbols, 1e9, own + tau * own)) * np.exp(0.002 * rng.normal())
                    pairs.append(f"{language},{other},{tokens:.0f},{value},{seed},1000000000")
    (path / "runs.csv").write_text("\n".join(runs) + "\n")
    (path / "pairs.csv").write_text("\n".join(pairs) + "\n")
    return path


def polymix(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_from_runs_to_a_decision_and_the_runs_that_sharpen_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert polymix("fit", folder / "runs.csv", "--by", "language", "--bootstrap", "40") == 0
    fits = folder / "fits.jsonl"
    fits.write_text(capsys.readouterr().out)

    assert polymix("transfer", folder / "pairs.csv", "--fits", fits) == 0
    (found,) = printed(capsys)
    (folder / "transfer.json").write_text(json.dumps(found))
    unique = [row for row in found["synergy"] if row["baseline"] == "unique" and row["tokens"] == 32e9]
    assert len(unique) == 6
    assert all(row["verdict"] == "gain" for row in unique)
    assert all(row["tau"] == pytest.approx(0.3, abs=0.15) for row in found["tau"])

    limits = ["--floors", '{"go": 0.3}', "--stages", "0.5", "--transfer", folder / "transfer.json", "--against", fits]
    assert polymix("allocate", fits, *BUDGET, *limits) == 0
    (answer,) = printed(capsys)
    assert answer["shares"]["go"] >= 0.3 - 1e-9
    assert [stage["until_tokens"] for stage in answer["stages"]] == [20_000_000_000, 40_000_000_000]
    assert answer["solver"]["gap"] < 1e-6
    assert answer["other_laws"][0]["regret"] >= 0
    (folder / "allocation.json").write_text(json.dumps(answer))

    like = folder / "sweep.toml"
    like.write_text('sizes = ["0.1B"]\ntokens = ["2B"]\n')
    more = ["--budget", "1e20", "--like", like, "--out", folder / "more", "--size", "0.4B", "--size", "1B"]
    assert polymix("next", fits, *BUDGET, *more) == 0
    (found,) = printed(capsys)
    assert found["regret_after"] <= found["regret_before"]
    assert found["spent"] <= 1e20
    written = sorted((folder / "more").glob("next-*.toml"))
    assert len(written) == len(found["sweeps"])
    assert all(read_sweep_settings(path).sizes for path in written)


def test_laws_of_mixtures_name_mixtures_to_train_next(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["params,tokens,share_go,share_rust,go_bits_per_byte,rust_bits_per_byte"]
    rng = np.random.default_rng(0)
    laws = {name: LAWS["transfer"].bind(["go", "rust"], name) for name in ("go", "rust")}
    for n in (1e8, 1e9):
        for d in (2e9, 2e10):
            for go in (0.25, 0.5, 0.75):
                shares = np.array([go, 1 - go])
                row = [n, d, *shares]
                for name, law in laws.items():
                    symbols = {**LANGUAGES[name], "tau.rust" if name == "go" else "tau.go": 0.2}
                    row.append(float(law.predict(symbols, n, d, shares)) * float(np.exp(0.004 * rng.normal())))
                lines.append(",".join(map(repr, map(float, row))))
    (folder / "mixtures.csv").write_text("\n".join(lines) + "\n")
    fits = folder / "mixture-fits.jsonl"
    fits.write_text("")
    for name in laws:
        asked = ["--law", "transfer", "--shares", "share_", "--target", name, "--loss", f"{name}_bits_per_byte"]
        assert polymix("fit", folder / "mixtures.csv", *asked, "--bootstrap", "30") == 0
        fits.write_text(fits.read_text() + capsys.readouterr().out)
    more = ["--budget", "1e20", "--size", "0.1B", "--run-tokens", "2B", "--run-tokens", "20B"]
    assert polymix("next", fits, *BUDGET, *more) == 0
    (found,) = printed(capsys)
    assert found["runs"]
    assert found["unit"] == "bits_per_byte"
    assert found["regret_after"] < found["regret_before"]
    assert polymix("next", fits, *BUDGET, *more, "--mixtures", '{"only": {"go": 0.4, "rust": 0.6}}') == 0
    (told,) = printed(capsys)
    assert told["candidates"] == 2
    assert {run["mixture"] for run in told["runs"]} <= {"only"}
    assert polymix("next", fits, *BUDGET, *more, "--mixtures", '{"only": {"go": 0.4}}') == 2
    assert "mixtures.only: sums to 0.4, not 1" in capsys.readouterr().err


def test_the_best_size_for_a_budget(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--flops", "1e20", "--where", "language = 'python'", "--bootstrap", "20"]
    assert polymix("optimum", folder / "runs.csv", *asked) == 0
    found = printed(capsys)
    assert [one["approach"].split()[0] for one in found] == ["envelope", "isoFLOP", "parametric"]
    assert found[2]["intervals"]["params"][0] < found[2]["params"] < found[2]["intervals"]["params"][1]


def test_the_paper_prints_its_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert polymix("paper") == 0
    found = {one["name"]: one for one in printed(capsys)}
    assert found["below_floor"]["figures"]["below"] == 18
    assert found["degenerate_law"]["verdict"] == "does not hold"


def test_wrong_settings_exit_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fits = folder / "none.jsonl"
    assert polymix("allocate", fits, *BUDGET, "--stages", "half") == 2
    assert "write 0.5,0.9" in capsys.readouterr().err
    assert polymix("transfer", folder / "runs.csv") == 2
    assert "needs the columns target, auxiliary" in capsys.readouterr().err
    assert polymix("optimum", folder / "runs.csv", "--flops", "-1") == 2
    assert polymix("next", fits, *BUDGET, "--budget", "1e20") == 2
    assert "no such file" in capsys.readouterr().err
