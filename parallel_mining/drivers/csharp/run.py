"""How C# programs are run: a namespace each of one assembly, called by reflection.

Two compilers can be had. Roslyn on .NET Core (`setup/dotnet.sh` puts both below `.toolchains/`) knows C# 10 and is
taken where it is there; its runtime is no longer maintained, so it is started in the sandbox and nowhere else. Mono's
mcs is taken otherwise: it knows C# 7, and a program that uses what came later is `broken`, with the compiler's word
for it. The toolchain's version says which it was. Harness.cs is the same for both, compiled by mcs.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from parallel_mining import sandbox
from parallel_mining.drivers import Job, Toolchain, Unavailable, interpreter, text_of
from parallel_mining.pairs import WHOLE, Program

BATCH = 256
DOTNET = Path(__file__).resolve().parents[3] / ".toolchains" / "dotnet"
_HERE = Path(__file__).parent
_REFERENCES = ("System.dll", "System.Core.dll", "System.Numerics.dll")
_PACKAGES = "mono-mcs mono-runtime libmono-system-core4.0-cil libmono-system-numerics4.0-cil"
_HEAP_BYTES = 384 << 20
# What Harness.cs and Compiler.cs are compiled with.
_USED = (
    "netstandard",
    "System.Collections",
    "System.Console",
    "System.IO.FileSystem",
    "System.Linq",
    "System.Private.CoreLib",
    "System.Runtime",
    "System.Runtime.Extensions",
    "System.Runtime.Numerics",
)
# What no function that can be proved has a use for; each assembly costs every batch some milliseconds.
_NEEDLESS = re.compile(
    r"Microsoft\.(VisualBasic|Win32)|System\.(Data|Drawing|IO|Net|Runtime\.WindowsRuntime|Security\.(Acc|Claims|Princ)|"
    r"Service|Transactions|Web|Windows)\b|System\.Runtime\.InteropServices\.WindowsRuntime|WindowsBase"
)


def toolchain() -> Toolchain | Unavailable:
    """Return Roslyn and .NET where they are installed, else Mono's compiler and runtime."""
    mono = _mono()
    if isinstance(mono, Unavailable) or not (DOTNET / "complete").is_file():
        return mono
    runtime, roslyn = _newest(DOTNET / "shared" / "Microsoft.NETCore.App"), _newest(DOTNET / "packages" / "roslyn")
    version = f"dotnet {runtime.name} roslyn {roslyn.name}"
    tools = {**mono.tools, "dotnet": str(DOTNET / "dotnet")}
    return Toolchain("csharp", version, tools, (*mono.binds, str(DOTNET)))


def _mono() -> Toolchain | Unavailable:
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


def _newest(folder: Path) -> Path:
    return max(path for path in folder.iterdir() if path.is_dir())


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    texts = {k: program.code.lstrip("\ufeff") for k, program in enumerate(programs)}
    return _roslyn_job(texts, tools) if "dotnet" in tools.tools else _mcs_job(texts, tools)


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs."""
    made = job(programs, tools)
    build = (*made.build, "whole") if "dotnet" in tools.tools else made.build
    return replace(made, build=build, worker=(*made.worker, WHOLE, "{k}"), whole=True)


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    # `Debug.Assert` does nothing in a program that is not compiled for debugging, and more than to fail in one that is.
    checked = re.sub(r"\bDebug\s*\.\s*Assert\s*\(", "PolymixTests.Check(", tests)
    checked = _ENDS.sub(lambda end: f'Console.WriteLine("{done}");\n{end[0]}', checked, count=1)
    return f"{code}\n{checked}\n{_CHECK}"


_ENDS = re.compile(r"\}\s*\}\s*\Z")
"""Of `Main` and its class, with which tests end."""

_CHECK = """
static class PolymixTests {
    public static void Check(bool passed, string said = "") {
        if (!passed) throw new Exception("a unit test failed " + said);
    }
}
"""


def _mcs_job(texts: Mapping[int, str], tools: Toolchain) -> Job:
    # Names may clash between programs; inside a namespace of its own each finds its own first.
    files = {f"programs/{k}.cs": f"namespace P{k} {{\n{text}\n}}\n".encode() for k, text in texts.items()}
    files["build.py"] = (_HERE / "build.py").read_bytes()
    references = " ".join(f"-r:{name}" for name in _REFERENCES)
    files |= _compiled(tools.tools["mcs"], tools.binds, references, ("Harness",))
    python, _ = interpreter()
    build = (python, "-I", "-S", "-B", "/job/build.py", tools.tools["mcs"], *_REFERENCES)
    environment = {"MONO_GC_PARAMS": f"max-heap-size={_HEAP_BYTES >> 20}m"}
    return Job(files, (tools.tools["mono"], "/job/Harness.dll"), build, environment)


def _roslyn_job(texts: Mapping[int, str], tools: Toolchain) -> Job:
    framework = _newest(DOTNET / "shared" / "Microsoft.NETCore.App")
    library = sorted(framework.glob("*.dll"))
    roslyn = sorted(_newest(DOTNET / "packages" / "roslyn").glob("*.dll"))
    used = [*(framework / f"{name}.dll" for name in _USED), *roslyn]
    references = "-nostdlib -noconfig " + " ".join(f"-r:{path}" for path in used)
    files = {f"programs/{k}.cs": text.encode() for k, text in texts.items()}
    files["references"] = "\n".join(str(path) for path in library if not _NEEDLESS.match(path.name)).encode()
    files |= _compiled(tools.tools["mcs"], tools.binds, references, ("Harness", "Compiler"))
    files["Compiler.deps.json"] = _dependencies(roslyn[0].parent)
    files["Compiler.runtimeconfig.json"] = _settings(quick=True)
    files["Harness.runtimeconfig.json"] = _settings(quick=False)
    start = (tools.tools["dotnet"], "exec", "--runtimeconfig")
    worker = (*start, "/job/Harness.runtimeconfig.json", "/job/Harness.dll")
    compiler = (*start, "/job/Compiler.runtimeconfig.json", "--depsfile", "/job/Compiler.deps.json")
    build = (*compiler, "--additionalprobingpath", str(DOTNET / "packages"), "/job/Compiler.dll")
    environment = {
        # The runtime knows OpenSSL 1.1 only, which no Debian since 12 has.
        "LD_LIBRARY_PATH": str(DOTNET / "openssl"),
        # No pipes for debuggers, no tracing, and few collections (hexadecimal: 64 MiB).
        "COMPlus_EnableDiagnostics": "0",
        "COMPlus_LTTng": "0",
        "COMPlus_GCgen0size": "4000000",
    }
    return Job(files, worker, build, environment)


def _settings(*, quick: bool) -> bytes:
    """Return what a runtime starts with; `quick`: loops too are compiled in haste, which suits short lives only."""
    properties = {
        "System.GC.Concurrent": False,
        "System.GC.HeapHardLimit": _HEAP_BYTES,
        "System.GC.Server": False,
        "System.Globalization.Invariant": True,
        "System.Runtime.TieredCompilation.QuickJitForLoops": quick,
    }
    framework = {"name": "Microsoft.NETCore.App", "version": "3.1.0"}
    options = {"tfm": "netcoreapp3.1", "framework": framework, "configProperties": properties}
    return json.dumps({"runtimeOptions": options}).encode()


def _dependencies(roslyn: Path) -> bytes:
    """Return what the compiler is made of: some of it is newer than what the runtime has under the same name."""
    target = ".NETCoreApp,Version=v3.1"
    assemblies = {
        path.name: {"assemblyVersion": "5.0.0.0", "fileVersion": "5.0.0.0"} if path.name.startswith("System.") else {}
        for path in sorted(roslyn.glob("*.dll"))
    }
    package = f"roslyn/{roslyn.name}"
    made = {
        "runtimeTarget": {"name": target, "signature": ""},
        "targets": {target: {"Compiler/1.0.0": {"runtime": {"Compiler.dll": {}}}, package: {"runtime": assemblies}}},
        "libraries": {
            "Compiler/1.0.0": {"type": "project", "serviceable": False, "sha512": ""},
            package: {"type": "package", "serviceable": False, "sha512": "", "path": package},
        },
    }
    return json.dumps(made).encode()


@cache
def _compiled(mcs: str, binds: tuple[str, ...], references: str, names: tuple[str, ...]) -> Mapping[str, bytes]:
    """Return our own programs, compiled once a process, as every batch needs the same."""
    sources = {f"{name}.cs": (_HERE / f"{name}.cs").read_bytes() for name in names}
    script = " && ".join(f'"{mcs}" -warn:0 {references} -out:/tmp/{name}.dll /job/{name}.cs >&2' for name in names)
    script += f" && tar -C /tmp -c {' '.join(f'{name}.dll' for name in names)}"
    made = sandbox.run(["/bin/sh", "-c", script], files=sources, binds=binds)
    if made.rc:
        raise RuntimeError(f"the C# harness does not compile: {made.stderr.decode(errors='replace')}")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        contents = {name: archive.extractfile(f"{name}.dll") for name in names}
        return {f"{name}.dll": file.read() for name, file in contents.items() if file}
