"""Input made to break the reader: each name in it ends as one file or one reject, and nothing is written elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipelines.sources import Source, SourceRead, folders, read_source, read_sources
from quality.artifacts import read_manifest
from quality.mistakes import BadInput

DEPTH = 1000
"""Folders within folders: with names of five bytes a path of 6,000, where Linux takes 4,095 in one piece."""

MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in the"
    " Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,"
    " distribute, sublicense, and/or sell copies. The above copyright notice and this permission notice shall be"
    " included in all copies or substantial portions of the Software.\n"
)


def program(name: str) -> str:
    return "".join(f"def {name}_{n}(a, b):\n    return a * {n} + b\n\n" for n in range(9))


@dataclass(frozen=True)
class Hostile:
    """A folder, and how each name in it must end: an empty text for a file, else the reason it is skipped."""

    root: Path
    ends: dict[str, str]


def make_folder(root: Path) -> dict[str, str]:
    """Fill a folder, and return how each name must end."""
    ends: dict[str, str] = {}

    def put(name: str | bytes, data: bytes | str) -> None:
        path = os.fsencode(root) + b"/" + os.fsencode(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 (names that are no text)
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(data.encode() if isinstance(data, str) else data)
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        ends[shown] = "" if shown.encode() == os.fsencode(name) else "unsafe_path"

    put("LICENSE", MIT)
    put("good.py", program("good"))
    # Names.
    put("new\nline.py", program("line"))
    put(b"bad\xff.py", program("bad"))
    put(b"bad\xfe.py", program("worse"))
    put("\\xff.py", program("literal"))
    put("n" * 252 + ".py", program("long"))
    put("\u202eyp.rtl.py", program("rtl"))
    put("-rf --no-preserve-root.py", program("dash"))
    put(" .py", program("space"))
    put("con\x1b[2J\x07.py", program("escape"))
    put("a\\..\\b.py", program("backslash"))
    put("$(touch escaped).py", program("shell"))
    put(".hidden/x.py", program("hidden"))
    put("%2e%2e/y.py", program("percent"))
    # Contents.
    put("empty.py", b"")
    put("nul.py", b"\0" * 20_000)
    put("utf16.py", program("sixteen").encode("utf-16"))
    put("utf32.py", program("thirtytwo").encode("utf-32"))
    put("bom.py", program("bom").encode("utf-8-sig"))
    put("latin.py", b"# caf\xe9 \xff\xfe\x81\n" + program("latin").encode())
    put("brackets.js", "[" * 30_000)
    put("brackets.py", "(" * 10_000)
    put("calls.rs", "fn f() { " + "f(" * 20_000)
    put("deep.json", '{"a":' * 100_000)
    put("line.js", "x=1;" * 250_000)
    put("token.go", "package a\nvar x = `<|endoftext|>`\n")
    # Archives are files like any other here: nobody opens them.
    put("flat.zip", zip_of({"zeros.py": b"\0" * (4 << 20)}))
    put("nested.zip", zip_of({"in.zip": zip_of({"in.zip": zip_of({"x.py": b"x = 1\n"})})}))
    put("traversal.tar", tar_of([("../../escaped.py", b"0", "", b"x = 1\n")]))
    put("cut.tar.gz", (b"\x1f\x8b\x08" + b"\0" * 40))
    with (root / "huge.js").open("wb") as file:  # one line
        file.truncate(200 << 20)
    ends["huge.js"] = "too_large"
    # Links.
    for name, target in {
        "self": ".",
        "up": "..",
        "ping": "pong",
        "pong": "ping",
        "dangling.py": "missing.py",
        "out": "/etc",
        "passwd.py": "/etc/passwd",
        "loop/again": "../loop",
        "good link.py": "good.py",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(target)
        ends[name] = "symlink"
    # What is no file.
    os.mkfifo(root / "pipe.py")
    ends["pipe.py"] = "special"
    with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(root):
        bound.bind("socket.py")
    ends["socket.py"] = "special"
    with contextlib.suppress(PermissionError):
        os.mknod(root / "zero.py", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        ends["zero.py"] = "special"
    (root / "nothing" / "here").mkdir(parents=True)
    # A name that one path cannot reach.
    at = os.open(root, os.O_PATH)
    for number in range(DEPTH):
        os.mkdir(f"d{number:04d}", dir_fd=at)
        below = os.open(f"d{number:04d}", os.O_PATH, dir_fd=at)
        os.close(at)
        at = below
    bottom = os.open("bottom.py", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(bottom, program("bottom").encode())
    os.close(bottom)
    os.close(at)
    ends["/".join([*(f"d{number:04d}" for number in range(DEPTH)), "bottom.py"])] = ""
    return ends


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tar_of(members: list[tuple[str, bytes, str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, link, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    root = tmp_path_factory.mktemp("hostile") / "project"
    root.mkdir()
    yield Hostile(root, make_folder(root))
    # What pytest tidies with cannot go so deep.
    subprocess.run(["rm", "-rf", "--", str(root)], check=True)


def ended(read: SourceRead) -> list[tuple[str, str]]:
    """How each name ended, as often as it did."""
    return sorted([(file.path, "") for file in read.files()] + [(one.path, one.reason) for one in read.skipped])


def everything_below(folder: Path) -> set[str]:
    found = subprocess.run(["find", str(folder), "-print0"], capture_output=True, check=True).stdout
    return {name.decode("utf-8", "surrogateescape") for name in found.split(b"\0")}


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_every_name_in_a_hostile_folder_ends_once(hostile: Hostile) -> None:
    before = everything_below(hostile.root)
    read = read_source(str(hostile.root))
    assert ended(read) == sorted(hostile.ends.items())
    assert everything_below(hostile.root) == before
    (bottom,) = (file for file in read.files() if file.path.endswith("bottom.py"))
    assert bottom.data == program("bottom").encode()
    assert bottom.licenses == ("MIT",)


def test_links_out_of_the_folder_are_never_read(hostile: Hostile) -> None:
    secret = Path("/etc/passwd").read_bytes()
    assert all(secret not in file.data for file in read_source(str(hostile.root)).files())


def test_files_that_vanish_grow_or_refuse_meanwhile_are_each_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good.py", "vanishing.py", "growing.py", "forbidden.py", "turning.py", "broken.py"):
        (tmp_path / name).write_text(program("f"))
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "x.py").write_text("x = 1\n")
    really = folders._open  # pyright: ignore[reportPrivateUsage]

    def opened(root: Path, path: str, flags: int) -> int:
        if path == "vanishing.py":
            (root / path).unlink(missing_ok=True)
        elif path == "growing.py":
            with (root / path).open("ab") as file:
                file.truncate(200 << 20)
        elif path == "turning.py" and not (root / path).is_fifo():
            (root / path).unlink()
            os.mkfifo(root / path)
        elif path in ("forbidden.py", "closed"):
            raise PermissionError(13, "Permission denied")
        elif path == "broken.py":
            raise OSError(5, "Input/output error")
        return really(root, path, flags)

    monkeypatch.setattr(folders, "_open", opened)
    read = read_source(str(tmp_path))
    assert [file.path for file in read.files()] == ["good.py"]
    assert {(one.path, one.reason) for one in read.skipped} == {
        ("vanishing.py", "vanished"),
        ("growing.py", "too_large"),
        ("turning.py", "special"),
        ("forbidden.py", "unreadable"),
        ("broken.py", "unreadable"),
        ("closed", "unreadable"),
    }


def test_a_file_that_grows_while_it_is_read_is_read_no_further_than_the_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.py").write_text(program("f"))
    (tmp_path / "endless.py").write_text("x" * 1000)
    monkeypatch.setattr(folders, "MAX_FILE_BYTES", 1 << 20)
    really = os.read
    given = Counter[str]()

    def read(file: int, size: int) -> bytes:
        if Path(f"/proc/self/fd/{file}").readlink().name == "endless.py":
            given["bytes"] += 1000
            return b"y" * 1000
        return really(file, size)

    monkeypatch.setattr(os, "read", read)
    (skipped,) = read_source(str(tmp_path)).skipped
    assert (skipped.path, skipped.reason) == ("endless.py", "too_large")
    assert given["bytes"] < (1 << 20) + 2000


def test_a_change_of_content_that_keeps_the_size_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    read = read_source(str(tmp_path))
    (tmp_path / "a.py").write_text("x = 2\n")
    with pytest.raises(BadInput, match="changed after it was checked"):
        list(read.files())


def test_a_pipe_or_an_endless_device_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    for spec in (str(tmp_path / "a.jsonl"), "/dev/zero"):
        with pytest.raises(BadInput, match="neither a file nor a folder"):
            read_source(spec)


# --- Archives ---------------------------------------------------------------------------------------------------------

REG, HARD, SYM, CHR, BLK, FIFO = b"0", b"1", b"2", b"3", b"4", b"6"


def test_every_member_of_a_hostile_tar_ends_once(tmp_path: Path) -> None:
    code = b"x = 1\n"
    members = [
        ("p/good.py", REG, "", code),
        ("p/LICENSE", REG, "", MIT.encode()),
        ("../escaped.py", REG, "", code),
        ("p/../../escaped.py", REG, "", code),
        ("/tmp/escaped.py", REG, "", code),
        ("p/link.py", SYM, "/etc/passwd", b""),
        ("p/hard.py", HARD, "../../etc/passwd", b""),
        ("p/null.py", CHR, "", b""),
        ("p/disk.py", BLK, "", b""),
        ("p/pipe.py", FIFO, "", b""),
        ("p/./good.py", REG, "", b"x = 2\n"),
        ("p/new\nline.py", REG, "", code),
        ("p/bad\udcff.py", REG, "", code),
        ("p/inner.tar", REG, "", tar_of([("x.py", REG, "", code)])),
        ("p/" + "/".join(["deep"] * 1000) + "/x.py", REG, "", code),
    ]
    (tmp_path / "evil.tar").write_bytes(tar_of(members))
    read = read_source(str(tmp_path / "evil.tar"))
    assert ended(read) == sorted(
        [
            ("good.py", ""),
            ("LICENSE", ""),
            ("../escaped.py", "unsafe_path"),
            ("../../escaped.py", "unsafe_path"),
            ("/tmp/escaped.py", "unsafe_path"),
            ("link.py", "symlink"),
            ("hard.py", "hardlink"),
            ("null.py", "special"),
            ("disk.py", "special"),
            ("pipe.py", "special"),
            ("./good.py", "duplicate_path"),
            ("new\nline.py", ""),
            ("bad\\xff.py", "unsafe_path"),
            ("inner.tar", ""),
            ("/".join(["deep"] * 1000) + "/x.py", ""),
        ]
    )
    assert len(members) == read.record.files + len(read.skipped)
    assert list(tmp_path.iterdir()) == [tmp_path / "evil.tar"]


def test_every_member_of_a_hostile_zip_ends_once(tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("good.py", "../escaped.py", "a/../../escaped.py", "C:/escaped.py", "a\\b.py"):
            archive.writestr(name, b"x = 1\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("good.py", b"x = 2\n")
        for name, mode in (("link.py", 0o120777), ("pipe.py", 0o010666)):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, "/etc/passwd")
        archive.writestr("zeros.js", b"\0" * (65 << 20), zipfile.ZIP_DEFLATED)
        archive.writestr("secret.py", b"x = 3\n")
        archive.infolist()[-1].flag_bits |= 1
    assert ended(read_source(str(path))) == sorted(
        [
            ("good.py", ""),
            ("../escaped.py", "unsafe_path"),
            ("a/../../escaped.py", "unsafe_path"),
            ("C:/escaped.py", "unsafe_path"),
            ("a\\b.py", "unsafe_path"),
            ("good.py", "duplicate_path"),
            ("link.py", "symlink"),
            ("pipe.py", "special"),
            ("zeros.js", "too_large"),
            ("secret.py", "encrypted"),
        ]
    )
    assert list(tmp_path.iterdir()) == [path]


def test_bombs_and_broken_archives_are_refused_all_at_once_and_leave_nothing(tmp_path: Path) -> None:
    packed = tmp_path / "in"
    packed.mkdir()
    # Members below the cap of one file, together far above that of an archive.
    with zipfile.ZipFile(packed / "flat.zip", "w") as archive:
        archive.writestr("a.py", b"\0" * (60 << 20), zipfile.ZIP_DEFLATED)
        entry, place = archive.infolist()[0], archive.start_dir
        for number in range(5):
            again = zipfile.ZipInfo(f"{number}.py")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, field, getattr(entry, field))
            archive.filelist.append(again)
        archive.start_dir = place
        archive._didModify = True  # type: ignore[attr-defined]
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        info = tarfile.TarInfo("a.py")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(os.urandom(100_000)))
    (packed / "cut.tar.gz").write_bytes(whole.getvalue()[:-50_000])
    damaged = bytearray(whole.getvalue())
    damaged[5000:5100] = b"\xff" * 100
    (packed / "damaged.tar.gz").write_bytes(damaged)
    (packed / "words.zip").write_bytes(b"PK\x03\x04" + b"no zip at all" * 100)
    (packed / "name.zip").write_bytes(zip_of({"aaé.py": b"x = 1\n"}).replace("é".encode(), b"\xff\xff"))
    with pytest.raises(BadInput) as wrong:
        read_sources([str(path) for path in sorted(packed.iterdir())])
    said = [str(mistake) for mistake in wrong.value.mistakes]
    assert [Path(line.partition(": ")[0]).name for line in said] == sorted(path.name for path in packed.iterdir())
    assert "refused" in next(line for line in said if "flat.zip" in line)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# --- Tables -----------------------------------------------------------------------------------------------------------


def test_every_row_of_a_hostile_table_ends_once(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"content": program("one"), "path": "one.py"},
        {"content": None, "path": "null.py"},
        {"path": "missing.py"},
        {},
        {"content": "", "path": "empty.py"},
        {"content": ["no", "text"], "path": "list.py"},
        {"content": "x = '\ud800'\n", "path": "lone.py"},
        {"content": "x = 1\n", "path": "../../escaped.py"},
        {"content": "x = 2\n", "path": "lone\udfff.py"},
        {"content": "x = 3\n", "path": "/from/root.py", "repo_name": "o/\ud800"},
        {"content": "x = 4\n", "path": ["no", "path"], "language": "Python"},
        {"content": "x = 5\n", "path": "odd.py", "star_events_count": "many", "visit_date": "never", "license": 7},
        {"content": "x = 6\n", "path": "files.py", "files": "no list"},
        {"files": [{"content": "x = 7\n", "path": "in.py"}, {"path": "none.py"}, None], "repo_name": "o/many"},
    ]
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as out:
        for row in rows:
            out.write(json.dumps(row).encode() + b"\n")
        out.seek(200 << 20, os.SEEK_CUR)  # one line
        out.write(b"\n" + json.dumps({"content": program("last"), "path": "last.py"}).encode())
    read = read_source(str(path))
    found = ended(read)
    assert len(found) == len(rows) + 2 + 2
    nameless = next(one for one, reason in found if one.endswith(".py") and len(one) == 35)
    assert found == sorted(
        [
            ("one.py", ""),
            ("null.py", "no_content"),
            ("missing.py", "no_content"),
            ("rows.jsonl:4", "no_content"),
            ("empty.py", ""),
            ("list.py", "no_content"),
            ("lone.py", "lone_surrogate"),
            ("../../escaped.py", "unsafe_path"),
            ("lone\\udfff.py", "unsafe_path"),
            ("from/root.py", ""),
            (nameless, ""),
            ("odd.py", ""),
            ("files.py", ""),
            ("in.py", ""),
            ("none.py", "no_content"),
            ("rows.jsonl:14#2", "no_content"),
            ("rows.jsonl:15", "too_large"),
            ("last.py", ""),
        ]
    )


def test_lines_that_are_no_rows_are_refused_with_their_number(tmp_path: Path) -> None:
    good = b'{"content": "x = 1\\n", "path": "a.py"}\n'
    for name, line, what in (
        ("deep", b'{"content": ' + b"[" * 100_000, "line 2 is not JSON that holds a row (it is nested too deeply)"),
        ("list", b"[1]", "line 2 is not JSON that holds a row (an object with fields)"),
        ("bytes", b'{"content": "\xff\xfe"}', "line 2 is not JSON"),
        ("cut", b'{"content": "x', "line 2 is not JSON"),
    ):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(good + line)
        with pytest.raises(BadInput) as wrong:
            read_source(str(path))
        assert what in str(wrong.value)
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as out:
        for _ in range(300):
            out.write(b" " * (1 << 20))
    with pytest.raises(BadInput, match="refused"):
        read_source(str(bomb))
    (tmp_path / "damaged.jsonl.gz").write_bytes(gzip.compress(good * 500)[:60] + b"\0" * 40)
    with pytest.raises(BadInput, match="broken archive"):
        read_source(str(tmp_path / "damaged.jsonl.gz"))


def test_parquet_text_that_is_no_utf8_is_a_file_and_a_date_beyond_time_is_unknown(tmp_path: Path) -> None:
    text = pa.array([b"x = '\xff'\n", b"x = 1\n", None], pa.binary())
    table = pa.table(
        {
            "content": pa.Array.from_buffers(pa.string(), 3, text.buffers(), text.null_count),
            "path": ["a.py", "b.py", "c.py"],
            "visit_date": pa.array([9 * 10**18, 1_600_000_000_000_000_000, None], pa.timestamp("ns")),
            "revision_date": pa.array([-(10**17), 1_600_000_000_000_000, None], pa.timestamp("us")),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_source(str(tmp_path / "t.parquet"))
    bad, good = read.files()
    assert (bad.data, good.data) == (b"x = '\xff'\n", b"x = 1\n")
    assert (bad.provenance.visit_date, bad.provenance.revision_date) == (None, None)
    assert good.provenance.stated() == dict.fromkeys(("visit_date", "revision_date"), "2020-09-13T12:26:40+00:00")
    assert [(one.path, one.reason) for one in read.skipped] == [("c.py", "no_content")]


# --- Memory -----------------------------------------------------------------------------------------------------------


def test_reading_needs_little_memory_whatever_the_sizes(hostile: Hostile, tmp_path: Path) -> None:
    with (tmp_path / "rows.jsonl").open("wb") as out:
        out.write(json.dumps({"content": "x = 1\n", "path": "a.py"}).encode() + b"\n")
        out.seek(400 << 20, os.SEEK_CUR)
        out.write(b"\n")
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "x = 1\n")
        with archive.open("zeros.js", "w") as member:
            for _ in range(300):
                member.write(b"\0" * (1 << 20))
    texts = [f"x = {number}\n" * 100_000 for number in range(200)]
    table = pa.table({"text": texts, "path": [f"{n}.py" for n in range(200)]})
    pq.write_table(table, tmp_path / "rows.parquet", write_batch_size=8, use_dictionary=False)
    del texts, table
    program_text = textwrap.dedent(
        """
        import re, sys
        from pathlib import Path
        from pipelines.sources import read_source
        import pyarrow.parquet

        def peak():  # of this program alone: what getrusage tells starts with the peak of the one before exec
            return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

        before = peak()
        files = 0
        for spec in sys.argv[1:]:
            read = read_source(spec)
            files += sum(1 for _ in read.files()) + len(read.skipped)
        print(files, peak() - before)
        """
    )
    specs = [str(hostile.root), *(str(tmp_path / name) for name in ("rows.jsonl", "big.zip", "rows.parquet"))]
    done = subprocess.run(
        [sys.executable, "-c", program_text, *specs], capture_output=True, text=True, check=True, timeout=300
    )
    files, kibibytes = map(int, done.stdout.split())
    assert files == len(hostile.ends) + 2 + 2 + 200
    assert kibibytes < 250 << 10


# --- The whole job ----------------------------------------------------------------------------------------------------


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore:::pyspark")
def test_the_job_survives_and_every_file_is_a_document_or_a_reject(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.corpus import build

    rows = [
        {"content": program("row"), "path": "row.py", "repo_name": "o/r", "detected_licenses": ["MIT"]},
        {"content": None, "path": "null.py", "repo_name": "o/r"},
        {"content": "x = '\ud800'", "path": "lone.py", "repo_name": "o/r"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "evil.tar").write_bytes(
        tar_of([("p/packed.py", REG, "", program("packed").encode()), ("../escaped.py", REG, "", b"x = 1\n")])
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    before = everything_below(hostile.root)
    sources = [str(hostile.root), str(tmp_path / "rows.jsonl"), Source(spec=str(tmp_path / "evil.tar"), license="MIT")]
    build(sources, tmp_path / "out" / "corpus", master="local[2]")

    kept = ds.dataset(tmp_path / "out/corpus/documents", format="parquet", partitioning="hive").to_table().to_pylist()
    rejects = pq.read_table(tmp_path / "out/corpus/rejects.parquet").to_pylist()
    ends = Counter([row["path"] for row in kept] + [row["path"] for row in rejects])
    others = ["row.py", "null.py", "lone.py", "packed.py", "../escaped.py"]
    assert ends == Counter([*hostile.ends, *others])
    counts = read_manifest(tmp_path / "out/corpus", "corpus")["counts"]
    assert counts["files_seen"] == len(kept) + len(rejects) == len(hostile.ends) + len(others)
    why = {row["path"]: (row["stage"], row["reason"]) for row in rejects}
    assert {path: why[path] for path, reason in hostile.ends.items() if reason} == {
        path: ("read", reason) for path, reason in hostile.ends.items() if reason
    }
    assert (why["null.py"], why["lone.py"]) == (("read", "no_content"), ("read", "lone_surrogate"))
    assert why["../escaped.py"] == ("read", "unsafe_path")
    assert {"good.py", "row.py", "packed.py"} <= {row["path"] for row in kept}
    # Nothing lies anywhere but in the output.
    assert everything_below(hostile.root) == before
    assert not list((tmp_path / "empty").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "evil.tar", "out", "rows.jsonl"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["corpus"]
    shutil.rmtree(tmp_path / "out")
