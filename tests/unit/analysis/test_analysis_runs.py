from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.runs import RUN_POINT_SCHEMA, read_runs, statement, write_store
from quality.artifacts import creating
from quality.mistakes import BadInput
from training.runs import CURVE_SCHEMA, EVALUATION_SCHEMA, RUN_SCHEMA


def run_row(run_id: str, trained_on: str, **changes: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "size": "200k",
        "params_total": 300_000,
        "params_non_embedding": 200_000,
        "tokens": 1_000_000,
        "flops": 1e12,
        "shares": [(trained_on, 1.0)],
        "repeats": [(trained_on, 0.5)],
        "trained_on": trained_on,
        "mixture": trained_on,
        "pairing": "",
        "seed": 0,
        "sequence_length": 128,
        "batch_tokens": 1024,
        "learning_rate": 1e-3,
        "schedule": "cosine",
        "across_documents": True,
        "precision": "float32",
        "steps": 10,
        "restarts": 0,
        "final_train_loss_nats": 3.0,
        "seconds": 1.0,
        "step_seconds": 0.1,
        "loader_seconds": 0.0,
        "world_size": 1,
        "device": "cpu",
        "torch": "2",
        "torchtitan": "0",
        "tokenizer": "t",
        "stores": "s",
        "status": "finished",
        "command": "polymix sweep",
        **changes,
    }


def evaluation(run_id: str, step: int, language: str, bits: float) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "step": step,
        "tokens": step * 1000,
        "language": language,
        "loss_nats": bits * 2,
        "bits_per_byte": bits,
        "evaluated_tokens": 100,
        "evaluated_bytes": 300,
    }


def write_artifact(folder: Path, runs: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> Path:
    with creating(folder, "runs", {"test": 1}) as draft:
        pq.write_table(pa.Table.from_pylist(runs, schema=RUN_SCHEMA), draft.path / "runs.parquet")
        pq.write_table(pa.Table.from_pylist(evaluations, schema=EVALUATION_SCHEMA), draft.path / "evaluations.parquet")
        pq.write_table(pa.Table.from_pylist([], schema=CURVE_SCHEMA), draft.path / "curves.parquet")
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    runs = [
        run_row("a", "python"),
        run_row("b", "go", params_non_embedding=400_000),
        run_row("c", "mixture"),
        run_row("d", "go", status="diverged"),
        run_row("e", "rust"),
    ]
    evaluations = [
        evaluation("a", 5, "python", 2.5),
        evaluation("a", 10, "python", 2.25),
        evaluation("a", 10, "go", 9.0),
        evaluation("b", 10, "go", 1.5),
        evaluation("c", 10, "go", 1.25),
        evaluation("d", 10, "go", 8.0),
        evaluation("e", 10, "python", 8.0),
    ]
    return write_artifact(tmp_path / "runs", runs, evaluations)


def mistakes(*arguments: Any, **options: Any) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read_runs(*arguments, **options)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_an_artifact_gives_the_last_loss_on_the_language_trained_on(artifact: Path) -> None:
    found = read_runs(artifact, by="language")
    assert found.table.schema.equals(RUN_POINT_SCHEMA)
    rows = {row["group"]: (row["params"], row["tokens"], row["loss"]) for row in found.table.to_pylist()}
    assert rows == {"python": (2e5, 1e6, 2.25), "go": (4e5, 1e6, 1.5)}
    assert found.unit == "bits_per_byte"
    assert found.columns == {
        "params": "params_non_embedding",
        "tokens": "tokens",
        "loss": "bits_per_byte",
        "by": "language",
        "trunk": "trunk",
    }
    assert found.table["trunk"].to_pylist() == ["go/200k/0/0.001/1024", "python/200k/0/0.001/1024"]
    assert found.warnings == (
        "1 runs left out: diverged",
        "1 runs left out: never evaluated on rust",
        "1 runs left out: trained on a mixture",
    )


def test_other_columns_of_an_artifact_can_be_chosen(artifact: Path) -> None:
    found = read_runs(artifact, by="language", loss="loss_nats", params="params_total", where="language = 'go'")
    assert found.unit == "nats"
    assert found.groups() == ["go"]
    assert found.points("go").params.tolist() == [300_000]
    assert found.points("go").loss.tolist() == [3.0]


def test_shares_are_read_by_their_prefix_scaled_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "mixtures.csv"
    head = "params,tokens,loss_nats,w_go,w_rust\n"
    path.write_text(head + "1e6,1e7,3,0.25,0.74\n1e6,2e7,2.9,0.25,0.74\n2e6,1e7,2.8,1,0\n")
    found = read_runs(path, shares="w_")
    assert found.sources == ("go", "rust")
    points = found.points(None)
    assert points.shares is not None
    assert points.shares.sum(axis=1) == pytest.approx(1)
    assert points.trunk is not None
    assert points.trunk.tolist() == [0, 0, 1]
    path.write_text(head + "1e6,1e7,3,0.25,0.5\n1e6,2e7,2.9,-0.1,1.1\n2e6,1e7,2.8,1,\n")
    with pytest.raises(BadInput, match="do not sum to 1 in rows 1, 2, 3"):
        read_runs(path, shares="w_")
    with pytest.raises(BadInput, match="1 columns begin with 'w_g'"):
        read_runs(path, shares="w_g")


def test_with_shares_an_artifact_gives_every_runs_loss_on_every_language_it_was_evaluated_on(tmp_path: Path) -> None:
    half = [("python", 0.5), ("go", 0.5)]
    runs = [
        run_row("a", "python"),
        run_row("b", "mixture", shares=half),
        run_row("c", "mixture", shares=half, tokens=2_000_000),
        run_row("d", "mixture", shares=[("python", 0.9), ("pair:python-go", 0.1)]),
        run_row("e", "mixture", shares=half, status="diverged"),
        run_row("f", "mixture", shares=[("python", 1.0), ("text:notes", 0.0)], seed=1),
    ]
    evaluations = [evaluation(run, 10, language, 1.0) for run in "abcde" for language in ("python", "go")]
    evaluations += [evaluation("b", 20, "go", 0.5), evaluation("f", 10, "python", 1.25), evaluation("f", 10, "rust", 9)]
    found = read_runs(write_artifact(tmp_path / "runs", runs, evaluations), by="language", shares="share_")
    assert found.sources == ("go", "python")
    assert found.groups() == ["go", "python"]
    go, python = found.points("go"), found.points("python")
    assert go.shares is not None
    assert sorted(zip(go.shares[:, 0].tolist(), go.loss.tolist(), strict=True)) == [(0, 1), (0.5, 0.5), (0.5, 1)]
    assert len(python) == 4
    assert go.trunk is not None
    assert len(set(go.trunk.tolist())) == 2
    assert found.warnings[:2] == (
        "1 runs left out: diverged",
        "1 runs left out: trained on parallel documents or natural language, too",
    )
    only = write_artifact(tmp_path / "other", [runs[3]], evaluations)
    assert "no finished run trained on languages alone (1 trained on parallel" in mistakes(only, shares="share_")[0]


def test_languages_fitted_together_are_remarked_upon(artifact: Path) -> None:
    assert any("2 languages" in warning for warning in read_runs(artifact).warnings)


def test_an_artifact_of_mixtures_alone_says_why_it_cannot_be_fitted(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "runs", [run_row("c", "mixture")], [evaluation("c", 10, "go", 1.25)])
    assert mistakes(folder) == [
        f"{folder}: no finished run trained on one language alone (1 trained on a mixture); a law needs such runs"
    ]


def test_runs_of_two_tokenizers_are_not_fitted_together(tmp_path: Path) -> None:
    runs = [run_row("a", "go"), run_row("b", "go", tokenizer="other")]
    folder = write_artifact(tmp_path / "runs", runs, [evaluation(run, 10, "go", 1.25) for run in "ab"])
    assert "2 different tokenizers" in mistakes(folder)[0]


def test_a_damaged_artifact_is_named(artifact: Path) -> None:
    path = artifact / "runs.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    assert mistakes(artifact)[0].startswith(f"{path}: cannot be read as parquet")
    path.unlink()
    assert mistakes(artifact)[0].startswith(f"{path}: missing from the artifact")


def test_the_store_can_be_queried_and_fitted(artifact: Path, tmp_path: Path) -> None:
    write_store(artifact, tmp_path / "runs.duckdb")
    with duckdb.connect(str(tmp_path / "runs.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(5,)]
        assert connection.execute("SELECT language, bits_per_byte FROM final_losses ORDER BY 1").fetchall() == [
            ("go", 1.5),
            ("python", 2.25),
        ]
    assert read_runs(tmp_path / "runs.duckdb", by="language").table.equals(read_runs(artifact, by="language").table)
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


CSV = "n,d,loss_nats,set\n1e6,1e7,3.0,a\n2e6,1e7,2.9,b\n"


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl", "duckdb"])
def test_every_form_of_a_table_reads_the_same(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table.{ending}"
    rows = [{"n": 1e6, "d": 1e7, "loss_nats": 3.0, "set": "a"}, {"n": 2e6, "d": 1e7, "loss_nats": 2.9, "set": "b"}]
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif ending == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.execute("CREATE TABLE x AS SELECT 1e6 AS n, 1e7 AS d, 3.0 AS loss_nats, 'a' AS set")
            connection.execute("INSERT INTO x VALUES (2e6, 1e7, 2.9, 'b')")
    else:
        path.write_text(CSV if ending == "csv" else CSV.replace(",", "\t"))
    found = read_runs(path, params="n", tokens="d", by="set")
    assert found.unit == "nats"
    assert found.table.select(["line", "group", "params", "tokens", "loss"]).to_pylist() == [
        {"line": 1, "group": "a", "params": 1e6, "tokens": 1e7, "loss": 3.0},
        {"line": 2, "group": "b", "params": 2e6, "tokens": 1e7, "loss": 2.9},
    ]


def test_every_wrong_row_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mess.csv"
    path.write_text(
        "params,tokens,loss\n1e6,1e7,3\n2e6,abc,3.1\n1e6,1e7,3\n-5,1e7,nan\n3e6,,2.9\n1e6,5e7,0\n1e6,inf,1\n"
    )
    found = mistakes(path)
    assert [line.removeprefix(f"{path}: ").split(";")[0] for line in found] == [
        "params: a number that is not positive such as '-5.0' in row 4",
        "tokens: not a number such as 'abc' in row 2",
        "tokens: nothing in row 5",
        "tokens: not a finite number such as 'inf' in row 7",
        "loss: not a finite number such as 'nan' in row 4",
        "loss: a number that is not positive such as '0.0' in row 6",
        "1 rows stand there twice (row 3 repeats 1)",
    ]


def test_rows_can_be_left_out_by_a_condition(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("params,tokens,loss\n1e6,1e7,3\n2e6,abc,3.1\n")
    assert read_runs(path, where="tokens <> 'abc'").table["line"].to_pylist() == [1]
    assert "no row meets" in mistakes(path, where="params > 1e9")[0]
    assert "is no condition on the columns" in mistakes(path, where="size > 3")[0]


def test_all_missing_columns_are_named_with_those_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("n,d\n1,2\n")
    found = mistakes(path, params="N_", by="set")
    assert [line.split(": ")[1] for line in found] == ["--params", "--tokens", "--loss", "--by"]
    assert all("name one of: n, d" in line for line in found)


def test_mixed_units_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("params,tokens,loss,unit\n1,2,3,nats\n2,2,4,bits_per_byte\n")
    assert "mixed units (bits_per_byte, nats)" in mistakes(path)[0]
    assert read_runs(path, where="unit = 'nats'").unit == "nats"


def test_a_unit_nobody_states_is_the_name_of_the_column(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("params,tokens,loss\n1,2,3\n")
    assert read_runs(path).unit == "loss"
    assert read_runs(path, unit="bits_per_byte").unit == "bits_per_byte"


def test_equal_losses_of_different_rows_are_remarked_upon(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("params,tokens,loss,seed\n1,2,3,0\n1,2,3,1\n")
    assert "intervals are too narrow" in read_runs(path).warnings[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "no such file or folder"),
        ("empty.csv", b"", "the file is empty"),
        ("head.csv", b"params,tokens,loss\n", "holds no rows"),
        ("table.xlsx", b"PK", ".xlsx is not read; use one of .csv"),
        ("broken.parquet", b"PAR1" + b"x" * 100, "cannot be read as parquet"),
        ("broken.jsonl", b'{"params": 1\n', "cannot be read as jsonl"),
        ("broken.duckdb", b"x" * 5000, "cannot be opened as a DuckDB database"),
    ],
)
def test_what_cannot_be_read_is_one_clear_mistake(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    found = mistakes(path)
    assert len(found) == 1
    assert words in found[0]
    assert "\n" not in found[0]


def test_a_folder_that_is_no_artifact_is_refused(tmp_path: Path) -> None:
    assert "manifest.json is missing" in mistakes(tmp_path)[0]


def test_a_database_of_several_tables_asks_which(tmp_path: Path) -> None:
    path = tmp_path / "two.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE x AS SELECT 1 AS params, 2 AS tokens, 3 AS loss")
        connection.execute("CREATE TABLE y AS SELECT 1 AS a")
    assert "name one of its tables with --table: x, y" in mistakes(path)[0]
    assert len(read_runs(path, table="x").table) == 1


def test_statements_are_read_from_the_package() -> None:
    assert "final_losses" in statement("final_losses")


def test_languages_that_are_fitted_together_are_told(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    table.write_text("language,params,tokens,loss_nats\ngo,1e6,1e8,3\nrust,1e6,1e8,3.1\n")
    told = "the runs of 2 languages were fitted together; divide them with --by language"
    assert told in read_runs(table).warnings
    assert told not in read_runs(table, by="language").warnings
    assert told not in read_runs(table, where="language = 'go'").warnings
