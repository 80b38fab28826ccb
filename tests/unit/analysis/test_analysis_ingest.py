from __future__ import annotations

import csv
import json
import struct
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from analysis.events import scalars
from analysis.fit import fit
from analysis.ingest import Reading, ingest
from quality.mistakes import BadInput

TABLE = """name,params_total,tokens,loss_nats
a,1e6,1e8,3.2
a,1e6,2e8,3.1
b,2e6,2e8,3.0
"""
EVENTS = Reading(params="1e6", counted="total", unit="nats", tokens_per_step=1000)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def losses(database: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(database)) as connection:
        return connection.execute(
            'SELECT "name", "language", params_total, tokens, loss, unit FROM final_losses'
        ).fetchall()


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def part(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(tag: str, step: int, value: bytes) -> bytes:
    event = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(step) + part(5, part(1, part(1, tag.encode()) + value))
    return struct.pack("<Q", len(event)) + bytes(4) + event + bytes(4)


def simple(value: float) -> bytes:
    return b"\x15" + struct.pack("<f", value)


def tensor(value: float) -> bytes:
    return part(8, b"\x08\x01" + part(4, struct.pack("<f", value)))


def test_the_last_loss_of_each_run_is_what_a_fit_reads(tmp_path: Path) -> None:
    database = tmp_path / "runs.duckdb"
    found = ingest([write(tmp_path / "runs.csv", TABLE)], database)
    assert found == {"runs": 2, "evaluations": 3, "unchanged": 0, "unfinished": 0}
    assert losses(database) == [("a", "all", 1e6, 2e8, 3.1, "nats"), ("b", "all", 2e6, 2e8, 3.0, "nats")]


def test_the_same_input_twice_changes_nothing(tmp_path: Path) -> None:
    database, table = tmp_path / "runs.duckdb", write(tmp_path / "runs.csv", TABLE)
    ingest([table], database)
    before = losses(database)
    assert ingest([table], database) == {"runs": 0, "evaluations": 0, "unchanged": 2, "unfinished": 0}
    assert losses(database) == before


def test_a_run_with_other_numbers_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    database = tmp_path / "runs.duckdb"
    ingest([write(tmp_path / "runs.csv", TABLE)], database)
    before = losses(database)
    with pytest.raises(BadInput, match="there with other numbers: a;"):
        ingest([write(tmp_path / "other.csv", TABLE.replace("3.1", "3.3") + "c,3e6,2e8,2.9\n")], database)
    assert losses(database) == before
    ingest([tmp_path / "other.csv"], database, study="other")
    assert len(losses(database)) == 5


def test_every_wrong_row_is_named(tmp_path: Path) -> None:
    rows = ("a,1e6,1e8,", "a,1e6,-1,3", "b,1e6,1e8,3", "b,1e6,1e8,3", "c,1e6,1e8,3", "c,2e6,2e8,3")
    text = "\n".join(["name,params_total,tokens,loss_nats", *rows])
    with pytest.raises(BadInput) as caught:
        ingest([write(tmp_path / "mess.csv", text)], tmp_path / "runs.duckdb")
    told = str(caught.value)
    assert "loss_nats: no positive number in rows 1" in told
    assert "tokens: no positive number in rows 2" in told
    assert "rows 4 stand there twice" in told
    assert "one run with several sizes: c" in told
    with pytest.raises(BadInput, match="holds no rows"):
        ingest([write(tmp_path / "none.csv", "name,params_total,tokens,loss_nats\n")], tmp_path / "runs.duckdb")
    assert not (tmp_path / "runs.duckdb").exists()


def test_counts_and_units_that_nobody_knows_are_asked_for(tmp_path: Path) -> None:
    table = write(tmp_path / "runs.csv", "params,tokens,python_loss\n1e6,1e8,3\n2e6,1e8,2.9\n")
    with pytest.raises(BadInput) as caught:
        ingest([table], tmp_path / "runs.duckdb")
    assert [m.where for m in caught.value.mistakes] == [f"{table}: params", f"{table}: python_loss"]
    ingest([table], tmp_path / "runs.duckdb", reading=Reading(counted="non_embedding", unit="nats"))
    assert {row[1] for row in losses(tmp_path / "runs.duckdb")} == {"python"}


def test_losses_in_another_unit_are_refused(tmp_path: Path) -> None:
    database = tmp_path / "runs.duckdb"
    ingest([write(tmp_path / "runs.csv", TABLE)], database)
    other = write(tmp_path / "other.csv", "name,params_total,tokens,bits_per_byte\nz,1e6,1e8,1.1\n")
    with pytest.raises(BadInput, match="in bits_per_byte, but losses of study 'default' on it are in nats: z"):
        ingest([other], database)


def test_a_wandb_export_tells_unfinished_runs(tmp_path: Path) -> None:
    text = "Name,State,params_total,tokens,val/loss_nats\na,finished,1e6,1e8,3.2\nb,running,2e6,1e8,3.1\n"
    table = write(tmp_path / "wandb.csv", text)
    with pytest.raises(BadInput, match=r"unfinished runs: b \(running\)"):
        ingest([table], tmp_path / "runs.duckdb")
    found = ingest([table], tmp_path / "runs.duckdb", finished_only=True)
    assert (found["runs"], found["unfinished"]) == (1, 1)
    assert losses(tmp_path / "runs.duckdb") == [("a", "val", 1e6, 1e8, 3.2, "nats")]


def test_shares_are_kept_and_must_sum_to_one(tmp_path: Path) -> None:
    head = "params_total,tokens,loss_nats,weight_go,weight_rust\n"
    reading = Reading(shares="weight_")
    ingest([write(tmp_path / "good.csv", head + "1e6,1e8,3,0.25,0.75\n")], tmp_path / "runs.duckdb", reading=reading)
    with duckdb.connect(str(tmp_path / "runs.duckdb")) as connection:
        assert connection.execute("SELECT shares FROM final_losses").fetchall() == [({"go": 0.25, "rust": 0.75},)]
    with pytest.raises(BadInput, match="not summing to 1, in rows 1"):
        ingest([write(tmp_path / "bad.csv", head + "1e6,1e8,3,0.25,0.5\n")], tmp_path / "x.duckdb", reading=reading)


@pytest.mark.parametrize("form", [simple, tensor])
def test_event_files_are_read_as_tensorboard_writes_them(tmp_path: Path, form: object) -> None:
    assert callable(form)
    (tmp_path / "one").mkdir()
    data = (
        record("val/loss", 100, form(3.5)) + record("train/loss", 100, form(3.0)) + record("val/loss", 300, form(3.25))
    )
    (tmp_path / "one" / "events.out.tfevents.1.host").write_bytes(data)
    assert ingest([tmp_path], tmp_path / "runs.duckdb", reading=EVENTS)["evaluations"] == 2
    assert losses(tmp_path / "runs.duckdb") == [("one", "val", 1e6, 3e5, 3.25, "nats")]


def test_an_event_file_cut_short_is_an_unfinished_run(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes((record("val/loss", 100, simple(3.5)) + record("val/loss", 200, simple(3.0)))[:-6])
    assert scalars(path) == ([("val/loss", 100, 3.5)], False)
    with pytest.raises(BadInput, match="cut short"):
        ingest([tmp_path], tmp_path / "runs.duckdb", reading=EVENTS)


def test_event_files_need_to_be_told_what_they_lack(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.host").write_bytes(record("val/loss", 1, simple(3.0)))
    with pytest.raises(BadInput) as caught:
        ingest([tmp_path], tmp_path / "runs.duckdb")
    assert [m.where for m in caught.value.mistakes] == ["--params", "--counted", "--unit", "--tokens"]


def test_a_law_is_fitted_from_the_database(tmp_path: Path) -> None:
    lines = ["name,params_total,tokens,loss_nats"]
    lines += [
        f"{n}-{d},{n},{d},{1.5 + 400 / n**0.35 + 2000 / d**0.36}" for n in (1e8, 4e8, 2e9) for d in (2e9, 8e9, 4e10)
    ]
    ingest([write(tmp_path / "runs.csv", "\n".join(lines))], tmp_path / "runs.duckdb")
    found = fit(tmp_path / "runs.duckdb", params="params_total", bootstrap=0)[0]
    assert found["unit"] == "nats"
    assert found["estimates"]["E"] == pytest.approx(1.5, rel=1e-3)
    json.dumps(found, allow_nan=False)


LONG = "run,language,params_total,tokens,loss\n" + "".join(
    f"{run},{language},{n},{d},{loss}\n"
    for run, n in (("a", 1e6), ("b", 2e6))
    for language, d, loss in (("python", 1e8, 3.2), ("go", 1e8, 3.4), ("python", 2e8, 3.1), ("go", 2e8, 3.3))
)


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "jsonl"])
def test_a_long_table_has_a_row_a_loss(tmp_path: Path, form: str) -> None:
    table, database = write(tmp_path / "long.csv", LONG), tmp_path / "runs.duckdb"
    if form != "csv":
        options = {"parquet": "(FORMAT parquet)", "json": "(FORMAT json, ARRAY true)", "jsonl": "(FORMAT json)"}[form]
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{table}') TO '{tmp_path / f'long.{form}'}' {options}")
        table = tmp_path / f"long.{form}"
    reading = Reading(name="run", unit="nats")
    assert ingest([table], database, reading=reading)["evaluations"] == 8
    assert ingest([table], database, reading=reading) == {
        "runs": 0,
        "evaluations": 0,
        "unchanged": 2,
        "unfinished": 0,
    }
    assert sorted(losses(database), key=str) == [
        ("a", "go", 1e6, 2e8, 3.3, "nats"),
        ("a", "python", 1e6, 2e8, 3.1, "nats"),
        ("b", "go", 2e6, 2e8, 3.3, "nats"),
        ("b", "python", 2e6, 2e8, 3.1, "nats"),
    ]


def test_a_long_table_without_names_has_a_run_a_language_and_size(tmp_path: Path) -> None:
    rows = "language,params_total,tokens,loss,unit\npython,1e6,1e8,3.2,nats\ngo,1e6,1e8,1.1,bits_per_byte\n"
    ingest([write(tmp_path / "long.csv", rows)], tmp_path / "runs.duckdb")
    found = losses(tmp_path / "runs.duckdb")
    assert len({row[0] for row in found}) == 2
    assert {(row[1], row[5]) for row in found} == {("python", "nats"), ("go", "bits_per_byte")}
    # With shares, losses on several languages are of one run.
    mixed = "eval,params_total,tokens,loss_nats,w_go,w_rust\ngo,1e6,1e8,3,.5,.5\nrust,1e6,1e8,2,.5,.5\n"
    counts = ingest(
        [write(tmp_path / "mixed.csv", mixed)],
        tmp_path / "mixed.duckdb",
        reading=Reading(language="eval", shares="w_"),
    )
    assert (counts["runs"], counts["evaluations"]) == (1, 2)


def test_every_wrong_row_of_a_long_table_is_named(tmp_path: Path) -> None:
    rows = (
        "a,python,1e6,1e8,3,nats",
        "a,,1e6,1e8,3,nats",
        "a,python,1e6,1e8,3,nats",
        "a,go,1e6,inf,3,nats",
        "a,go,1e6,1e8,x,nats",
        "a,rust,1e6,1e8,3,miles",
    )
    text = "\n".join(["name,language,params_total,tokens,loss,unit", *rows])
    with pytest.raises(BadInput) as caught:
        ingest([write(tmp_path / "mess.csv", text)], tmp_path / "runs.duckdb")
    told = str(caught.value)
    assert "language: missing in rows 2" in told
    assert "rows 3 stand there twice" in told
    assert "tokens: no positive number in rows 4" in told
    assert "loss: no positive number in rows 5" in told
    assert "'miles' is not one of nats, bits_per_byte, in rows 6" in told
    assert not (tmp_path / "runs.duckdb").exists()
    two = write(tmp_path / "two.csv", "language,params_total,tokens,loss_nats,bits_per_byte\ngo,1e6,1e8,3,1\n")
    with pytest.raises(BadInput, match="there are loss_nats, bits_per_byte; name one"):
        ingest([two], tmp_path / "runs.duckdb")
    with pytest.raises(BadInput) as caught:
        ingest([two], tmp_path / "runs.duckdb", reading=Reading(language="text", name="who"))
    assert [m.where.split(": ")[1] for m in caught.value.mistakes] == ["--language", "--name"]


RUNS = [
    {
        "id": "1x",
        "name": "wise-sun-1",
        "state": "finished",
        "config": {"params": {"value": 1e6, "desc": None}, "data": {"tokens": 1e8}},
        "summary": {"val": {"python_loss": 3.2}, "_step": 99, "params": 1.5e6},
    },
    {
        "id": "2x",
        "name": "odd-moon-2",
        "state": "crashed",
        "config": {"params": 2e6, "data": {"tokens": 2e8}},
        "summary": {"_step": 5},
    },
]
WANDB = Reading(params="params", counted="total", tokens="data.tokens", loss=("val.python_loss",), unit="nats")


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
def test_runs_of_the_api_of_wandb_are_read_with_config_and_summary(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"project.{form}"
    if form == "json":
        path.write_text(json.dumps(RUNS))
    elif form in ("jsonl", "parquet"):
        lines = write(tmp_path / "project.jsonl", "".join(json.dumps(run) + "\n" for run in RUNS))
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{lines}') TO '{tmp_path / 'project.parquet'}' (FORMAT parquet)")
    else:
        # As pandas writes a column of dictionaries to CSV: Python's own text, an index before it.
        rows = [[number, *(str(value) for value in run.values())] for number, run in enumerate(RUNS)]
        with (tmp_path / "project.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["", *RUNS[0]], *rows])
    with pytest.raises(BadInput) as caught:
        ingest([path], tmp_path / "runs.duckdb", reading=WANDB)
    told = str(caught.value)
    assert "val.python_loss: no positive number in rows 2" in told
    assert "unfinished runs: odd-moon-2 (crashed)" in told
    if form == "json":
        path.write_text(json.dumps(RUNS[:1]))
        assert ingest([path], tmp_path / "runs.duckdb", reading=WANDB)["runs"] == 1
        # What came out wins over what was asked for.
        assert losses(tmp_path / "runs.duckdb") == [("wise-sun-1", "val.python", 1.5e6, 1e8, 3.2, "nats")]


HISTORY = [
    {"_step": 0, "_timestamp": 1.0, "_runtime": 1.0, "train/loss": 9.0},
    {"_step": 100, "_timestamp": 2.0, "_runtime": 2.0, "train/loss": 5.0, "val/go_loss": 3.5, "tokens": 1e5},
    {"_step": 150, "_timestamp": 3.0, "_runtime": 3.0, "train/loss": 4.0, "val/go_loss": None},
    {"_step": 200, "_timestamp": 4.0, "_runtime": 4.0, "train/loss": 3.6, "val/go_loss": 3.25, "tokens": 2e5},
]


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "csv"])
@pytest.mark.parametrize("counted", ["tokens", "steps"])
def test_a_history_of_wandb_is_a_run_whose_steps_may_lack_a_loss(tmp_path: Path, form: str, counted: str) -> None:
    path = tmp_path / f"wise-sun-1.{form}"
    lines = "".join(json.dumps(row) + "\n" for row in HISTORY)
    if form == "json":
        path.write_text(json.dumps(HISTORY).replace("null", "NaN"))
    else:
        write(tmp_path / "wise-sun-1.jsonl", lines)
    if form in ("parquet", "csv"):
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM '{tmp_path / 'wise-sun-1.jsonl'}') TO '{path}' (FORMAT {form})")
    reading = Reading(params="1e6", counted="total", unit="nats", loss=("val/go_loss",))
    if counted == "steps":
        reading = replace(reading, tokens_per_step=1000)
    for expected in ({"runs": 1, "evaluations": 2, "unchanged": 0}, {"runs": 0, "evaluations": 0, "unchanged": 1}):
        assert ingest([path], tmp_path / "runs.duckdb", reading=reading) == {**expected, "unfinished": 0}
    assert losses(tmp_path / "runs.duckdb") == [("wise-sun-1", "val/go", 1e6, 2e5, 3.25, "nats")]


def test_histories_of_several_runs_are_told_apart_by_their_run_id(tmp_path: Path) -> None:
    rows = [{**row, "run_id": run, "n": n} for run, n in (("x", 1e6), ("y", 2e6)) for row in HISTORY]
    path = write(tmp_path / "all.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    reading = Reading(params="n", counted="total", unit="nats", loss=("val/go_loss",))
    assert ingest([path], tmp_path / "runs.duckdb", reading=reading)["evaluations"] == 4
    assert {row[0] for row in losses(tmp_path / "runs.duckdb")} == {"x", "y"}
    bad = [*rows, {**rows[1], "_step": 300, "val/go_loss": -1.0}, {**rows[1], "_step": 400, "tokens": None}]
    path.write_text("".join(json.dumps(row) + "\n" for row in bad))
    with pytest.raises(BadInput) as caught:
        ingest([path], tmp_path / "other.duckdb", reading=reading)
    assert "val/go_loss: no positive number in rows 9" in str(caught.value)
    assert "tokens: no positive number in rows 10" in str(caught.value)


def test_json_that_holds_no_rows_says_where(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no JSON object in lines 2, 4"):
        ingest([write(tmp_path / "x.jsonl", '{"a": 1}\n[1]\n{"a": 2}\n{"a"\n')], tmp_path / "runs.duckdb")
    with pytest.raises(BadInput, match=r"is to end in \.jsonl"):
        ingest([write(tmp_path / "x.json", '{"a": 1}\n{"a": 2}\n')], tmp_path / "runs.duckdb")
    with pytest.raises(BadInput, match="a list of objects is expected"):
        ingest([write(tmp_path / "y.json", "[1, 2]")], tmp_path / "runs.duckdb")
    with pytest.raises(BadInput, match="config: no object in rows 1"):
        ingest([write(tmp_path / "z.json", '[{"config": "x", "loss": 1}]')], tmp_path / "runs.duckdb")


def test_what_tensorboards_own_writer_makes_is_read(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="TensorBoard is not installed")
    for name, shift in (("one", 0.0), ("two", 0.5)):
        writer = tensorboard.SummaryWriter(str(tmp_path / "logs" / name))
        for step in (100, 200, 300):
            writer.add_scalar("loss/train", 9.0, step)
            writer.add_scalar("val/python_loss", 4.0 + shift - step / 1000, step)
            writer.add_scalar("tokens", 1000.0 * step, step)
            writer.add_scalars("several", {"a": 1.0}, step)
            writer.add_histogram("weights", np.array([1.0, 2.0, 3.0]), step)
        writer.add_text("note", "not a number", 1)
        writer.close()
    reading = replace(EVENTS, tokens="tokens", tokens_per_step=None)
    database = tmp_path / "runs.duckdb"
    found = ingest([tmp_path / "logs" / "one"], database, reading=reading)
    assert (found["runs"], found["evaluations"]) == (1, 3)
    assert ingest([tmp_path / "logs" / "one"], database, reading=reading)["unchanged"] == 1
    [(name, language, params, tokens, loss, unit)] = losses(database)
    assert (name, language, params, tokens, unit) == ("one", "val/python", 1e6, 3e5, "nats")
    assert loss == pytest.approx(3.7)
    [event] = (tmp_path / "logs" / "two").glob("events*")
    rows, whole = scalars(event)
    assert whole
    assert sorted(tag for tag, step, _ in rows if step == 300) == ["loss/train", "tokens", "val/python_loss"]
