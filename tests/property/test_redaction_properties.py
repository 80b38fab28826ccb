"""What must hold of redaction, whatever the text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import get_plugins, transient_settings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quality.credentials import CREDENTIALS, ESCAPE, PLUGINS, findings, whole_escapes
from quality.redaction import KINDS, RedactionSettings, redact
from tests.benchmark.bench_secrets import REFERENCE_FILTERS
from tests.benchmark.planted import secret_of

SETTINGS = RedactionSettings()
KINDS_OF_PLUGINS = {plugin: kind for kind, plugin in PLUGINS.items()}

made = st.builds(lambda kind, seed: secret_of(kind, Random(seed)), st.sampled_from(CREDENTIALS), st.integers(0, 99))
credentials = st.one_of(
    made.map(lambda one: one.value),
    made.map(lambda one: f'{one.name} = "{one.value}"'),
    made.map(lambda one: one.secret[:-1]),
    made.map(lambda one: one.value.swapcase()),
)
addresses = st.one_of(
    st.sampled_from(
        ["bob@corp.io", "a.b+c@x.co.uk", "é@b.de", "u@example.com", "user1@example.com", "git@host.org:a/b"]
    ),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
GLUE = [
    "\n",
    "\r\n",
    "\r",
    " ",
    "",
    "'",
    '"',
    "`",
    "\\",
    "\\n",
    "\\u00e9",
    "=",
    ":",
    ":=",
    ";",
    "@",
    "/",
    "//",
    "-",
    ".",
    "_",
]
GLUE += [
    "é",
    "中",
    "\u0130",
    "\u0131",
    "\u017f",
    "\u212a",
    "\x0c",
    "\u2028",
    "\x85",
    "0",
    "1",
    "a",
    "K",
    "password",
    "key",
]
GLUE += [
    "api_key = ",
    "secret:",
    "token=",
    "# pragma: allowlist secret",
    "(",
    ")",
    "x",
    "<",
    "{",
    "$",
    "%s",
    "\t",
    "AKIA",
]
GLUE += ["-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----", "MIIE", "n", "\\x41", "_id"]
texts = st.lists(st.one_of(credentials, addresses, st.sampled_from(GLUE), st.text(max_size=8)), max_size=14).map(
    "".join
)
paths = st.sampled_from(["a.py", "a.go", "a.cs", "a.ts", "a.java", ""])


@settings(deadline=None, max_examples=200)
@given(texts, paths, st.sets(st.sampled_from(KINDS)))
def test_redaction_finds_all_at_once_and_changes_nothing_else(text: str, path: str, some: set[str]) -> None:
    for chosen in (SETTINGS, RedactionSettings(kinds=tuple(some))):
        found = redact(text, chosen, path)
        assert found == redact(text, chosen, path)
        if found is None:
            continue
        assert found.spans
        assert redact(found.text, chosen, path) is None
        before, after = 0, 0
        for span in found.spans:
            length = span.start - after
            assert length >= 0
            assert found.text[after : span.start] == text[before : before + length]
            original = text[before + length : before + length + span.length]
            written = found.text[span.start : span.end]
            assert written != original
            assert span.kind in chosen.kinds
            before, after = before + length + span.length, span.end
            assert span.detector == ("detect-secrets" if span.kind in PLUGINS else "polymix")
            if span.kind in CREDENTIALS:
                assert len(written) == span.length
                assert whole_escapes(text, before - span.length, before) == (before - span.length, before)
                assert ESCAPE.findall(written) == ESCAPE.findall(original)
                assert [c for c in written if not c.isalnum()] == [c for c in original if not c.isalnum()]
            else:
                assert written.isascii()
        assert found.text[after:] == text[before:]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(deadline=None, max_examples=80)
@given(texts.filter(lambda text: "\0" not in text), st.sampled_from(["a.py", "a.go", "a.cs", "a.js", "a.java"]))
@example("PA\u017f\u017fWORD = 'hunter2'\n\u0130api_\u212aey = 'hunter2'", "a.py")
def test_findings_are_the_detector_s_own_whatever_the_text(folder: Path, text: str, path: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    text = f"x\n{text}"  # what begins like a section of an .ini file is read as one
    file = folder / path
    file.write_text(text, encoding="utf-8", newline="")
    filters = [{"path": name} for name in REFERENCE_FILTERS]
    with transient_settings({"plugins_used": [{"name": name} for name in KINDS_OF_PLUGINS], "filters_used": filters}):
        kinds = {plugin.secret_type: KINDS_OF_PLUGINS[type(plugin).__name__] for plugin in get_plugins()}
        expected = {(secret.line_number, kinds[secret.type]) for secret in scan_file(str(file))}
    lines = text.replace("\r\n", "\n\0").replace("\r", "\n")  # as long as the text
    found = findings(text, path, PLUGINS)
    assert {(lines.count("\n", 0, one.start) + 1, one.kind) for one in found} == expected
