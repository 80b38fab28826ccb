"""A run's record is read as it was written, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from quality.mistakes import BadInput
from training.records import read_record, record_path, write_record

RECORD = {"run": {"run_id": "a"}, "evaluations": [], "translations": [], "curve": [{"loss_nats": float("nan")}]}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_record(tmp_path, "a") is None
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path, "a") == {**RECORD, "curve": [{"loss_nats": None}]}


@pytest.mark.parametrize("content", [b"", b'{"run"', b"[1]", b'{"run": 1}', b'{"run": {"run_id": "a"}}', b"\xff\xfe"])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    write_record(tmp_path, RECORD)
    record_path(tmp_path, "a").write_bytes(content)
    with pytest.raises(BadInput, match=r"records/a\.json: damaged after it was written; remove it"):
        read_record(tmp_path, "a")
