"""Where an artifact came from and what it counts, and which document a token of shards is of."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.tree import Tree

from quality.artifacts import read_manifest
from quality.mistakes import BadInput, Mistake


def show(artifact: Path, tokens: Sequence[int] = ()) -> None:
    """Print an artifact's manifest, or where tokens of shards came from: JSON lines, or trees in a terminal.

    Args:
        artifact: Its folder.
        tokens: Token offsets over all shards, in their order; none for the manifest.

    Raises:
        BadInput: There is no finished artifact, or it holds no such tokens.
    """
    if tokens:
        for token, found in zip(tokens, _tokens(artifact, tokens), strict=True):
            _print(f"[bold]token {token}[/bold] {artifact}", found)
        return
    manifest = read_manifest(artifact)
    # A file may have two names.
    sizes = {(stat.st_dev, stat.st_ino): stat.st_size for stat in (path.stat() for path in _files(artifact))}
    manifest["files"] = {"files": sum(1 for _ in _files(artifact)), "bytes": sum(sizes.values())}
    _print(f"[bold]{manifest['kind']}[/bold] {artifact}", manifest)


def _tokens(artifact: Path, tokens: Sequence[int]) -> list[dict[str, Any]]:
    from pipelines.tokenizer import load_tokenizer
    from training.shards import open_shards
    from training.stores import TOKENIZER_FILE

    shards = open_shards(artifact)
    tokenizer = load_tokenizer(artifact / TOKENIZER_FILE)
    found: list[dict[str, Any]] = []
    mistakes: list[Mistake] = []
    for token in tokens:
        try:
            row = shards.document_at(token)
        except IndexError as error:
            mistakes.append(Mistake("--token", f"{error}; the first is 0"))
        else:
            found.append({**row, "text": tokenizer.decode([row["token"]], skip_special_tokens=False)})
    if mistakes:
        raise BadInput(mistakes)
    return found


def _print(title: str, values: Mapping[str, Any]) -> None:
    if not sys.stdout.isatty():
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    tree = Tree(title)
    for key, value in values.items():
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
