"""The summary of the demo: one screen of 100 columns, in names that people read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.demo import WIDTH, summary
from quality.languages import LANGUAGES

STAGES = ("corpus", "pairs", "tokens", "shards", "runs", "laws", "allocation", "report")


def test_the_summary_is_one_screen_and_names_languages(tmp_path: Path) -> None:
    share = 0.99 / len(LANGUAGES)
    words = [f"these shares are in doubt: {', '.join(row.name for row in LANGUAGES.values())}"] * 4
    manifests: dict[str, dict[str, Any]] = {
        "corpus": {
            "documents": 8605,
            "bytes": 46_600_000,
            "files_seen": 10_461,
            "languages": {language: {"documents": 1000, "bytes": 5_000_000} for language in LANGUAGES},
        },
        "pairs": {
            "pairs": 314,
            "candidates": {"equivalent": 352, "different": 1349},
            "pairs_by_language": {"java": 49},
        },
        "runs": {"finished": 63, "tokens": 9_600_000},
    }
    for kind, counts in manifests.items():
        (tmp_path / kind).mkdir()
        manifest: dict[str, Any] = {"kind": kind, "fingerprint": "f", "command": "c", "identity": {}, "counts": counts}
        if kind == "pairs":
            manifest["identity"] = {"settings": {"pivot": "java"}}
        (tmp_path / kind / "manifest.json").write_text(json.dumps(manifest))
    answer = {
        "shares": {**dict.fromkeys(LANGUAGES, share), "pair:python-go": 0.01},
        "intervals": {"shares": {language: [0.1, 0.2] for language in LANGUAGES}},
        "gain": 0.00648,
        "unit": "bits_per_byte",
        "words": words,
    }
    (tmp_path / "allocation").mkdir()
    (tmp_path / "allocation" / "allocation.json").write_text(json.dumps(answer))
    stages = [{"stage": stage, "seconds": 123.4} for stage in STAGES]
    text = summary(tmp_path, stages, Path("report.html"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= 40
    (pivot,) = (line for line in lines if line.startswith("Java "))
    assert pivot.split()[3] == "pivot"
    assert pivot.split()[4:6] == ["14.1%", "14.1%"]
    assert [line.split() for line in lines if line.startswith("beside")] == [["beside", "them", "1.0%", "settled"]]
    assert text.count("- these shares are in doubt: Python, Java") == len(words)
    assert "+0.00648 bits per byte saved over uniform" in text
    assert "report 123 s" in text
    assert lines[-1] == "report: report.html"
