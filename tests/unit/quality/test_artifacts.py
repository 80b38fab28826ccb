"""An artifact appears whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quality.artifacts import (
    MANIFEST,
    check_file,
    check_place,
    check_writable,
    creating,
    fingerprint,
    finished,
    read_manifest,
    write_atomically,
)
from quality.mistakes import BadInput, Stale


def test_a_finished_artifact_has_its_manifest_and_identity(tmp_path: Path) -> None:
    with creating(tmp_path / "corpus", "corpus", {"seed": 1}, command="polymix build") as draft:
        (draft.path / "data").write_text("x")
        draft.counts["documents"] = 1
    manifest = read_manifest(tmp_path / "corpus", "corpus")
    assert manifest["fingerprint"] == fingerprint({"seed": 1})
    assert manifest["counts"] == {"documents": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus"]
    assert sorted(p.name for p in (tmp_path / "corpus").iterdir()) == ["data", MANIFEST]


def test_a_failure_keeps_the_artifact_that_was_there(tmp_path: Path) -> None:
    with creating(tmp_path / "a", "a", {}) as draft:
        (draft.path / "data").write_text("old")
    with pytest.raises(RuntimeError), creating(tmp_path / "a", "a", {}) as draft:
        (draft.path / "data").write_text("new")
        raise RuntimeError
    assert (tmp_path / "a" / "data").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_resumable_draft_is_kept_for_the_same_identity_only(tmp_path: Path) -> None:
    def attempt(seed: int, *, stop: bool) -> bool:
        with creating(tmp_path / "runs", "runs", {"seed": seed}, resume=True) as draft:
            found = (draft.path / "first").exists()
            (draft.path / "first").write_text("done")
            if stop:
                raise KeyboardInterrupt
        return found

    with pytest.raises(KeyboardInterrupt):
        attempt(1, stop=True)
    assert not (tmp_path / "runs").exists()
    with pytest.raises(KeyboardInterrupt):
        attempt(1, stop=True)
    assert attempt(1, stop=False)
    with pytest.raises(KeyboardInterrupt):
        attempt(2, stop=True)
    assert not attempt(3, stop=False)


def test_a_folder_of_the_user_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(BadInput, match="not an artifact"), creating(tmp_path, "corpus", {}):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_kill_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    code = (
        "import sys, time; from quality.artifacts import creating\n"
        f"with creating({str(tmp_path / 'a')!r}, 'a', {{}}) as draft:\n"
        "    (draft.path / 'data').write_text('half'); print('in', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "a").exists()
    with creating(tmp_path / "a", "a", {}) as draft:
        assert not (draft.path / "data").exists()


def test_an_artifact_of_another_kind_is_never_replaced(tmp_path: Path) -> None:
    with creating(tmp_path / "a", "corpus", {}) as draft:
        (draft.path / "data").write_text("precious")
    with pytest.raises(BadInput, match="holds a 'corpus', which a 'shards' would replace"):
        check_place(tmp_path / "a", "shards")
    with pytest.raises(BadInput, match="name a new folder"), creating(tmp_path / "a", "shards", {}):
        pass
    assert (tmp_path / "a" / "data").read_text() == "precious"


def test_it_is_said_that_something_else_was_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for identity in ({"seed": 1}, {"seed": 1}):
        with creating(tmp_path / "a", "corpus", identity):
            pass
    assert capsys.readouterr().err == ""
    with creating(tmp_path / "a", "corpus", {"seed": 2}):
        pass
    assert "made of other inputs or settings, is replaced" in capsys.readouterr().err


def test_an_artifact_with_a_damaged_manifest_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / MANIFEST).write_bytes(b"\xff{")
    with creating(tmp_path / "a", "a", {}):
        pass
    assert read_manifest(tmp_path / "a", "a")["fingerprint"] == fingerprint({})


def test_a_link_to_an_artifact_is_replaced_and_what_it_names_stays(tmp_path: Path) -> None:
    with creating(tmp_path / "first", "a", {"turn": 0}):
        pass
    (tmp_path / "second").symlink_to("first")
    with creating(tmp_path / "second", "a", {"turn": 1}):
        pass
    assert read_manifest(tmp_path / "first")["identity"] == {"turn": 0}
    assert read_manifest(tmp_path / "second")["identity"] == {"turn": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "second"]


def test_a_place_below_a_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for below in ("file", "file/a", "file/a/b"):
        with pytest.raises(BadInput, match="name"), creating(tmp_path / below, "a", {}):
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("resume", [False, True])
def test_two_processes_do_not_make_one_artifact(tmp_path: Path, resume: bool) -> None:
    with creating(tmp_path / "a", "a", {}, resume=resume) as draft:
        (draft.path / "data").write_text("x")
        with pytest.raises(BadInput, match="another polymix process"), creating(tmp_path / "a", "a", {}, resume=resume):
            pass
    assert (tmp_path / "a" / "data").read_text() == "x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no finished"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "has no kind, fingerprint"),
        (b'{"kind": "b"}', "holds a 'b'"),
    ],
)
def test_what_is_not_a_finished_artifact_is_said(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_manifest(tmp_path, "a")


def test_readers_never_find_nothing_while_an_artifact_is_replaced(tmp_path: Path) -> None:
    folder, stop, missing = tmp_path / "corpus", threading.Event(), list[int]()
    with creating(folder, "corpus", {"n": 0}):
        pass

    def watch() -> None:
        while not stop.is_set():
            if not folder.is_dir():
                missing.append(1)

    watching = threading.Thread(target=watch)
    watching.start()
    for number in range(1, 60):
        with creating(folder, "corpus", {"n": number}):
            pass
    stop.set()
    watching.join()
    assert missing == []
    assert read_manifest(folder)["identity"] == {"n": 59}
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "is no name"),
        (".", "is no name"),
        ("new/..", "is no name"),
        ("file/new", "file is not a folder"),
        ("loop/new", "loop is not a folder"),
        ("dangling/new", "dangling is not a folder"),
        ("/proc/new", "/proc: No such file"),
        ("/proc/new/new", "/proc: No such file"),
        ("n" * 250, "File name too long"),
        ("new/" + "n" * 250, "File name too long"),
    ],
)
def test_a_place_where_nothing_can_be_made_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        check_writable(place)
    with pytest.raises(BadInput):
        check_file(place)
    for good in ("new", "new/new", "file"):
        check_file(good)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match="folder: is a folder; name the file"):
        check_file("folder")
    with pytest.raises(BadInput, match="/dev/null: is no plain file; name the file"):
        check_file("/dev/null")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "folder", "loop"]


def test_what_is_to_be_kept_is_not_replaced(tmp_path: Path) -> None:
    with creating(tmp_path / "a", "a", {"seed": 1}) as draft:
        (draft.path / "data").write_text("old")
    with creating(tmp_path / "a", "a", {"seed": 1}, replace=False):
        pass
    with (
        pytest.raises(Stale, match="made with 1, asked for is 2"),
        creating(tmp_path / "a", "a", {"seed": 2}, replace=False),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    with pytest.raises(Stale, match="are kept; put it elsewhere"):
        finished(tmp_path / "a", "a", {"seed": 2}, instead="put it elsewhere")


def test_what_was_done_outlives_a_disk_that_is_full_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(*, resume: bool) -> bool:
        with creating(tmp_path / "runs", "runs", {"seed": 1}, resume=resume) as draft:
            found = (draft.path / "first").exists()
            (draft.path / "first").write_text("done")
        return found

    def full(path: Path, data: bytes | str) -> None:
        if path.name == MANIFEST:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, data)

    with monkeypatch.context() as patched:
        patched.setattr("quality.artifacts.write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            attempt(resume=False)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(OSError, match="No space"):
            attempt(resume=True)
    assert attempt(resume=True)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["first", MANIFEST]


def test_a_disk_that_is_full_is_told_with_what_was_being_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_atomically(tmp_path / "file", "x")
    assert caught.value.filename == str(tmp_path / "file")
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space") as caught, creating(tmp_path / "a", "a", {}):
        full(0)
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
