"""How Go programs are run: a package each, compiled together, linked into one binary, a process a program."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from parallel_mining.drivers import Job, Toolchain, Unavailable, interpreter, text_of
from parallel_mining.pairs import WHOLE, Program

BATCH = 256
# A type parameter is given one of these, the first that compiles.
INSTANCES = ("int", "float64", "string")

_PACKAGE = re.compile(r"^[ \t]*package[ \t]+\w+", re.MULTILINE)


def toolchain() -> Toolchain | Unavailable:
    """Return the go command on the path, or Debian's."""
    install = "install Go 1.18 or newer (Debian: apt install golang-go)"
    go = shutil.which("go") or shutil.which("/usr/lib/go/bin/go")
    if not go:
        return Unavailable("go", "no `go` on the path", install)
    root = text_of(go, "env", "GOROOT")
    said = text_of(go, "version")
    version = re.search(r"go(\d+)\.(\d+)(?:\.\d+)?", said)
    if not root or not version or (int(version[1]), int(version[2])) < (1, 18):
        return Unavailable("go", f"`{go} version` says {said or 'nothing'}", install)
    binds = () if Path(root).resolve().is_relative_to("/usr") else (root,)
    return Toolchain("go", f"go {version[0].removeprefix('go')}", {"go": f"{root}/bin/go"}, binds)


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    worker = ("/bin/sh", "-c", 'exec "/tmp/built/$2" "$1" "$2"', "sh")
    return _job({k: (program.code, _entries(program)) for k, program in enumerate(programs)}, tools, worker)


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs: their `main` is called as functions are."""
    texts = {k: (program.code, ["main"]) for k, program in enumerate(programs)}
    return replace(_job(texts, tools, ("/tmp/built/{k}", WHOLE, "{k}")), alone=False, whole=True)


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    # Tests are those of `go test`; the package gets a `main` that runs them, and one more behind them that prints.
    imported = 'package main\n\nimport polymixFmt "fmt"\n'
    named, count = _PACKAGE.subn(imported, code, count=1)
    functions = re.findall(r"^func\s+(Test\w*)\s*\(\s*\w+\s+\*testing\.T\s*\)", tests, re.MULTILINE)
    listed = "".join(f'\t\t{{Name: "{name}", F: {name}}},\n' for name in functions)
    return (
        f"{named if count else imported + code}\n{tests}\nfunc main() {{\n"
        "\tall := func(_, _ string) (bool, error) { return true, nil }\n"
        f'\tsay := func(t *testing.T) {{ polymixFmt.Println("{done}") }}\n'
        f'\ttesting.Main(all, []testing.InternalTest{{\n{listed}\t\t{{Name: "Done", F: say}},\n\t}}, nil, nil)\n}}\n'
    )


def _job(programs: Mapping[int, tuple[str, list[str]]], tools: Toolchain, worker: tuple[str, ...]) -> Job:
    here = Path(__file__).parent
    files = {name: (here / name).read_bytes() for name in ("build.py", "harness.go")}
    for k, (code, _) in programs.items():
        named, count = _PACKAGE.subn(f"package p{k}", code, count=1)
        files[f"programs/{k}.go"] = (named if count else f"package p{k}\n\n{code}").encode()
    files["entries.json"] = json.dumps({k: entries for k, (_, entries) in programs.items()}).encode()
    python, _ = interpreter()
    version = re.match(r"go (\d+\.\d+)", tools.version)
    build = (python, "-I", "-S", "-B", "/job/build.py", tools.tools["go"], version[1] if version else "1.18")
    environment = {
        "GOCACHE": "/tmp/go-cache",
        "GOPATH": "/tmp/go-path",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    return Job(files, worker, build, environment, alone=True)


def _entries(program: Program) -> list[str]:
    """Return the expressions for the function, in the order to try them: one a choice of type arguments."""
    parameters = r"\[([^\]]*(?:\[[^\]]*\][^\]]*)*)\]"
    generic = re.search(rf"^func[ \t]+{re.escape(program.entry)}[ \t]*{parameters}", program.code, re.MULTILINE)
    if not generic:
        return [program.entry]
    # `K comparable, V any` has two; `A, B any` too. A constraint may itself hold brackets but no top-level comma.
    count = len(re.findall(r",(?![^\[]*\])", generic[1])) + 1
    return [f"{program.entry}[{', '.join([instance] * count)}]" for instance in INSTANCES]
