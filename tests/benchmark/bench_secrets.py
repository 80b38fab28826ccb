"""Credentials and personal data in real code: ours beside the bare detector beneath it, findings beside speed.

    python -m tests.benchmark.bench_secrets [--data FILE] [--megabytes N] [--files N] [--out FILE.json]

DATA is what `tests.benchmark.data` writes. `bare` is detect-secrets' `scan_file`, one file after the other in one
process as its command does for each of its workers: with all of its plugins and default filters, and with the plugins
that `quality.credentials` asks. Both see the same files: of the seven languages, as a corpus would keep them (no line
over 1,000 characters). `findings` is the same question asked our way; `redact` also looks for e-mail and IP addresses
and replaces what it finds.

Findings are compared as (file, line, kind), on files with planted credentials and on real files as they are. The
reference is the detector with its default filters but two: the one that drops every line like
`client = connect("...")`, with which a token that is handed to a function is missed, and the one that drops lines with
a comment such as `pragma: allowlist secret`. The kinds that the detector does not know are ours alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings, transient_settings

from quality.credentials import CREDENTIALS, PLUGINS, findings
from quality.redaction import RedactionSettings, checked, redact
from tests.benchmark.planted import FORMS, line_of, secret_of

LONGEST_LINE = 1_000
HITS = 150
"""Of all files in which ours finds something, so many of the smallest are also read by the bare detector."""
SETTINGS = RedactionSettings()
REFERENCE_FILTERS = [
    f"detect_secrets.filters.heuristic.{name}"
    for name in (
        "is_likely_id_string", "is_lock_file", "is_not_alphanumeric_string", "is_potential_uuid",
        "is_prefixed_with_dollar_sign", "is_sequential_string", "is_swagger_file", "is_templated_secret",
    )
]  # fmt: skip
FILTERS = [
    "detect_secrets.filters.allowlist.is_line_allowlisted",
    "detect_secrets.filters.heuristic.is_indirect_reference",
    *REFERENCE_FILTERS,
]

Row = tuple[str, str, str]  # language, file name, text
Found = set[tuple[str, int, str]]  # file name, line, kind


def real_files(data: Path) -> list[Row]:
    """Return the files of the seven languages that a corpus could keep, in a random order that is always the same."""
    table = pq.read_table(data, columns=["language", "path", "data"])
    table = table.filter(pc.is_valid(table["language"]))
    rows: list[Row] = []
    for place in np.random.default_rng(17).permutation(table.num_rows):
        language, path, blob = (table[name][int(place)].as_py() for name in ("language", "path", "data"))
        try:
            text = blob.decode()
        except UnicodeDecodeError:
            continue
        if text and max(map(len, text.splitlines() or [""])) <= LONGEST_LINE:
            rows.append((language, f"{len(rows):06d}{PurePosixPath(path).suffix.lower()}", text))
    return rows


def written(rows: Sequence[Row], folder: Path) -> Path:
    folder.mkdir()
    for _, name, text in rows:
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def kinds_of_types() -> dict[str, str]:
    kinds = {plugin: kind for kind, plugin in PLUGINS.items()}
    return {
        secret_type: kinds.get(plugin.__name__, plugin.__name__)
        for secret_type, plugin in get_mapping_from_secret_type_to_class().items()
    }


def bare(folder: Path, names: Iterable[str]) -> Found:
    """Return the detector's findings under the settings that hold."""
    kinds = kinds_of_types()
    return {
        (name, secret.line_number, kinds[secret.type]) for name in names for secret in scan_file(str(folder / name))
    }


def configured(filters: Iterable[str]) -> dict[str, Any]:
    return {
        "plugins_used": [{"name": plugin} for plugin in PLUGINS.values()],
        "filters_used": [{"path": path} for path in filters],
    }


def reference(folder: Path, names: Sequence[str]) -> Found:
    """Return what the detector finds without its filters of indirect references and of allowed lines."""
    with transient_settings(configured(REFERENCE_FILTERS)):
        return bare(folder, names)


def ours(rows: Iterable[Row]) -> Found:
    return {
        (name, text.count("\n", 0, found.start) + 1, found.kind)
        for _, name, text in rows
        for found in findings(text, name)
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return CPU seconds, and what the work returned."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def speed(rows: Sequence[Row], megabytes: float, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return rows of speed, and how the findings on real code compare."""
    sample: list[Row] = []
    size = 0.0
    for row in rows:
        if size >= megabytes:
            break
        sample.append(row)
        size += len(row[2].encode()) / 1e6
    names = [name for _, name, _ in sample]
    place = written(sample, folder)
    findings('x = ""')
    table: list[dict[str, Any]] = []

    def add(system: str, files: Sequence[Row], work: Callable[[], Any]) -> Any:
        cpu, result = timed(work)
        total = sum(len(text.encode()) for _, _, text in files) / 1e6
        table.append({"system": system, "files": len(files), "mb": round(total, 2), "cpu_s": round(cpu, 3)})
        table[-1]["mb_per_cpu_s"] = round(total / cpu, 3)
        return result

    with default_settings():
        every = add("bare, all 27 plugins", sample, lambda: bare(place, names))
    with transient_settings(configured(FILTERS)):
        add(f"bare, the same {len(PLUGINS)} plugins", sample, lambda: bare(place, names))
    mine = add("findings", sample, lambda: ours(sample))
    add("redact", sample, lambda: [redact(text, SETTINGS, name) for _, name, text in sample])
    everywhere = add("findings", rows, lambda: [findings(text, name) for _, name, text in rows])
    redacted = add("redact", rows, lambda: [redact(text, SETTINGS, name) for _, name, text in rows])
    base = next(row["mb_per_cpu_s"] for row in table if "same" in row["system"])
    for row in table:
        row["ratio"] = round(row["mb_per_cpu_s"] / base, 1)
    hits = sorted((row for row, found in zip(rows, everywhere, strict=True) if found), key=lambda row: len(row[2]))
    hits = hits[:HITS]
    expected = reference(place, names) | reference(written(hits, folder.with_name("hits")), [row[1] for row in hits])
    mine |= ours(hits)
    spans = Counter(span.kind for one in redacted if one for span in one.spans)
    broken = [
        name
        for (language, name, text), one in zip(rows, redacted, strict=True)
        if one and checked(text, one, language, PurePosixPath(name).suffix)
    ]
    compared = {
        "set": "real code",
        "files": len(sample) + len(hits),
        "bare": len(expected),
        "ours": len(mine),
        "bare_all_plugins": dict(Counter(kind for _, _, kind in every).most_common()),
        "only_bare": sorted(expected - mine),
        "only_ours": sorted(mine - expected),
        "redacted_files": sum(one is not None for one in redacted),
        "spans": dict(spans.most_common()),
        "no_longer_parse": len(broken),
    }
    return table, compared


def planted(rows: Sequence[Row], files: int, folder: Path) -> list[dict[str, Any]]:
    """Plant every kind in every form into real files, and return what was found of each kind."""
    random = Random(17)
    truth: dict[tuple[str, int, str], str] = {}
    holders: list[Row] = []
    for language, name, text in [row for row in rows if 20 <= row[2].count("\n") <= 400][:files]:
        lines = text.split("\n")
        new = [(random.randrange(len(lines)), secret_of(kind, random), form) for kind in CREDENTIALS for form in FORMS]
        secrets = {}
        for place, made, form in sorted(new, key=lambda one: -one[0]):
            line = line_of(made, form, language)
            lines.insert(place, line)
            secrets[line] = made
        truth |= {
            (name, number, secrets[line].kind): secrets[line].secret
            for number, line in enumerate(lines, 1)
            if line in secrets
        }
        holders.append((language, name, "\n".join(lines)))
    names = [name for _, name, _ in holders]
    place = written(holders, folder)
    with default_settings():
        default = bare(place, names)
    expected, mine = reference(place, names), ours(holders)
    texts = {name: redact(text, SETTINGS, name) for _, name, text in holders}
    gone = Counter(
        kind
        for (name, _, kind), secret in truth.items()
        if texts[name] and secret not in texts[name].text  # type: ignore[union-attr]
    )
    table = []
    for kind in CREDENTIALS:
        wanted = {key for key in truth if key[2] == kind}
        table.append(
            {
                "kind": kind,
                "planted": len(wanted),
                "bare_default": len(wanted & default),
                "bare": len(wanted & expected),
                "ours": len(wanted & mine),
                "redacted": gone[kind],
                "differ": len({key for key in expected ^ mine if key[2] == kind}),
            }
        )
    return table


LONG_LINES: Mapping[str, str] = {
    "names": 'a.password=b["secret"],' * 10_000,
    "minified": 'var a={password:"b",c:function(d){return"e"==d.secret&&f("http://g/:")}};' * 3_000,
    "spaces": "# " + " " * 200_000 + "x",
    "base64": '"' + "QUtJQUFCQ0RFRkdISUpLTE1OT1A" * 8_000 + '"',
}
_SECONDS = 60


def long_lines(folder: Path) -> list[dict[str, Any]]:
    """Return how long one line of 200 kB and more takes."""
    folder.mkdir()
    program = (
        "import sys\nfrom detect_secrets.core.scan import scan_file\n"
        "from detect_secrets.settings import default_settings\n"
        "with default_settings(): print(len(list(scan_file(sys.argv[1]))))"
    )
    table = []
    for name, text in LONG_LINES.items():
        path = folder / f"{name}.js"
        path.write_text(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            subprocess.run([sys.executable, "-c", program, path], timeout=_SECONDS, check=True, capture_output=True)
            stopped = False
        except subprocess.TimeoutExpired:
            stopped = True
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu, _ = timed(lambda text=text: redact(text, SETTINGS, "a.js"))
        bare_cpu = after.ru_utime - before.ru_utime
        table.append({"line": name, "kb": len(text) // 1000, "bare_cpu_s": round(bare_cpu, 2), "bare_stopped": stopped})
        table[-1]["ours_cpu_s"] = round(cpu, 3)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=5.0, help="how much the bare detector reads")
    parser.add_argument("--files", type=int, default=20, help="files that are planted")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = real_files(given.data)
    with tempfile.TemporaryDirectory() as root:
        table, compared = speed(rows, given.megabytes, Path(root) / "real")
        kinds = planted(rows, given.files, Path(root) / "planted")
        long = long_lines(Path(root) / "long")
    print(f"{'system':28}{'files':>8}{'MB':>9}{'CPU s':>9}{'MB/CPU-s':>10}{'ratio':>8}")
    for row in table:
        print("{:28}{:>8,}{:>9.2f}{:>9.2f}{:>10.2f}{:>8.1f}".format(*row.values()))
    print(f"\n{'planted':16}{'planted':>9}{'bare':>7}{'reference':>11}{'ours':>7}{'redacted':>10}{'differ':>8}")
    for row in kinds:
        print("{:16}{:>9}{:>7}{:>11}{:>7}{:>10}{:>8}".format(*row.values()))
    sums = [sum(row[key] for row in kinds) for key in list(kinds[0])[1:]]
    print("{:16}{:>9}{:>7}{:>11}{:>7}{:>10}{:>8}".format("all", *sums))
    print(f"\nreal code: {json.dumps(compared)}")
    print(f"\n{'one line of':16}{'kB':>6}{'bare CPU s':>12}{'ours':>9}")
    for row in long:
        stopped = ">" if row["bare_stopped"] else ""
        print(f"{row['line']:16}{row['kb']:>6}{stopped + str(row['bare_cpu_s']):>12}{row['ours_cpu_s']:>9.3f}")
    if given.out:
        result = {"speed": table, "planted": kinds, "real": compared, "long_lines": long}
        given.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
