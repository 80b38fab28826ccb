"""Where an artifact came from and what it counts, for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.tree import Tree

from quality.artifacts import read_manifest


def show(artifact: Path) -> None:
    """Print an artifact's manifest: JSON on one line, or a tree in a terminal.

    Raises:
        BadInput: There is no finished artifact.
    """
    manifest = read_manifest(artifact)
    size = sum(path.stat().st_size for path in _files(artifact))
    manifest["files"] = {"files": sum(1 for _ in _files(artifact)), "bytes": size}
    if not sys.stdout.isatty():
        sys.stdout.write(json.dumps(manifest, ensure_ascii=False) + "\n")
        return
    tree = Tree(f"[bold]{manifest['kind']}[/bold] {artifact}")
    for key, value in manifest.items():
        if key != "kind":
            _grow(tree, key, value)
    Console().print(tree)


def _files(artifact: Path) -> Iterator[Path]:
    return (path for path in sorted(artifact.rglob("*")) if path.is_file())


def _grow(tree: Tree, key: str, value: Any) -> None:
    if isinstance(value, dict) and value:
        branch = tree.add(f"[bold]{key}[/bold]")
        for inner, item in cast(dict[str, Any], value).items():
            _grow(branch, inner, item)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        tree.add(f"{key}: {text if len(text) <= 120 else text[:117] + '...'}")
