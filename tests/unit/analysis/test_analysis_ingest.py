from __future__ import annotations

import json
import struct
from pathlib import Path

import duckdb
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
