"""Train the model that `quality.lexical` reads, on packages that no benchmark measures.

    python -m tests.benchmark.train_lexical --data FILE.parquet [--without BENCH.parquet] [--out quality/lexical.npz]

`lexical_packages.txt` names the packages; FILE is made from them where it is missing. Files whose bytes stand in
`--without` too are left out, so that what two packages share is not learnt by heart. Each file is read twice: from its
start, and as a piece of a few hundred characters, for short files are told by less. A package counts by the root of its
files and each class alike, so that neither large packages nor common languages decide. The model is a softmax over the
features of `quality.lexical`, with a penalty on squared weights, fitted by L-BFGS and rounded to 8 bits. Random numbers
come from the seed 17; the same data give the same file. Needs scipy.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from scipy.optimize import minimize

from pipelines.sources import read_source
from quality import lexical
from quality.classify import decode
from quality.languages import LANGUAGES
from quality.mistakes import BadInput

PACKAGES = Path(__file__).with_name("lexical_packages.txt")
SEED = 17
PENALTY = 2e-6
ITERATIONS = 45
WORDS = 2_500
MAX_BYTES = 200_000
PER_PACKAGE = 40
DECLARATIONS = 15
PER_CSHARP_PACKAGE = {"deb-src:mono": 900}
"""Files of a class that are taken from one package. C#, which few packages are written in, has most from one."""

MEASURED = ("nunit", "newtonsoft", "opentk")
"""Parts of Mono that stand in measured packages too."""

SHELL_NAMES = ("Makefile", "makefile", "Dockerfile", "Rakefile", "Gemfile")

OTHERS = {
    "c": "c h cc cpp hpp cxx hh m mm",
    "json": "json map ipynb jsonl geojson json5",
    "text": "md rst txt markdown po log adoc",
    "xml": "xml svg resx csproj xaml xsd html htm xsl xhtml vue plist props wxs",
    "css": "css scss less sass styl",
    "shell": "sh bash zsh ksh mk am ac m4 cmake bat ps1",
    "config": "yaml yml toml ini cfg conf properties lock",
    "script": "rb pl pm t lua tcl r ex exs vim el scm php awk",
    "schema": "proto graphql thrift idl sql y l g4 g s asm pyx pxd kt scala swift groovy fs vb coffee hs ml d glsl "
    "hlsl wgsl shader cginc vala dart",
}
"""Classes outside the registry, by ending; those that are written alike stand together."""

CLASSES = {f".{ending}": name for name, endings in OTHERS.items() for ending in endings.split()} | {
    ending: row.id for row in LANGUAGES.values() for ending in row.extensions if ending != ".pyi"
}
SCHEMA = pa.schema([("label", pa.string()), ("package", pa.string()), ("path", pa.string()), ("data", pa.binary())])


def fetch(out: Path) -> None:
    """Write files of the packages, some of each class, chosen by the hash of their paths."""
    specs = [line for line in PACKAGES.read_text().split("\n") if line and line[0] != "#"]
    with pq.ParquetWriter(out, SCHEMA, compression="zstd") as writer:
        for spec in sorted(specs):
            try:
                read = read_source(spec)
            except BadInput as mistake:
                print(f"left out: {mistake}", file=sys.stderr)
                continue
            found: dict[tuple[str, bool], list[tuple[bytes, str, bytes]]] = defaultdict(list)
            for file in read.files():
                path = PurePosixPath(file.path)
                label = "shell" if path.name in SHELL_NAMES else CLASSES.get(path.suffix.lower())
                if label and 0 < len(file.data) <= MAX_BYTES:
                    key = (label, file.path.endswith(".d.ts"))
                    found[key].append((hashlib.sha256(file.path.encode()).digest(), file.path, file.data))
            rows = [
                {"label": label, "package": read.record.name, "path": path, "data": data}
                for (label, declared), files in sorted(found.items())
                for _, path, data in sorted(files)[: _most(read.record.name, label, declared)]
                if not any(part in path.lower() for part in MEASURED)
            ]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))


def _most(package: str, label: str, declared: bool) -> int:
    if declared:
        return DECLARATIONS
    return PER_CSHARP_PACKAGE.get(package, 90) if label == "csharp" else PER_PACKAGE


def texts(data: Path, without: Path | None) -> list[tuple[str, str, str, str]]:
    """Return `(class, package, path, text)`, sorted, each content once."""
    seen: set[bytes] = set()
    if without:
        for batch in pq.ParquetFile(without).iter_batches(1000, columns=["data"]):
            seen |= {hashlib.sha256(value.as_py()).digest() for value in batch["data"]}
    found: list[tuple[str, str, str, str]] = []
    for row in sorted(pq.read_table(data).to_pylist(), key=lambda row: (row["package"], row["path"])):
        digest = hashlib.sha256(row["data"]).digest()
        decoded = decode(row["data"])
        if digest in seen or isinstance(decoded, str) or not decoded.text.strip():
            continue
        seen.add(digest)
        found.append((row["label"], row["package"], row["path"], decoded.text))
    return sorted(found)


def piece(text: str, rng: random.Random) -> str:
    """Return some lines of a text, from its start or from anywhere."""
    lines = text.splitlines(keepends=True)
    wanted = rng.randrange(200, 1500)
    at = rng.randrange(len(lines)) if rng.random() < 0.7 else 0
    taken = ""
    while at < len(lines) and len(taken) < wanted:
        taken += lines[at][:wanted]
        at += 1
    return taken


def vocabulary(documents: list[tuple[str, str, list[str], float]], labels: list[str]) -> list[str]:
    """Return the tokens that stand out in some class, in files of several packages."""
    number = {label: index for index, label in enumerate(labels)}
    shares: dict[str, Any] = defaultdict(lambda: np.zeros(len(labels)))
    packages: dict[str, set[str]] = defaultdict(set)
    total = np.zeros(len(labels))
    for label, package, found, weight in documents:
        total[number[label]] += weight
        for token in set(found):
            shares[token][number[label]] += weight
            packages[token].add(package)
    scores: dict[str, float] = {}
    for token, share in shares.items():
        if len(packages[token]) >= 8 and len(token) <= 40 and not (token[0].isdigit() or token[0] == "\n"):
            rates = share / total
            scores[token] = (rates.max() - np.median(rates)) * math.sqrt(min(len(packages[token]), 60) / 60)
    return sorted(scores, key=lambda token: (-scores[token], token))[:WORDS]


def train(files: list[tuple[str, str, str, str]]) -> dict[str, Any]:
    """Return the arrays of the weights' file."""
    rng = random.Random(SEED)
    size = Counter((label, package) for label, package, _, _ in files)
    documents: list[tuple[str, str, list[str], float]] = []
    for label, package, _, text in files:
        weight = 1 / math.sqrt(size[label, package] + 10)
        documents.append((label, package, lexical.tokens(text), weight))
        if len(text) > 600 and len(part := piece(text, rng)) > 120:
            documents.append((label, package, lexical.tokens(part), weight / 2))
    labels = sorted({label for label, *_ in documents})
    words = vocabulary(documents, labels)
    blank = {"words": " ".join(words), "labels": " ".join(labels), "weights": None, "bias": None, "scale": 1}
    known = lexical.from_arrays(blank).words
    buckets = [lexical.features(found, known).astype(np.int32) for _, _, found, _ in documents]
    sizes = np.array([len(found) for found in buckets])
    values = np.repeat((1 / np.sqrt(np.maximum(sizes, 1))).astype(np.float32), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    x = sparse.csr_matrix((values, np.concatenate(buckets), starts), shape=(len(documents), lexical.BUCKETS))
    truth = np.array([labels.index(label) for label, *_ in documents])
    weight = np.array([weight for *_, weight in documents])
    wanted = np.array([1.0 if label in LANGUAGES else 0.6 for label in labels])
    weight *= (wanted / np.bincount(truth, weight))[truth]
    weight = (weight / weight.sum()).astype(np.float32)
    matrix, bias = _fitted(x, truth, weight, len(labels))
    matrix -= matrix.mean(1, keepdims=True)
    scale = np.abs(matrix).max() / 127 / 2  # the few largest are cut: nine in ten are far smaller
    rounded = np.clip(np.round(matrix / scale), -127, 127).astype(np.int8)
    right = (x @ (rounded * np.float32(scale)) + bias).argmax(1) == truth
    print(f"{len(documents):,} documents, {len(words):,} words, {right.mean():.4f} right in training")
    return {
        "labels": np.array(" ".join(labels)),
        "words": np.array(" ".join(words)),
        "weights": rounded,
        "bias": bias,
        "scale": np.float32(scale),
    }


def _fitted(x: Any, truth: Any, weight: Any, classes: int) -> tuple[Any, Any]:
    transposed = x.T.tocsr()
    wanted = np.eye(classes, dtype=np.float32)[truth]
    cells = lexical.BUCKETS * classes

    def loss(values: Any) -> tuple[float, Any]:
        values = values.astype(np.float32)
        matrix, bias = values[:cells].reshape(lexical.BUCKETS, classes), values[cells:]
        logits = x @ matrix + bias
        logits -= logits.max(1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(1, keepdims=True)
        value = float((weight * (np.log(total[:, 0]) - (logits * wanted).sum(1))).sum())
        value += PENALTY * float((matrix.astype(np.float64) ** 2).sum())
        slope = (odds / total - wanted) * weight[:, None]
        gradient = np.concatenate([(transposed @ slope + 2 * PENALTY * matrix).ravel(), slope.sum(0)])
        return value, gradient.astype(np.float64)

    options = {"maxiter": ITERATIONS, "maxcor": 6}
    found = minimize(loss, np.zeros(cells + classes), jac=True, method="L-BFGS-B", options=options)
    values = found.x.astype(np.float32)
    return values[:cells].reshape(lexical.BUCKETS, classes), values[cells:]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--without", type=Path)
    parser.add_argument("--out", type=Path, default=lexical.WEIGHTS)
    given = parser.parse_args()
    if not given.data.exists():
        fetch(given.data)
    np.savez_compressed(given.out, **train(texts(given.data, given.without)))


if __name__ == "__main__":
    main()
