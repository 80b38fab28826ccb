from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.sources import Source
from pipelines.spark_tables import told_apart
from quality.mistakes import BadInput


def test_tables_at_addresses_and_named_for_spark_are_told_from_what_is_read_here(tmp_path: Path) -> None:
    here, tables = told_apart([str(tmp_path), "s3a://bucket/rows", f"spark:{tmp_path}", "pypi:pydash==8.0.5"])
    assert [source.spec for source in tables] == ["s3a://bucket/rows", f"spark:{tmp_path}"]
    assert len(here) == 2
    with pytest.raises(BadInput, match="row by row"):
        told_apart([Source(spec="s3a://bucket/rows", sha256="0" * 64)])


def test_paths_that_end_alike_are_named_by_more_of_them(tmp_path: Path) -> None:
    for folder in ("p1/src", "p2/src", "p3/other"):
        (tmp_path / folder).mkdir(parents=True)
    here, _ = told_apart([str(tmp_path / folder) for folder in ("p1/src", "p2/src", "p3/other")])
    assert [source.name for source in here] == ["p1/src", "p2/src", ""]
