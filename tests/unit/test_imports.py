"""The order of the packages and the fences around libraries, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = ["pipelines", "analysis", "training", "parallel_mining", "quality"]
FENCES = {
    "great_expectations": {"quality"},
    "torch": {"training"},
    "torchtitan": {"training"},
    "transformers": {"training"},
    "sacrebleu": {"training"},
    "duckdb": {"analysis"},
    "scipy": {"analysis"},
    "pyspark": {"pipelines"},
    "datatrove": {"pipelines"},
}


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the package"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_only_those_to_its_right(package: str) -> None:
    left = set(ORDER[: ORDER.index(package)])
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    wrong = {str(path.relative_to(ROOT)): sorted(imported(path) & left) for path in sources if imported(path) & left}
    assert not wrong


@pytest.mark.parametrize("package", ORDER)
def test_fenced_libraries_stay_behind_their_fence(package: str) -> None:
    fenced = {name for name, homes in FENCES.items() if package not in homes}
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported(path) & fenced)
        for path in sorted((ROOT / package).rglob("*.py"))
        if imported(path) & fenced
    }
    assert not wrong


def test_every_module_opens_with_a_docstring() -> None:
    bare = [
        str(path.relative_to(ROOT))
        for package in ORDER
        for path in sorted((ROOT / package).rglob("*.py"))
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not bare


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for k in ORDER for p in (ROOT / k).rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    needs: dict[str, set[str]] = {}
    for module, path in modules.items():
        needs[module] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                needs[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                inside = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
                needs[module] |= inside or {str(node.module)}
        needs[module] &= modules.keys()
    # Whoever imports nothing that is left is in no circle.
    while free := {module for module, used in needs.items() if not used & needs.keys()}:
        needs = {module: used for module, used in needs.items() if module not in free}
    assert not needs
