"""Real code to measure on: whole packages, file by file, as one Parquet file.

    python -m tests.benchmark.data --out FILE.parquet [--packages LIST] [--cache DIR]

Rows: `language` (by the registry's endings; null for any other file), `package`, `path`, `data`; sorted by package and
path. `packages.txt` names the packages. Files above 2 MB and what no reader can open are left out; nothing else is.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources import read_sources
from quality.languages import LANGUAGES

PACKAGES = Path(__file__).with_name("packages.txt")
SCHEMA = pa.schema(
    [
        pa.field("language", pa.string()),
        pa.field("package", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("data", pa.binary(), nullable=False),
    ]
)
MAX_FILE_BYTES = 2_000_000
_ROW_GROUP = 1_000


def packages(path: Path = PACKAGES) -> list[str]:
    """Return the specs of a list of packages."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def write(out: Path, cache: Path | None = None, listed: Path = PACKAGES) -> None:
    """Fetch the packages and write their files."""
    language_of = {ending: row.id for row in LANGUAGES.values() for ending in row.extensions}
    sizes: Counter[str] = Counter()
    unfinished = out.with_name(f".{out.name}.partial")
    with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
        rows: list[dict[str, object]] = []
        for read in sorted(read_sources(packages(listed), cache), key=lambda read: read.record.name):
            for file in read.files():
                if len(file.data) > MAX_FILE_BYTES:
                    continue
                language = language_of.get(PurePosixPath(file.path).suffix.lower())
                sizes[language or "other"] += len(file.data)
                rows.append({"language": language, "package": file.repo_name, "path": file.path, "data": file.data})
                if len(rows) == _ROW_GROUP:
                    writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                    rows = []
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    unfinished.replace(out)
    for language, size in sorted(sizes.items()):
        print(f"{language:12} {size / 1e6:8.1f} MB", file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="list of specs, one a line")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write(given.out, given.cache, given.packages)


if __name__ == "__main__":
    main()
