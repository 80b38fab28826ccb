"""Runs inside the sandbox: compiles a batch of Rust modules as one crate, dropping those that fail until it compiles.

An error anywhere fails a crate before any code is made, so the crate is compiled again and again without the modules
that errors point at: what fails costs a check and no more. The binary takes a task file and the number of the program
to call.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

RUSTC, JOB, ROOT, BUILT = sys.argv[1], Path("/job"), Path("/tmp/batch"), Path("/tmp/built")
FLAGS = ["--edition=2021", "--cap-lints=allow", "--error-format=json", "--crate-name=batch", "-Cdebuginfo=0"]
# Overflow panics, as it does where programs are tested, and never wraps unseen.
CODE = ["-Copt-level=0", "-Coverflow-checks=on", "-Cdebug-assertions=off", "-Ccodegen-units=2"]


def tell(kind: str, k: int, message: str) -> None:
    """Write one line to the supervisor."""
    os.write(3, f"{kind} {k} {message.strip()[:2000].encode().hex()}\n".encode())


def lay_out(programs: dict[int, str]) -> None:
    """Write the crate: its wire form, the programs' modules with their callers, and the choice between them."""
    call = {k: f"p{k}::polymix_main()" for k in programs if "fn polymix_main()" in programs[k]}
    call = {k: call.get(k, f"wire::work(&k, p{k}::polymix_call, &tasks)") for k in programs}
    arms = "".join(f'        "{k}" => {call[k]},\n' for k in programs)
    modules = "".join(f"mod p{k};\n" for k in programs)
    (ROOT / "main.rs").write_text(
        f"mod wire;\n{modules}\nfn main() {{\n    let mut given = std::env::args().skip(1);\n"
        "    let (tasks, k) = (given.next().unwrap(), given.next().unwrap());\n"
        f"    match k.as_str() {{\n{arms}        _ => {{}}\n    }}\n}}\n"
    )
    for k, caller in programs.items():
        (ROOT / f"p{k}.rs").write_text((JOB / f"programs/{k}.rs").read_text() + "\n" + caller)


def rustc(*arguments: str) -> tuple[int, dict[int, list[str]], str]:
    """Compile; return the status, the errors by program, and all errors as text."""
    done = subprocess.run(
        [RUSTC, *FLAGS, *arguments, "main.rs"], cwd=ROOT, capture_output=True, text=True, errors="replace"
    )
    blamed: dict[int, list[str]] = {}
    told: list[str] = []
    for line in done.stderr.splitlines():
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            told.append(line)
            continue
        if message.get("level") not in ("error", "error: internal compiler error"):
            continue
        told.append(message["message"])
        names = {int(name[1]) for span in spans(message) if (name := re.fullmatch(r"p(\d+)\.rs", span))}
        for k in names:
            blamed.setdefault(k, []).append(message.get("rendered") or message["message"])
    return done.returncode, blamed, "\n".join(told)


def spans(message: dict[str, Any]) -> list[str]:
    """Return the files in which an error is; where a macro made it, those that the macro was called from too."""
    found: list[str] = []
    for span in message["spans"]:
        here: dict[str, Any] | None = span if span["is_primary"] else None
        while here is not None:
            found.append(here["file_name"])
            here = here["expansion"]["span"] if here["expansion"] else None
    return found


def compiled(callers: dict[int, list[str]]) -> dict[int, str]:
    """Compile until no error is left; return the programs that are in the binary, with the caller that compiles."""
    tried = dict.fromkeys(callers, 0)
    first: dict[int, str] = {}
    left = list(callers)
    while left:
        chosen = {k: callers[k][tried[k]] for k in left}
        lay_out(chosen)
        status, blamed, told = rustc(*CODE, "-o", str(BUILT))
        if status == 0:
            return chosen
        failed = {k: "\n".join(why) for k, why in blamed.items() if k in tried}
        if not failed and len(left) > 1:
            # Nothing points at a module: see which of them compile on their own, then put those together.
            half = len(left) // 2
            apart: dict[int, str] = {}
            for part in (left[:half], left[half:]):
                apart |= compiled({k: callers[k][tried[k] :] for k in part})
            if len(apart) == len(left):
                for k in left[half:]:
                    tell("X", k, f"it does not compile beside others: {told}")
                    del apart[k]
            return compiled({k: [caller] for k, caller in apart.items()})
        for k, why in (failed or {left[0]: told}).items():
            first.setdefault(k, why)
            tried[k] += 1
        for k in [k for k in left if tried[k] >= len(callers[k])]:
            kind = "U" if "ToWire" in first[k] or "FromWire" in first[k] else "X"
            tell(kind, k, first[k])
            left.remove(k)
    return {}


def main() -> None:
    """Compile the crate."""
    ROOT.mkdir()
    (ROOT / "wire.rs").write_text((JOB / "wire.rs").read_text())
    given: dict[str, list[str]] = json.loads((JOB / "callers.json").read_text())
    compiled({int(k): tries for k, tries in given.items()})
    os.write(3, b"Z\n")


main()
