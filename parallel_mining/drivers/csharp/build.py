"""Runs inside the sandbox: compiles a batch of C# files into one assembly, without those that fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

MCS, PROGRAMS, BUILT = sys.argv[1], Path("/job/programs"), Path("/tmp/built.dll")
REFERENCES = sys.argv[2:]


def tell(kind: str, k: int, message: str) -> None:
    """Write one line to the supervisor."""
    os.write(3, f"{kind} {k} {message.strip()[:2000].encode().hex()}\n".encode())


def compiled(programs: list[int]) -> tuple[int, dict[int, str], str]:
    """Compile programs together; return the status, the errors by program, and all that was said."""
    done = subprocess.run(
        [
            MCS,
            "-target:library",
            "-langversion:latest",
            "-unsafe+",
            "-warn:0",
            f"-out:{BUILT}",
            *(f"-r:{name}" for name in REFERENCES),
            *(f"/job/programs/{k}.cs" for k in programs),
        ],
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = done.stdout + done.stderr
    blamed: dict[int, str] = {}
    for line in said.splitlines():
        found = re.match(r"(?:/job/programs/)?(\d+)\.cs\((\d+),\d+\): (error .*)", line)
        if found:
            k = int(found[1])
            # The first line of the file is the namespace that was put before it.
            blamed[k] = blamed.get(k, "") + f"line {int(found[2]) - 1}: {found[3]}\n"
    return done.returncode, blamed, said


def clean(programs: list[int]) -> list[int]:
    """Return the programs that compile together, having told about those that do not compile."""
    left = list(programs)
    while left:
        status, blamed, said = compiled(left)
        if status == 0:
            return left
        failed = {k: why for k, why in blamed.items() if k in left}
        if not failed and len(left) == 1:
            failed = {left[0]: said}
        if not failed:
            # Nothing points at a file (the compiler itself failed): see which compile on their own.
            half = len(left) // 2
            return clean(left[:half]) + clean(left[half:])
        for k, why in failed.items():
            tell("X", k, why)
        left = [k for k in left if k not in failed]
    return []


def main() -> None:
    """Compile what compiles."""
    programs = clean(sorted(int(path.stem) for path in PROGRAMS.iterdir()))
    # Halves may have been compiled last; the workers need the whole.
    if programs:
        compiled(programs)
    os.write(3, b"Z\n")


main()
