from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest

from quality.mistakes import BadInput
from quality.opt_out import OptOut


@pytest.mark.parametrize(
    ("entry", "repo_name", "path"),
    [
        ("octocat/hello", "git:octocat/hello", "a.py"),
        ("octocat/hello", "octocat/hello", "a.py"),
        ("git:octocat/hello", "OctoCat/Hello", "a.py"),
        ("OctoCat/Hello.git", "git:octocat/hello", "a.py"),
        ("https://code.example/octocat/hello", "git:octocat/hello", "a.py"),
        ("git+https://user@code.example/octocat/hello.git", "git:octocat/hello", "a.py"),
        ("git@code.example:octocat/hello.git", "git:octocat/hello", "a.py"),
        ("code.example/octocat/hello", "octocat/hello", "a.py"),
        ("git:hello", "git:hello", "a.py"),
        ("group/octocat/hello", "git:octocat/hello", "a.py"),
        ("https://code.example/group/octocat/hello", "git:octocat/hello", "a.py"),
        ("group/octocat/", "git:octocat/hello", "a.py"),
        ("octocat/hello", "https://code.example/octocat/hello.git", "a.py"),
        ("octocat/", "git:octocat/hello", "deep/a.py"),
        ("octocat/*", "octocat/other", "a.py"),
        ("pypi:My_Package", "pypi:my-package", "a.py"),
        ("npm:@Scope/name", "npm:@scope/name", "a.js"),
        ("npm:@scope/", "npm:@scope/name", "a.js"),
        ("deb:hello", "deb-src:hello", "a.c"),
        ("octocat/hello:src/**", "git:octocat/hello", "src/deep/a.py"),
        ("octocat/hello:src/", "git:octocat/hello", "src/deep/a.py"),
        ("octocat/hello:/src/*.py", "git:octocat/hello", "src/a.py"),
        ("octocat/hello:**/a.py", "git:octocat/hello", "a.py"),
        ("pypi:name:**/vendored.py", "pypi:name", "x/y/vendored.py"),
    ],
)
def test_an_entry_leaves_out(entry: str, repo_name: str, path: str) -> None:
    assert OptOut.parse(["# a comment", "", f"  {entry}   # asked for"]).reason(repo_name, path) == f"line 3: {entry}"


@pytest.mark.parametrize(
    ("entry", "repo_name", "path"),
    [
        ("octocat/hello", "git:octocat/hello2", "a.py"),
        ("octocat/hello", "git:other/hello", "a.py"),
        ("octo/", "git:octocat/hello", "a.py"),
        ("pypi:name", "npm:name", "a.py"),
        ("pypi:name", "git:pypi/name", "a.py"),
        ("npm:@scope/", "npm:@scoped/name", "a.js"),
        ("octocat/hello:src/*.py", "git:octocat/hello", "src/deep/a.py"),
        ("octocat/hello:src/**", "git:octocat/hello", "lib/src.py"),
        ("octocat/hello:SRC/**", "git:octocat/hello", "src/a.py"),
        ("octocat/hello:a.py", "git:octocat/hello", "b/a.py"),
    ],
)
def test_an_entry_leaves_alone(entry: str, repo_name: str, path: str) -> None:
    assert OptOut.parse([entry]).reason(repo_name, path) is None


def test_every_wrong_line_is_listed_with_its_number() -> None:
    lines = [
        "octocat/hello",
        "octocat",
        "octo*/hello",
        "octocat/hello:",
        "octocat/:src/**",
        "pypi:",
        "pypi:some/",
        "a b/c",
    ]
    with pytest.raises(BadInput) as raised:
        OptOut.parse(lines, "out.txt")
    assert [str(mistake).split(":")[1].strip() for mistake in raised.value.mistakes] == [
        f"line {number}" for number in range(2, 9)
    ]
    assert "octocat/ for all of an owner" in str(raised.value)


def test_a_flood_of_mistakes_is_cut_and_counted() -> None:
    with pytest.raises(BadInput) as raised:
        OptOut.parse(["nothing"] * 250)
    assert len(raised.value.mistakes) == 101
    assert "150 more" in str(raised.value.mistakes[-1])


def test_the_digest_is_that_of_the_entries(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# why\nOctocat/Hello\npypi:a_b\n", "utf-8")
    read = OptOut.read(tmp_path / "list.txt")
    assert read == OptOut.parse(["pypi:A-B", "octocat/hello", "git:octocat/hello"])
    assert read.digest == OptOut.parse(["pypi:A-B", "octocat/hello"]).digest
    assert read.digest != OptOut.parse(["octocat/hello"]).digest
    assert OptOut().digest == ""
    assert OptOut().reason("git:octocat/hello", "a.py") is None


def test_a_list_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.txt", tmp_path / "binary"):
        with pytest.raises(BadInput, match="cannot be read"):
            OptOut.read(path)


def test_a_list_can_be_pickled_and_long() -> None:
    lines = [f"owner{number}/name" for number in range(100_000)]
    lines += [f"owner{number}/part:src/{number}/**" for number in range(1000)]
    known = pickle.loads(pickle.dumps(OptOut.parse(lines)))
    start = time.process_time()
    for number in range(10_000):
        assert known.reason(f"git:owner{number}/name", "a.py") == f"line {number + 1}: owner{number}/name"
        assert known.reason("git:someone/else", "src/a.py") is None
    # Some 3 microseconds a question here; a scan of the list would take a thousand times as long.
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "entry",
    [
        "https://host/octocat/hello/tree/main/docs",
        "https://host/octocat/hello/blob/main/docs/a.py",
        "https://host/octocat/hello/issues/1",
        "https://pypi.org/project/pydash/",
        "https://www.npmjs.com/package/lodash",
        "@scope/pkg",
        "npm:lodash@4",
        "pypi:pydash==1.0",
        "octocat/hello@main",
        "octocat/hello:./docs/**",
        "octocat/hello:[d]ocs/**",
        "octocat/hello:docs/{a,b}.py",
    ],
)
def test_an_entry_that_could_never_match_is_a_mistake_that_says_what_to_write(entry: str) -> None:
    with pytest.raises(BadInput, match="line 1"):
        OptOut.parse([entry])


def test_a_folder_is_all_below_it() -> None:
    listed = OptOut.parse(["octocat/hello:docs", "octocat/bye:src/*.py"])
    assert listed.reason("octocat/hello", "docs/deep/a.py")
    assert not listed.reason("octocat/hello", "docs2/a.py")
    assert listed.reason("octocat/bye", "src/a.py")
    assert not listed.reason("octocat/bye", "src/deep/a.py")


def test_entries_of_repositories_that_are_not_there_are_told() -> None:
    listed = OptOut.parse(["octocat/hello", "never/there", "someone/", "pypi:pydash:tests/**", "pypi:gone"])
    names = ["git:octocat/hello", "someone/else", "pypi:pydash"]
    assert listed.unmatched(names) == ("never/there", "pypi:gone")
