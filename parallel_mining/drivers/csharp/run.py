"""How C# programs are run: a namespace each of one assembly, compiled by Mono's mcs, called by reflection under mono.

Mono's compiler knows C# 7; a program that uses what came later is `broken`, with the compiler's word for it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from parallel_mining import sandbox
from parallel_mining.drivers import Job, Toolchain, Unavailable, interpreter, text_of
from parallel_mining.pairs import Program

BATCH = 128
_REFERENCES = ("System.dll", "System.Core.dll", "System.Numerics.dll")
_PACKAGES = "mono-mcs mono-runtime libmono-system-core4.0-cil libmono-system-numerics4.0-cil"


def toolchain() -> Toolchain | Unavailable:
    """Return Mono's compiler and runtime on the path."""
    install = f"install Mono (Debian: apt install {_PACKAGES})"
    mcs, mono = shutil.which("mcs"), shutil.which("mono")
    if not mcs or not mono:
        return Unavailable("csharp", f"no `{'mono' if mcs else 'mcs'}` on the path", install)
    version = re.search(r"version (\d+\.\d+\S*)", text_of(mcs, "--version"))
    library = Path(mono).resolve().parent.parent / "lib" / "mono" / "4.5"
    missing = [name for name in _REFERENCES if not (library / name).exists()]
    if not version or missing:
        return Unavailable("csharp", f"{', '.join(missing) or mcs} is missing or unusable", install)
    outside = [path for path in (mcs, mono) if not Path(path).resolve().is_relative_to("/usr")]
    binds = tuple(str(Path(path).resolve().parent.parent) for path in outside)
    settings = ("/etc/mono",) if Path("/etc/mono").is_dir() else ()
    return Toolchain("csharp", f"mono mcs {version[1]}", {"mcs": mcs, "mono": mono}, (*binds, *settings))


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    # Names may clash between programs; inside a namespace of its own each finds its own first.
    files = {
        f"programs/{k}.cs": f"namespace P{k} {{\n{program.code.lstrip(chr(0xFEFF))}\n}}\n".encode()
        for k, program in enumerate(programs)
    }
    files["build.py"] = (Path(__file__).parent / "build.py").read_bytes()
    files["harness.exe"] = _harness(tools.tools["mcs"], tools.binds)
    python, _ = interpreter()
    build = (python, "-I", "-S", "-B", "/job/build.py", tools.tools["mcs"], *_REFERENCES)
    environment = {"MONO_GC_PARAMS": "max-heap-size=384m"}
    return Job(files, (tools.tools["mono"], "/job/harness.exe"), build, environment)


@cache
def _harness(mcs: str, binds: tuple[str, ...]) -> bytes:
    """Return the compiled harness: compiled once a process, as every batch needs the same."""
    source = (Path(__file__).parent / "Harness.cs").read_bytes()
    references = " ".join(f"-r:{name}" for name in _REFERENCES)
    script = f'"{mcs}" -warn:0 {references} -out:/tmp/harness.exe /job/Harness.cs >&2 && cat /tmp/harness.exe'
    made = sandbox.run(["/bin/sh", "-c", script], files={"Harness.cs": source}, binds=binds)
    if made.rc:
        raise RuntimeError(f"the C# harness does not compile: {made.stderr.decode(errors='replace')}")
    return made.stdout
