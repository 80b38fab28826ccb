"""Take credentials and personal data out of a text, so that it still parses, and say where they stood.

Start at `redact`; `checked` then tells whether the text still is a program. `quality.credentials` finds credentials,
`quality.personal_data` addresses; here is what stands in their place:

- in a credential every letter and digit becomes `0`, escapes left out: length, separators and quotes stay; so it does
  wherever else in the text the credential stands;
- an e-mail address becomes `user1@example.com`, the next one `user2@example.com` (RFC 2606);
- a public IPv4 address becomes `192.0.2.1`, `192.0.2.2` ... (RFC 5737), an IPv6 address `2001:db8::1` (RFC 3849).

What always holds: the same address becomes the same one throughout a text, and different ones stay different; the text
outside the spans is unchanged; nothing is found in a redacted text; nothing of what was removed is kept but its kind,
place and length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from quality.credentials import CREDENTIALS, ESCAPE, PLUGINS, findings, follows_word, whole_escapes
from quality.filters import Rejected
from quality.personal_data import addresses, emails
from quality.syntax import TooCostly, parse

REDACTION_VERSION = 1
"""Goes up with any change that may redact a text differently; part of what a corpus depends on."""

KINDS = (*CREDENTIALS, "email", "ipv4", "ipv6")

BROKE_SYNTAX = "redaction_broke_syntax"

SPAN_TYPE = pa.list_(
    pa.struct(
        [
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("kind", pa.string(), nullable=False),
            pa.field("detector", pa.string(), nullable=False),
            pa.field("length", pa.int32(), nullable=False),
        ]
    )
)
"""The spans of a document as a column; a row is `dataclasses.asdict` of each `Span`."""


class RedactionSettings(BaseModel):
    """What is taken out of texts.

    Args:
        kinds: Of `KINDS`. `keyword` is a value that was made at random (both of letters and digits, in quotes) and is
            given to a name such as `api_key`; the other credentials are told by their format. Source: the plugins of
            detect-secrets 1.5.0, without its two of high entropy and its own of IP addresses, and formats that it does
            not know (see `quality.credentials`); e-mail and IP addresses as in the redaction of The Stack (StarCoder,
            Li et al. 2023, arXiv 2305.06161, section 4), which also removed names, for which a model is needed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kinds: tuple[str, ...] = Field(default=KINDS, strict=False)

    @field_validator("kinds")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in value if kind not in KINDS]
        if unknown:
            raise ValueError(f"no kinds of redaction: {', '.join(unknown)}; known: {', '.join(KINDS)}")
        return tuple(kind for kind in KINDS if kind in value)


@dataclass(frozen=True)
class Span:
    """Where something was taken out.

    Args:
        start: First character of what stands there now, counted in the redacted text (code points, from 0).
        end: Character behind it.
        kind: One of `KINDS`.
        detector: `detect-secrets` or `polymix`.
        length: Characters of what stood there before.
    """

    start: int
    end: int
    kind: str
    detector: str
    length: int


@dataclass(frozen=True)
class Redacted:
    """A text without what was taken out of it.

    Args:
        text: The text.
        spans: Where something was taken out, in order, none within another.
    """

    text: str
    spans: tuple[Span, ...]


_MOST_PASSES = 8
"""A line's answer can depend on another credential in it; two passes were the most ever seen."""


def redact(text: str, settings: RedactionSettings, path: str = "") -> Redacted | None:
    """Return a text without credentials and personal data, or None if nothing was found.

    Args:
        text: The source text.
        settings: What is taken out.
        path: The file's name, whose ending tells how values are given to names.
    """
    credentials, personal = _split(settings.kinds)
    blanked = text
    removed: list[tuple[int, int, str]] = []
    for _ in range(_MOST_PASSES):
        found = [
            (start, end, finding.kind)
            for finding in findings(blanked, path, credentials)
            for start, end in finding.secrets
        ]
        spans = list(_apart(found))
        if not spans:
            break
        values = {blanked[start:end]: kind for start, end, kind in spans}
        blanked = _blanked(blanked, spans)
        copies = list(_apart([copy for value, kind in values.items() for copy in _copies(blanked, value, kind)]))
        blanked = _blanked(blanked, copies)
        removed += spans + copies
    # Blanking changes no length, so that all passes count characters alike.
    spans = list(_apart([*removed, *_personal(blanked, personal)]))
    return _recorded(blanked, spans) if spans else None


@cache
def _split(kinds: tuple[str, ...]) -> tuple[tuple[str, ...], frozenset[str]]:
    return tuple(kind for kind in kinds if kind in CREDENTIALS), frozenset(kinds) - frozenset(CREDENTIALS)


def _apart(spans: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Yield spans in order, those that overlap as one, of the kind of personal data if one is."""
    current: tuple[int, int, str] | None = None
    for start, end, kind in sorted(spans):
        if current is None or start >= current[1]:
            if current is not None:
                yield current
            current = start, end, kind
        else:
            current = current[0], max(end, current[1]), kind if current[2] in CREDENTIALS else current[2]
    if current is not None:
        yield current


def _personal(text: str, kinds: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    if "email" in kinds:
        for start, end in emails(text):
            yield start, end, "email"
    if "ipv4" in kinds or "ipv6" in kinds:
        for start, end, kind in addresses(text):
            if kind in kinds:
                yield start, end, kind


_LETTER = re.compile(rf"({ESCAPE.pattern})|[^\W_]", re.DOTALL)


def _blank(secret: str) -> str:
    return _LETTER.sub(lambda match: match.group(1) or "0", secret)


def _blanked(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    last = 0
    for start, end, _ in spans:
        parts += [text[last:start], _blank(text[start:end])]
        last = end
    return "".join([*parts, text[last:]])


_SHORTEST_COPY = 12
"""Characters of a credential that are looked for elsewhere too: fewer may be a word that stands there for itself."""


_WORD = re.compile(r"\w")


def _copies(text: str, value: str, kind: str) -> Iterator[tuple[int, int, str]]:
    """Yield where a credential that was taken out still stands by itself."""
    if len(value) < _SHORTEST_COPY:
        return
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        span = whole_escapes(text, start, end)
        if span and not follows_word(text, start, "_") and _WORD.match(text, end) is None:
            yield *span, kind
        start = text.find(value, end)


def _recorded(text: str, found: Sequence[tuple[int, int, str]]) -> Redacted:
    """Replace the addresses in a text whose credentials are blanked, and count all spans in the result."""
    names = _Names(text)
    parts: list[str] = []
    spans: list[Span] = []
    last = written = 0
    for start, end, kind in found:
        old = text[start:end]
        new = old if kind in CREDENTIALS else names.of(old, kind)
        parts += [text[last:start], new]
        written += start - last
        detector = "detect-secrets" if kind in PLUGINS else "polymix"
        spans.append(Span(written, written + len(new), kind, detector, len(old)))
        written += len(new)
        last = end
    return Redacted("".join([*parts, text[last:]]), tuple(spans))


_RESERVED = re.compile(r"user\d+@example\.com|(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+|2001:db8::[0-9a-f]+", re.I)


class _Names:
    """What stands for each address of one text: names that are reserved and do not stand in it already."""

    def __init__(self, text: str) -> None:
        self._known: dict[str, str] = {}
        self._taken = {match.group().lower() for match in _RESERVED.finditer(text)}
        self._unused = {
            "email": (f"user{number}@example.com" for number in count(1)),
            "ipv4": (
                f"{net}.{host}" for net in cycle(["192.0.2", "198.51.100", "203.0.113"]) for host in range(1, 255)
            ),
            "ipv6": (f"2001:db8::{number:x}" for number in count(1)),
        }

    def of(self, address: str, kind: str) -> str:
        """Return the name of an address, the same each time."""
        key = address.lower()
        if key not in self._known:
            self._known[key] = next(self._free(kind))
        return self._known[key]

    def _free(self, kind: str) -> Iterator[str]:
        for skipped, name in enumerate(self._unused[kind]):
            if name not in self._taken or skipped >= _IPV4_NAMES:
                yield name


_IPV4_NAMES = 3 * 254
"""More different IPv4 addresses than that in one text begin to share names."""


def checked(
    text: str, redacted: Redacted, language_id: str, extension: str = "", error_ratio: float | None = None
) -> Rejected | None:
    """Return that a text is no longer the program it was once it is redacted, or None.

    Args:
        text: The text before.
        redacted: What `redact` returned for it.
        language_id: Its language.
        extension: The file name ending, as in `quality.syntax.parse`.
        error_ratio: What the parser said of the text before; it is parsed anew if None.

    Raises:
        TooCostly: The text before cannot be parsed.
    """
    if error_ratio is None:
        error_ratio = parse(text, language_id, extension).error_ratio
    before = error_ratio * _bytes(text)
    try:
        after = parse(redacted.text, language_id, extension).error_ratio * _bytes(redacted.text)
    except TooCostly as error:
        return Rejected(BROKE_SYNTAX, str(error))
    # Where a span lies in a part that did not parse before either, that part grows with it.
    grown = sum(max(0, span.end - span.start - span.length) for span in redacted.spans) if before else 0
    if after > before + grown + 0.5:  # the ratios are rounded
        return Rejected(BROKE_SYNTAX, f"{after:.0f} > {before:.0f} bytes that do not parse")
    return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
