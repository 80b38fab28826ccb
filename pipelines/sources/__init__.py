"""Where code comes from: a source is named in one line, pinned by a checksum, and read file by file.

Start at `read_sources` (`reading`): it checks every source (and lists every mistake) before the first file is handed
out; `read_source` does the same for one. What comes back is a `SourceRead`: its `record` is the row of
`sources.parquet`, its `files()` yields `RawFile`s sorted by path, always the same ones for the same bytes, and its
`skipped` is everything else with the reason: together they are every file of the source, each once. Nothing that is
read is run: archives are listed and unpacked in memory, git repositories are read from their objects, packages are
downloaded and never installed.

`specs` takes the line apart. A module each says what a kind of source holds: `folders`, `repositories`, `packed`
(archives, packages), `tables` (rows, and what their columns mean). `placed` says which licence holds where,
`provenance` what else is known of a file. A spec is one of:

    src/                     a folder (only Parquet or only JSON Lines inside: a dataset)
    repo/  git+URL@REV       a git repository at a commit (a folder with .git: its HEAD; `folder:repo/` reads the disk)
    a.tar.gz  a.zip  a.whl   an archive (tar, tar.gz, tar.bz2, tar.xz, tar.zst, zip, whl, jar, nupkg, crate, tgz, deb)
    a.jsonl  a.parquet       rows with `content` or `text`, and `path`, `repo_name`, ... as in The Stack
    s3a://...  hdfs://...    a table that Spark reads where it lies
    pypi:NAME==VERSION       npm:NAME@VERSION       deb:NAME=VERSION       deb-src:NAME=VERSION
"""

from __future__ import annotations

from pipelines.archives import Skipped
from pipelines.sources.files import RawFile
from pipelines.sources.reading import SourceRead, SourceRecord, default_cache, read_source, read_sources
from pipelines.sources.specs import Source, Spec, is_remote_table, parse_spec, table_kind
from pipelines.sources.tables import TableColumns, files_of_batches, table_columns
from quality.provenance import PROVENANCE_FIELDS, Provenance

__all__ = [
    "PROVENANCE_FIELDS",
    "Provenance",
    "RawFile",
    "Skipped",
    "Source",
    "SourceRead",
    "SourceRecord",
    "Spec",
    "TableColumns",
    "default_cache",
    "files_of_batches",
    "is_remote_table",
    "parse_spec",
    "read_source",
    "read_sources",
    "table_columns",
    "table_kind",
]
