"""Runs inside the sandbox: compiles a batch of Go packages, drops those that fail, links the rest into one binary.

A package whose initialisation fails would end the binary for all, so each binary is started once without a task, and
split in halves where that fails, reads or prints. Program k is started through the link `/tmp/built/k`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

GO, JOB, ROOT, BUILT = sys.argv[1], Path("/job"), Path("/tmp/batch"), Path("/tmp/built")
# How long the initialisation of all packages together may take.
START_S = 5.0
UNREAD = b"1\n" * 100


def tell(kind: str, k: int, message: str) -> None:
    """Write one line to the supervisor."""
    os.write(3, f"{kind} {k} {message.strip()[:2000].encode().hex()}\n".encode())


def go(*arguments: str) -> tuple[int, str]:
    """Run the go command; return its status and what it said."""
    done = subprocess.run([GO, *arguments], cwd=ROOT, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout + done.stderr


def blamed(said: str) -> dict[int, str]:
    """Return what was said about each program; a line without a name belongs to the one above it."""
    messages: dict[int, str] = {}
    at = None
    for line in said.splitlines():
        name = re.search(r"(?:^|[\s/(])p(\d+)(?:/|$|\s|:)", line)
        at = int(name[1]) if name else at
        if at is not None:
            messages[at] = messages.get(at, "") + ("" if line.startswith("#") else line + "\n")
    return messages


def compiled(programs: dict[int, list[str]]) -> list[int]:
    """Compile every package, trying each one's entries in turn; return those that succeed."""
    tried = dict.fromkeys(programs, 0)
    messages: dict[int, str] = {}
    left = list(programs)
    while left:
        for k in left:
            entry = programs[k][tried[k]]
            (ROOT / f"p{k}/polymix_entry.go").write_text(
                f"package p{k}\n\nfunc PolymixEntry() interface{{}} {{ return {entry} }}\n"
            )
        status, said = go("build", *(f"./p{k}" for k in left))
        if status == 0:
            break
        failed = {k: why for k, why in blamed(said).items() if k in left}
        if not failed:
            failed = {k: why for k in left for status, why in [go("build", f"./p{k}")] if status}
            if not failed:
                break
        for k, why in failed.items():
            messages.setdefault(k, why)
            tried[k] += 1
        for k in [k for k in left if tried[k] >= len(programs[k])]:
            tell("X", k, messages[k] or said)
            left.remove(k)
    return left


def link(programs: list[int]) -> None:
    """Link programs into one binary, or into several where one does not start with all of them in it."""
    if not programs:
        return
    name = f"g{programs[0]}_{len(programs)}"
    folder = ROOT / name
    folder.mkdir()
    imports = "".join(f'\tp{k} "batch/p{k}"\n' for k in programs)
    entries = "".join(f'\t"{k}": p{k}.PolymixEntry,\n' for k in programs)
    (folder / "main.go").write_text((JOB / "harness.go").read_text())
    (folder / "entries.go").write_text(
        f"package main\n\nimport (\n{imports})\n\nvar entries = map[string]func() interface{{}}{{\n{entries}}}\n"
    )
    status, why = go("build", "-ldflags=-s -w", "-o", str(BUILT / name), f"./{name}")
    if status == 0:
        given, end = os.pipe()
        os.write(end, UNREAD)
        os.close(end)
        try:
            done = subprocess.run(
                [BUILT / name], capture_output=True, text=True, errors="replace", timeout=START_S, stdin=given
            )
            status, why = done.returncode, f"its initialisation failed: {done.stderr}"
            # What one reads or prints before its `main` would be another's; alone, it is its own.
            if len(programs) > 1 and (done.stdout or os.read(given, len(UNREAD)) != UNREAD):
                status = 1
        except subprocess.TimeoutExpired:
            status, why = 1, f"its initialisation took longer than {START_S} s"
        os.close(given)
    if status == 0:
        for k in programs:
            (BUILT / str(k)).symlink_to(name)
    elif len(programs) == 1:
        tell("X", programs[0], why)
    else:
        half = len(programs) // 2
        link(programs[:half])
        link(programs[half:])


def main() -> None:
    """Lay the batch out, compile, link."""
    ROOT.mkdir()
    BUILT.mkdir()
    (ROOT / "go.mod").write_text(f"module batch\n\ngo {sys.argv[2]}\n")
    entries: dict[str, list[str]] = json.loads((JOB / "entries.json").read_text())
    programs = {int(k): tries for k, tries in entries.items()}
    for k in programs:
        (ROOT / f"p{k}").mkdir()
        (ROOT / f"p{k}/program.go").write_bytes((JOB / f"programs/{k}.go").read_bytes())
    link(compiled(programs))
    os.write(3, b"Z\n")


main()
