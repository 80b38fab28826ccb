"""Every kind of source gives the same files however it is packed, and every mistake is found before the first file."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipelines import packages
from pipelines.packages import FetchError, Package
from pipelines.sources import Source, SourceRead, parse_spec, read_source, read_sources
from quality.mistakes import BadInput

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in the"
    " Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,"
    " distribute, sublicense, and/or sell copies. The above copyright notice and this permission notice shall be"
    " included in all copies or substantial portions of the Software.\n"
)
GPL = "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007\n"
FILES = {
    "LICENSE": MIT,
    "a.py": "x = 1\n",
    "pkg/b.go": "package pkg\n",
    "pkg/deep/c.rs": "fn c() {}\n",
    "lib/gpl/COPYING": GPL,
    "lib/gpl/d.py": "y = 2\n",
    "notes.md": "# notes\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def contents(read: SourceRead) -> dict[str, str]:
    return {file.path: file.data.decode() for file in read.files()}


def mistakes_of(*specs: str | Source) -> list[str]:
    with pytest.raises(BadInput) as error:
        read_sources(list(specs))
    return [str(mistake) for mistake in error.value.mistakes]


def git(folder: Path, *arguments: str) -> str:
    identity = [
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@e",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "init.defaultBranch=main",
    ]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


# --- Kinds ------------------------------------------------------------------------------------------------------------


def test_a_folder(folder: Path) -> None:
    read = read_source(Source(spec=str(folder)))
    assert contents(read) == FILES
    assert list(contents(read)) == sorted(FILES)
    record = read.record
    assert (record.name, record.revision_id, record.files) == ("project", "", len(FILES))
    assert record.bytes == sum(map(len, FILES.values()))
    assert record.licenses == ("MIT",)


def test_an_archive_is_read_like_the_folder_it_was_made_of(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "project-1.0.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(folder, "project-1.0")
    zipped = tmp_path / "project.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
    for path in (packed, zipped):
        read = read_source(str(path))
        assert contents(read) == FILES
        assert read.record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert read.record.licenses == ("MIT",)
    assert read_source(str(packed)).record.name == "project-1.0"


def test_a_repository_is_read_at_its_commit_not_from_the_disk(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    commit = git(folder, "rev-parse", "HEAD").strip()
    (folder / "a.py").write_text("changed = True\n")
    (folder / "untracked.py").write_text("z = 3\n")
    read = read_source(str(folder))
    assert contents(read) == FILES
    assert read.record.revision_id == commit
    assert read.record.name == "git:project"
    git(folder, "commit", "-q", "-a", "-m", "two")
    assert contents(read) == FILES, "a source that was read stays at its commit"
    assert contents(read_source(f"git+{folder}@{commit[:12]}")) == FILES
    assert contents(read_source(str(folder)))["a.py"] == "changed = True\n"
    assert contents(read_source(f"folder:{folder}"))["untracked.py"] == "z = 3\n"
    assert "no commit 'nosuch'" in mistakes_of(f"git+{folder}@nosuch")[0]


def test_a_repository_by_address_is_fetched_once_into_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    commit = git(folder, "rev-parse", "HEAD").strip()
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    spec = f"git+https://example.invalid/owner/name.git@{commit}"
    with pytest.raises(BadInput, match="cannot be read"):
        read_source(spec, tmp_path / "cache")
    # git itself is told that the address stands for the folder, so the whole way of an address is taken.
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{folder.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.invalid/owner/name.git")
    read = read_source(spec, tmp_path / "cache")
    assert contents(read) == FILES
    assert (read.record.name, read.record.revision_id) == ("git:owner/name", commit)
    shutil.rmtree(folder)
    assert contents(read_source(spec, tmp_path / "cache")) == FILES


def test_json_lines_and_parquet_keep_each_row_s_own_repository(tmp_path: Path) -> None:
    rows = [
        {
            "content": "x = 1\n",
            "path": "a/x.py",
            "repo_name": "o/one",
            "revision_id": "r1",
            "detected_licenses": ["MIT"],
        },
        {"content": "package y\n", "path": "y.go", "repo_name": "o/two", "revision_id": "r2", "detected_licenses": []},
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    shutil.copy(table, dataset / "part-00000.parquet")
    (dataset / "_SUCCESS").touch()
    for path in (lines, packed, table, dataset):
        files = list(read_source(Source(spec=str(path), license="ISC")).files())
        assert [(f.repo_name, f.revision_id, f.path, f.data) for f in files] == [
            ("o/one", "r1", "a/x.py", b"x = 1\n"),
            ("o/two", "r2", "y.go", b"package y\n"),
        ]
        assert [f.licenses for f in files] == [("MIT",), ("ISC",)]


def test_rows_without_a_path_are_called_by_their_content_and_language(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fn a() {}", "language": "Rust"}\n{"text": "x = 1", "lang": "python"}\n')
    read = read_source(str(path))
    names = [hashlib.sha256(text).hexdigest()[:32] for text in (b"fn a() {}", b"x = 1")]
    assert [file.path for file in read.files()] == [f"{names[0]}.rs", f"{names[1]}.py"]
    assert {file.repo_name for file in read.files()} == {"rows"}


def test_the_stack_v1_columns(tmp_path: Path) -> None:
    path = tmp_path / "v1.parquet"
    row = {
        "content": "package a\n",
        "max_stars_repo_path": "a.go",
        "max_stars_repo_name": "o/r",
        "max_stars_repo_head_hexsha": "abc",
        "max_stars_repo_licenses": ["Apache-2.0"],
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    (file,) = read_source(str(path)).files()
    assert (file.repo_name, file.revision_id, file.path, file.licenses) == ("o/r", "abc", "a.go", ("Apache-2.0",))


# --- Choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (("*.py",), (), ["a.py", "lib/gpl/d.py"]),
        (("/*.py",), (), ["a.py"]),
        (("pkg/*",), (), ["pkg/b.go"]),
        (("pkg/**",), (), ["pkg/b.go", "pkg/deep/c.rs"]),
        (("pkg/",), (), ["pkg/b.go", "pkg/deep/c.rs"]),
        (("**/deep/*.rs", "?.py"), (), ["a.py", "lib/gpl/d.py", "pkg/deep/c.rs"]),
        ((), ("lib/**", "LICENSE", "*.m[cd]"), ["a.py", "pkg/b.go", "pkg/deep/c.rs"]),
    ],
)
def test_include_and_exclude(folder: Path, include: tuple[str, ...], exclude: tuple[str, ...], left: list[str]) -> None:
    read = read_source(Source(spec=str(folder), include=include, exclude=exclude))
    assert list(contents(read)) == left
    assert read.record.files == len(left)


def test_a_licence_file_holds_for_its_folder_and_below_even_when_it_is_not_chosen(folder: Path) -> None:
    read = read_source(Source(spec=str(folder), include=("*.py",)))
    assert {file.path: file.licenses for file in read.files()} == {"a.py": ("MIT",), "lib/gpl/d.py": ("GPL-3.0-only",)}


def test_a_declared_licence_never_overrules_a_stated_one(folder: Path) -> None:
    assert read_source(Source(spec=str(folder), license="0BSD")).record.licenses == ("MIT",)
    (folder / "LICENSE").unlink()
    assert read_source(Source(spec=str(folder), license="0BSD")).record.licenses == ("0BSD",)
    assert read_source(Source(spec=str(folder))).record.licenses == ()


# --- Checks -----------------------------------------------------------------------------------------------------------


def test_every_mistake_of_every_source_is_reported_at_once(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    prose = tmp_path / "prose"
    prose.mkdir()
    (prose / "a.md").write_text("# nothing but words\n")
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(gzip.compress(b"x" * 5000)[:-30])
    cut = tmp_path / "cut.parquet"
    pq.write_table(pa.Table.from_pylist([{"content": "x = 1\n"}]), cut)
    cut.write_bytes(cut.read_bytes()[:-10])
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.Table.from_pylist([{"sha": "1"}]), bare)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"content": "x = 1"}\n{"content": \n')
    found = mistakes_of(
        str(folder),
        str(tmp_path / "missing"),
        str(empty),
        str(prose),
        str(broken),
        str(cut),
        str(bare),
        str(lines),
        "pypi:name",
        "https://example.invalid/a.zip",
        Source(spec=str(folder), name="other", sha256="0" * 64),
        Source(spec=str(folder), name="third", include=("*.java",)),
    )
    expected = [
        ("missing", "no such file or folder"),
        ("empty", "there is no file in it"),
        ("prose", "is code in a known language"),
        ("broken.tar.gz", "broken archive"),
        ("cut.parquet", "no whole Parquet file"),
        ("bare.parquet", "has none of the columns content"),
        ("lines.jsonl", "line 2 is not JSON"),
        ("pypi:name", "pypi:NAME==VERSION"),
        ("https://example.invalid/a.zip", "git+URL@REVISION"),
        (str(folder), "0000 is pinned"),
        (str(folder), "leave none of its"),
    ]
    assert len(found) == len(expected)
    for mistake, (where, what) in zip(found, expected, strict=True):
        assert where in mistake.partition(": ")[0] or mistake.startswith(where)
        assert what in mistake


def test_two_sources_of_one_name_are_refused(folder: Path) -> None:
    assert mistakes_of(str(folder), str(folder)) == [
        "project: two sources have this name; give one of them another with `name = ...`"
    ]
    assert len(read_sources([str(folder), Source(spec=str(folder), name="again")])) == 2


def test_no_source_at_all() -> None:
    assert "pypi:NAME==VERSION" in mistakes_of()[0]


def test_a_pin_may_be_of_the_file_or_of_the_chosen_files(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "project.tar"
    with tarfile.open(packed, "w") as tar:
        tar.add(folder, "project")
    of_file = hashlib.sha256(packed.read_bytes()).hexdigest()
    of_chosen = read_source(Source(spec=str(folder), include=("*.py",))).record.sha256
    lines = "".join(f"{p}\0{hashlib.sha256(FILES[p].encode()).hexdigest()}\n" for p in ("a.py", "lib/gpl/d.py"))
    assert of_chosen == hashlib.sha256(lines.encode()).hexdigest()
    for pin in (of_file, of_chosen):
        assert read_source(Source(spec=str(packed), include=("*.py",), sha256=pin)).record.sha256 == pin


def test_a_source_that_changes_after_the_check_stops_the_reading(folder: Path) -> None:
    read = read_source(str(folder))
    (folder / "new.py").write_text("n = 1\n")
    with pytest.raises(BadInput, match="changed after it was checked"):
        list(read.files())
    shutil.rmtree(folder)
    with pytest.raises(BadInput, match="changed after it was checked"):
        list(read.files())


def test_what_was_read_can_go_to_another_process(folder: Path) -> None:
    read = read_source(str(folder))
    assert contents(pickle.loads(pickle.dumps(read))) == FILES


def test_links_in_a_folder_are_not_followed(folder: Path) -> None:
    (folder / "link.py").symlink_to(folder / "a.py")
    (folder / "loop").symlink_to(folder)
    read = read_source(str(folder))
    assert contents(read) == FILES
    assert {(s.path, s.reason) for s in read.skipped} == {("link.py", "symlink"), ("loop", "symlink")}


def test_unknown_keys_and_wrong_types_are_refused() -> None:
    with pytest.raises(ValidationError):
        Source.model_validate({"spec": "a", "licence": "MIT"})
    with pytest.raises(ValidationError):
        Source.model_validate({"spec": "a", "sha256": "abc"})
    assert Source.model_validate({"spec": "a", "include": ["*.py"]}).include == ("*.py",)


# --- Specs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "kind", "target", "version", "name"),
    [
        ("pypi:pydash==8.1.0", "pypi", "pydash", "8.1.0", "pypi:pydash"),
        ("npm:lodash@4.17.21", "npm", "lodash", "4.17.21", "npm:lodash"),
        ("npm:@antv/util@3.3.11", "npm", "@antv/util", "3.3.11", "npm:@antv/util"),
        ("deb:librust-a-dev=0.1+b1", "deb", "librust-a-dev", "0.1+b1", "deb:librust-a-dev"),
        ("deb:x-tools=1:0.5.0+ds-1", "deb", "x-tools", "1:0.5.0+ds-1", "deb:x-tools"),
        ("deb-src:opentk", "deb-src", "opentk", "", "deb-src:opentk"),
        ("git+https://host.invalid/o/n@v1.2", "git", "https://host.invalid/o/n", "v1.2", "git:o/n"),
        ("git+git@host.invalid:o/n.git", "git", "git@host.invalid:o/n.git", "", "git:o/n"),
    ],
)
def test_specs(spec: str, kind: str, target: str, version: str, name: str) -> None:
    parsed = parse_spec(spec)
    assert (parsed.kind, parsed.target, parsed.version, parsed.name) == (kind, target, version, name)


@pytest.mark.parametrize("spec", ["npm:a@^1.0", "npm:a@latest", "pypi:a>=1", "deb:A=1", "pypi:../x==1", "deb:a=1;rm"])
def test_specs_that_name_no_exact_version_are_refused(spec: str) -> None:
    with pytest.raises(BadInput, match="not of the form"):
        parse_spec(spec)


# --- Debian updates ---------------------------------------------------------------------------------------------------


def test_an_updated_debian_package_serves_while_the_chosen_files_are_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = tmp_path / "update.tar"
    with tarfile.open(update, "w") as tar:
        tar.add(folder, "project")
    pin = read_source(Source(spec=str(folder), include=("*.py",))).record.sha256

    def fetch(registry: str, name: str, version: str, _cache: Path) -> Package:
        if version:
            raise FetchError(f"{registry} {name} has no version {version} any more")
        return Package("2", (update,))

    monkeypatch.setattr(packages, "fetch", fetch)
    read = read_source(Source(spec="deb:name=1", include=("*.py",), sha256=pin))
    assert (read.record.revision_id, read.record.sha256) == ("2", pin)
    assert "this is version 2" in mistakes_of(Source(spec="deb:name=1", include=("*.go",), sha256=pin))[0]
    assert "no version 1 any more" in mistakes_of(Source(spec="deb:name=1", include=("*.py",)))[0]


def test_a_table_without_rows_is_told_and_one_of_texts_alone_is_read(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"content": pa.array([], pa.string()), "path": pa.array([], pa.string())}), tmp_path / "none.parquet"
    )
    with pytest.raises(BadInput, match="holds no rows"):
        read_sources([str(tmp_path / "none.parquet")])
    pq.write_table(pa.table({"content": ["def f():\n    return 1\n"]}), tmp_path / "texts.parquet")
    (read,) = read_sources([str(tmp_path / "texts.parquet")])
    assert len(list(read.files())) == 1
