"""Runs inside the sandbox: tells of the whole programs of a batch that do not compile. See `supervisor`."""

from __future__ import annotations

import os
from pathlib import Path

for path in Path("/job/programs").iterdir():
    try:
        compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        told = f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "backslashreplace").hex()
        os.write(3, f"X {path.stem} {told}\n".encode())
os.write(3, b"Z\n")
