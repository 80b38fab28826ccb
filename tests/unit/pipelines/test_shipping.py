from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipelines import shipping
from pipelines.shipping import bundle
from quality.mistakes import BadInput


def test_what_the_job_imports_is_shipped_with_what_that_requires_and_nothing_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[dict[str, Path]] = []

    def write_tar(path: Path, files: dict[str, Path]) -> None:
        packed.append(files)
        path.touch()

    monkeypatch.setattr(shipping, "_write_tar", write_tar)
    made = bundle(tmp_path / "kept")
    assert {"numpy", "pyarrow", "pydantic-core", "rensa", "tree-sitter-go"} <= made.libraries.keys()
    assert not {"pyspark", "py4j", "great-expectations", "torch"} & made.libraries.keys()
    files = packed[0]
    assert "pydantic/__init__.py" in files
    assert any(name.startswith("numpy.libs/") for name in files)
    assert not [name for name in files if name.startswith((".", "/")) or "/tests/" in name or name.endswith(".h")]
    with zipfile.ZipFile(made.code) as code:
        names = set(code.namelist())
    assert {"quality/classify.py", "analysis/sql/points.sql", "pipelines/demo.toml"} <= names
    assert not [name for name in names if "__pycache__" in name]

    bundle(tmp_path / "kept")
    assert len(packed) == 1
    assert {path.name for path in (tmp_path / "kept").iterdir()} >= {made.code.name, made.site.name}


def test_every_process_finds_the_archive_that_another_made() -> None:
    code = "from pipelines.shipping import _site_name; print(_site_name({'b': '1', 'a': '2'}))"
    names = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert names == {f"{shipping._site_name({'a': '2', 'b': '1'})}\n".encode()}


def test_archives_do_not_tell_when_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "data"
    source.write_bytes(b"1")
    for second in (1_000_000_000, 2_000_000_000):
        monkeypatch.setattr("time.time", lambda now=second: now)
        source.touch()
        shipping._write_tar(tmp_path / f"{second}.tar.gz", {"b/c": source, "a": source})
        shipping._write_zip(tmp_path / f"{second}.zip", {"b/c": b"1", "a": b"2"})
    for ending in ("tar.gz", "zip"):
        assert len({path.read_bytes() for path in tmp_path.glob(f"*.{ending}")}) == 1
    with tarfile.open(tmp_path / "1000000000.tar.gz") as archive:
        assert archive.getnames() == ["a", "b/c"]


def test_a_library_that_is_imported_and_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "packages_distributions", dict)
    with pytest.raises(BadInput, match="module numpy: is imported by the corpus job and not installed"):
        bundle(tmp_path)
    assert not list(tmp_path.iterdir())
