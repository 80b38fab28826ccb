r"""Where does a text hold credentials? The answers of a maintained detector, asked of few lines only.

Start at `findings`. detect-secrets knows most formats; it is asked of a line only where a pattern of ours (`_Detector`)
says that it could answer at all. Such a pattern allows more than the detector's own and starts with a rare literal,
which the pattern engine skips to at gigabytes a second, so a text without credentials costs some forty quick passes.
The formats that it lacks have patterns of ours alone (`_FORMATS`).

What always holds:

- A line has the findings that the detector has for it, with its default filters but those by file name (`.svg`,
  `swagger`), the one that drops every line like `client = connect("...")`, in which tokens are most often handed
  over, and the one for comments such as `pragma: allowlist secret`: what an owner accepts in a repository is not
  thereby meant to be published in a corpus. Nothing is verified, so nothing is sent anywhere.
- A line longer than `LONGEST_LINE` is given to the detector in overlapping pieces around what our patterns found:
  the detector's own patterns take minutes for a long line.
- A finding says exactly where it stands and which characters are the secret. No secret starts or ends within an
  escape such as `\n`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

LONGEST_LINE = 4096
"""Characters of a line that the detector sees at once: far more than any credential, few enough for its patterns, which
take time with the square of the length."""

_LONGEST_ASSIGNMENT = 1024
"""Characters of a longer line that are searched at once for assignments: those patterns are the slow ones."""
_LONGEST_PRIVATE_KEY = 32_768
"""Characters. An RSA key of 16,384 bits, far beyond use, takes 12,700 in PEM."""

# What stands between a name and its value in the detector's assignments; and words that such a name ends with.
_IS = r"[\"']?\]? *(?:=|:|:=|=>| +|::) *[\"']?"
_KEY_OR_PASS = "(?:key|pwd|pw|password|pass|token)"
# What stands behind a name in the detector's other assignments: `name = `, `name[]: `, `name("`, `name, "value";`.
_GIVEN = (
    r"(?:[\w\[\]'\"]{0,300}[^\S\n\r]*[:=!]|\w{0,300}(?:.assign)?\(\""
    r"|\S{0,300}?[^\S\n\r]*['\"`][^'\"\n\r]{0,4096}['\"`];)"
)
_TOKEN_TAIL = r"[\w-]*"


@dataclass(frozen=True)
class _Detector:
    """One plugin of detect-secrets, and what is needed to ask it seldom and to find its span.

    Args:
        plugin: Module and class below `detect_secrets.plugins`.
        anchors: Each finding's line has a match of one of these, and of the group in it. All start with a literal.
        folded: The same, for a text in lower case.
        secret: The part of what the plugin reports that is the secret; all of it if empty.
        tail: What still belongs to the secret behind what the plugin reports.
        bounded: Whether letters or digits next to it show that it is a part of something else, such as a hash.
    """

    plugin: str
    anchors: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    secret: str = ""
    tail: str = ""
    bounded: bool = False


_DETECTORS: Mapping[str, _Detector] = {
    "artifactory": _Detector(
        "artifactory:ArtifactoryDetector",
        (r"AKC[a-zA-Z0-9]{10}", r"AP[\dA-F][a-zA-Z0-9]{8}"),
        secret=r"A[KP]\w+",
        bounded=True,
    ),
    "aws": _Detector(
        "aws:AWSKeyDetector",
        (r"A(?:KIA|SIA|BIA|CCA|3T[A-Z0-9])[0-9A-Z]{16}",),
        (rf"aws.{{0,20}}?{_KEY_OR_PASS}.{{0,20}}?['\"][0-9a-z/+]{{40}}['\"]",),
        bounded=True,
    ),
    "azure": _Detector("azure_storage_key:AzureStorageKeyDetector", (r"AccountKey=[\w+/=]{88}",), secret=r"(?<==).+"),
    "basic_auth": _Detector(
        "basic_auth:BasicAuthDetector", (r"://[^:/?#\[\]@!$&'()*+,;=\s]+:[^:/?#\[\]@!$&'()*+,;=\s]+@",)
    ),
    "cloudant": _Detector(
        "cloudant:CloudantDetector",
        folded=(rf"cl(?:oudant\.com|(?:ou(?:dant)?)?[_-]?(?:api)?{_KEY_OR_PASS}{_IS}[a-z0-9]{{24}})",),
    ),
    "discord": _Detector("discord:DiscordBotTokenDetector", (r"\.(?<=[\w-]{23}\.)[\w-]{6}\.[\w-]{27}",), bounded=True),
    "github": _Detector("github_token:GitHubTokenDetector", (r"gh[pousr]_[A-Za-z0-9_]{36}",), tail=_TOKEN_TAIL),
    "gitlab": _Detector(
        "gitlab_token:GitLabTokenDetector",
        (r"gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-[\w-]{20}", r"GR1348941[\w-]{20}"),
        tail=_TOKEN_TAIL,
    ),
    "ibm_cloud": _Detector(
        "ibm_cloud_iam:IbmCloudIamDetector",
        folded=tuple(
            rf"{name}{_IS}[a-z0-9_\-]{{44}}(?![a-z0-9_\-])" for name in ("key", "p(?:wd|ass(?:word)?)", "token")
        ),
    ),
    "ibm_cos": _Detector(
        "ibm_cos_hmac:IbmCosHmacDetector", folded=(rf"secret[-_]?(?:access)?[-_]?key{_IS}[a-f0-9]{{48}}",)
    ),
    "jwt": _Detector("jwt:JwtTokenDetector", (r"eyJ[\w=-]+(\.[\w=-])?",), tail=r"[\w=-]*(?:\.[\w=-]+)*"),
    "keyword": _Detector(
        "keyword:KeywordDetector",
        folded=(
            *(rf"{name}{_GIVEN}" for name in ("passw(?:or)?d", "pwd", "secret", "contrase(?:n|ñ)a")),
            rf"key(?:(?<=(?:ce|db|iv|nt|pi|se|te|th)key)|(?<=(?:ce|db|iv|nt|pi|se|te|th)_key)){_GIVEN}",
            rf"pass(?:(?<=(?:db|ey|se)pass)|(?<=(?:db|ey|se)_pass)){_GIVEN}",
            *(rf"{compared}[^\S\n\r]*\w*?(?:pass|pwd|secret|key|contrase)" for compared in ("==", "!=")),
        ),
    ),
    "mailchimp": _Detector("mailchimp:MailchimpDetector", (r"-(?<=[0-9a-z]{32}-)us\d",), bounded=True),
    "npm": _Detector("npm:NpmDetector", (r"/:_authToken=",), secret=r"^[\w-]+"),
    "openai": _Detector("openai:OpenAIDetector", (r"T3BlbkFJ[A-Za-z0-9]{20}",), tail=_TOKEN_TAIL),
    "private_key": _Detector(
        "private_key:PrivateKeyDetector",
        (r"BEGIN (?:(?:DSA|EC|OPENSSH|PGP|RSA|SSH2 ENCRYPTED) )?PRIVATE KEY", "PuTTY-User-Key-File-2"),
    ),
    "pypi": _Detector(
        "pypi_token:PypiTokenDetector", (r"pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)",), tail=_TOKEN_TAIL
    ),
    "sendgrid": _Detector("sendgrid:SendGridDetector", (r"SG\.[\w-]{22}\.[\w-]{43}",), tail=_TOKEN_TAIL),
    "slack": _Detector(
        "slack:SlackDetector",
        folded=(r"xox[abpors]-\d", r"hooks\.slack\.com/services/t"),
        secret=r"(?<=services/).+|^xox.+",
        tail=_TOKEN_TAIL,
    ),
    "softlayer": _Detector(
        "softlayer:SoftlayerDetector",
        folded=(
            rf"sl[_-]?(?:api)?[_-]?{_KEY_OR_PASS}{_IS}[a-z0-9]{{64}}",
            rf"softlayer(?:.com/soap/v3|[_-]?(?:api)?[_-]?{_KEY_OR_PASS}{_IS}[a-z0-9]{{64}})",
        ),
    ),
    "square": _Detector("square_oauth:SquareOAuthDetector", (r"sq0csp-[0-9A-Za-z\\_-]{43}",), tail=_TOKEN_TAIL),
    "stripe": _Detector("stripe:StripeDetector", (r"k_live_(?<=[rs]k_live_)[0-9a-zA-Z]{24}",), tail=_TOKEN_TAIL),
    "telegram": _Detector("telegram_token:TelegramBotTokenDetector", (r":(?<=\d{8}:)[\w-]{35}",), bounded=True),
    "twilio": _Detector("twilio:TwilioKeyDetector", (r"AC[a-z0-9]{32}", r"SK[a-z0-9]{32}"), bounded=True),
}

PLUGINS: Mapping[str, str] = {kind: detector.plugin.partition(":")[2] for kind, detector in _DETECTORS.items()}
"""The class of detect-secrets that finds each kind."""


@dataclass(frozen=True)
class _Format:
    """A format of credentials that detect-secrets 1.5.0 does not know.

    Args:
        literal: How a credential begins; a text that does not hold it is not searched for more.
        prefix: What follows of what all of them have.
        rest: What follows that, different in each.
        classes: Characters of each class are in the rest of every credential that was made at random.
    """

    literal: str
    prefix: str
    rest: str
    classes: tuple[str, ...] = ("[a-z]", "[A-Z]", r"\d")


_FORMATS: Mapping[str, _Format] = {
    "anthropic": _Format("sk-", "ant-", r"[\w-]{40,}"),
    "github_fine_grained": _Format("github_pat_", "", "[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    "google_api_key": _Format("AIza", "", r"[\w-]{35}"),
    "hugging_face": _Format("hf_", "", "[A-Za-z0-9]{34}", classes=("[a-z]", "[A-Z]")),  # most are of letters alone
    "openai_project": _Format("sk-", "(?:proj|svcacct|admin)-", r"[\w-]{40,}"),
}
_FEWEST_CHARACTERS = 12
"""Different characters that the rest of a credential has at least: of 34 drawn from 52 letters, 25 are expected."""

CREDENTIALS = (*_DETECTORS, *_FORMATS)
"""The kinds that can be found: `_FORMATS`, and every plugin of detect-secrets 1.5.0 but three. The two of high entropy
gave 93 findings in 25 MB of real packages, of which two were keys, and those are found by `keyword` as well; the others
were checksums, revisions and test vectors. `IPPublicDetector` takes versions and object identifiers for addresses, for
which `quality.personal_data` has rules."""


@dataclass(frozen=True)
class Finding:
    """One answer of the detector, or one credential of a format of ours.

    Args:
        kind: One of `CREDENTIALS`.
        start: First character of what was found; it lies in one line.
        end: Character behind it.
        secrets: Character ranges (start, end exclusive) that hold the secret itself. Empty where what was found is
            none: a variable in a template, a key's first line without the key, a part of a longer run of letters.
    """

    kind: str
    start: int
    end: int
    secrets: tuple[tuple[int, int], ...]


def findings(text: str, path: str = "", kinds: Iterable[str] = CREDENTIALS) -> list[Finding]:
    """Return what is found in a text, in the text's order.

    Args:
        text: Source text, with any line ends.
        path: The file's name; its ending chooses how the detector reads assignments.
        kinds: Which of `CREDENTIALS` are looked for.
    """
    kinds = tuple(kinds)
    anchors, folded_anchors = _anchors(kinds)
    places: dict[tuple[str, int, int], None] = {}
    for kind, literal, pattern in anchors:
        if literal not in text:
            continue
        for match in pattern.finditer(text):
            if pattern.groups and match.lastindex is None:
                continue
            places[kind, *_piece(text, match.start(), kind)] = None
    if folded_anchors:
        folded = _folded(text)
        for kind, literal, pattern in folded_anchors:
            if literal not in folded:
                continue
            for match in pattern.finditer(folded):
                places[kind, *_piece(text, match.start(), kind)] = None
    found = {
        (finding.kind, finding.start, finding.end): finding
        for kind, start, end in places
        for finding in _asked(kind, text, start, end, path)
    }
    for finding in _formatted(text, kinds):
        found[finding.kind, finding.start, finding.end] = finding
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[2], key[0]))]


_Anchors = list[tuple[str, str, re.Pattern[str]]]


@cache
def _anchors(kinds: tuple[str, ...]) -> tuple[_Anchors, _Anchors]:
    """Return kinds, how their anchors begin, and the anchors: those for the text and those for it in lower case."""
    chosen = [(kind, _DETECTORS[kind]) for kind in kinds if kind in _DETECTORS]
    return (
        [(kind, _literal(anchor), re.compile(anchor)) for kind, detector in chosen for anchor in detector.anchors],
        [(kind, _literal(anchor), re.compile(anchor)) for kind, detector in chosen for anchor in detector.folded],
    )


def _literal(anchor: str) -> str:
    """Return the literal that an anchor begins with, or nothing where the pattern engine finds it as quickly."""
    match = _PLAIN.match(anchor)
    literal = match.group().replace("\\", "") if match else ""
    return literal if len(literal) >= _LONG_LITERAL else ""


_PLAIN = re.compile(r"(?:[A-Za-z0-9_:/= -]|\\[.])+(?![?*{+|])")
_LONG_LITERAL = 7
"""Characters from which on a search for the literal alone takes half the time of one for the pattern (Python 3.11)."""


def _formatted(text: str, kinds: tuple[str, ...]) -> Iterator[Finding]:
    for literal, chosen in _formats(kinds):
        if literal not in text:
            continue
        for kind, pattern in chosen:
            for match in pattern.finditer(text):
                value = match.group(1)
                if follows_word(text, match.start(), "_-") or len(set(value)) < _FEWEST_CHARACTERS:
                    continue
                if all(_compiled(signs).search(value) for signs in _FORMATS[kind].classes):
                    span = whole_escapes(text, *match.span())
                    yield Finding(kind, *match.span(), (span,) if span else ())


@cache
def _formats(kinds: tuple[str, ...]) -> list[tuple[str, list[tuple[str, re.Pattern[str]]]]]:
    chosen: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for kind in kinds:
        if kind in _FORMATS:
            known = _FORMATS[kind]
            pattern = re.compile(rf"{known.literal}{known.prefix}({known.rest})(?![\w+/=-])")
            chosen.setdefault(known.literal, []).append((kind, pattern))
    return list(chosen.items())


def _folded(text: str) -> str:
    """Return a text in lower case, of the same length, in which patterns match as they do regardless of case."""
    if not text.isascii():
        # Source: the re module's documentation of IGNORECASE: these match i and s, and do not become so in lower case.
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()


def _piece(text: str, place: int, kind: str) -> tuple[int, int]:
    """Return the line around a place, or the piece of a long line."""
    low, high = max(0, place - LONGEST_LINE), place + LONGEST_LINE
    start = max(low, text.rfind("\n", low, place) + 1, text.rfind("\r", low, place) + 1)
    ends = [end for end in (text.find("\n", place, high), text.find("\r", place, high)) if end >= 0]
    end = min(ends, default=min(high, len(text)))
    if end - start <= LONGEST_LINE:
        return start, end
    size = _LONGEST_ASSIGNMENT if kind == "keyword" else LONGEST_LINE
    step = size // 2
    start = max(start, place // step * step - size // 8)
    return start, min(end, start + size)


def _asked(kind: str, text: str, start: int, end: int, path: str) -> Iterator[Finding]:
    line = text[start:end].rstrip()
    library = _library()
    plugin = library.plugin(kind)
    if kind == "keyword":
        yield from _named_values(library, plugin, line, start, path)
        return
    for pattern in cast(Iterable[re.Pattern[str]], plugin.denylist):
        for match in pattern.finditer(line):
            # What `findall` gives is what the plugin reports: the groups, or all where there are none.
            group = next((number for number in range(1, pattern.groups + 1) if match.group(number)), 0)
            if pattern.groups and not group:
                continue
            if not library.reports(plugin, match.group(group), line):
                continue
            first, last = match.span(0 if kind in ("github", "gitlab") else group)  # their group is the prefix only
            yield Finding(kind, start + first, start + last, _secrets(kind, text, start + first, start + last))


def _named_values(library: _Library, plugin: BasePlugin, line: str, start: int, path: str) -> Iterator[Finding]:
    for pattern, group in library.assignments(path).items():
        match = pattern.search(line)
        if match is None or not library.reports(plugin, match.group(group), line):
            continue
        spans = [
            found.span(group)
            for found in pattern.finditer(line)
            if library.reports(plugin, found.group(group), line) and _is_random(line, *found.span(group))
        ]
        first, last = match.span(group)
        whole = (whole_escapes(line, low, high) for low, high in spans)
        secrets = tuple((start + span[0], start + span[1]) for span in whole if span)
        yield Finding("keyword", start + first, start + last, secrets)


def _is_random(line: str, start: int, end: int) -> bool:
    """Return whether a value is one that was made, and not words, a name, a template or code.

    Args:
        line: The line.
        start: Where the value starts in it.
        end: Where it ends.
    """
    quoted = start > 0 and line[start - 1] in _QUOTES and line[end : end + 1] == line[start - 1]
    value = ESCAPE.sub("", line[start:end])
    return (
        quoted
        and len(value) >= _SHORTEST_VALUE
        and _RANDOM.fullmatch(value) is not None
        and _TEMPLATE.search(value) is None
        and _CHANGES.search(value) is not None
    )


ESCAPE = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|u\{[0-9A-Fa-f]{1,6}\}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL
)
"""An escape in a literal of any of the languages."""
_LONGEST_ESCAPE = 10


def escape_at(text: str, place: int) -> tuple[int, int] | None:
    """Return the escape (start, end exclusive) that the character before a place belongs to, or None."""
    slash = text.rfind("\\", max(0, place - _LONGEST_ESCAPE), place)
    if slash < 0:
        return None
    first = slash
    while first > 0 and text[first - 1] == "\\":
        first -= 1
    if (slash - first) % 2:  # an escaped backslash ends here
        return (slash - 1, slash + 1) if slash + 1 == place else None
    match = ESCAPE.match(text, slash)
    return match.span() if match is not None and match.end() >= place else None


def whole_escapes(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return a range without the escapes that it would cut, or None if nothing is left."""
    first, last = escape_at(text, start), escape_at(text, end)
    if first is not None:
        start = max(start, first[1])
    if last is not None and last[1] > end:
        end = last[0]
    return (start, end) if start < end else None


_QUOTES = "'\"`"
_SHORTEST_VALUE = 8
_RANDOM = re.compile(r"[!-~]+")
_TEMPLATE = re.compile(r"[{}<>]|\$[\w(]|%[sdvq(]|\*\*|://|\.\.")
_CHANGES = re.compile(
    r"[A-Za-z]\d+[A-Za-z]|\d[A-Za-z]+\d|[a-z]+[A-Z]+[a-z]*\d|[A-Za-z]+[^\w\s.:/-]\w*\d|[A-Za-z]\w*\d+[^\w\s.:/-]"
)
"""What words and names do not have: letters and digits that take turns, or a sign between letters and a digit."""
_MIXED = tuple(map(re.compile, ("[a-z]", "[A-Z]", r"\d")))
_WORDS = frozenset(
    ["password", "passwd", "pass", "passwort", "pwd", "pw", "psw", "secret", "token", "key", "pat", "user"]
)
"""What stands for a password in an address that only shows how addresses are written."""


def _secrets(kind: str, text: str, start: int, end: int) -> tuple[tuple[int, int], ...]:
    if kind == "private_key":
        return tuple(_key_pieces(text, start, end))
    detector = _DETECTORS[kind]
    if detector.secret:
        match = _compiled(detector.secret).search(text[start:end])
        if match is None:
            return ()
        start, end = start + match.start(), start + match.end()
    if detector.tail:
        match = _compiled(detector.tail).match(text, end)
        end = match.end() if match else end
    value = text[start:end]
    if kind == "basic_auth" and (_TEMPLATE.search(value) or value.lower() in _WORDS or len(set(value)) == 1):
        return ()
    if kind == "artifactory" and value.isalpha():
        return ()
    if kind == "ibm_cloud" and not all(pattern.search(value) for pattern in _MIXED):
        return ()
    if detector.bounded and (follows_word(text, start) or text[end : end + 1].isalnum()):
        return ()
    span = whole_escapes(text, start, end)
    return (span,) if span and any(map(str.isalpha, ESCAPE.sub("", text[slice(*span)]))) else ()


def follows_word(text: str, place: int, signs: str = "") -> bool:
    r"""Return whether a word goes on at a place: what stands before it is not the end of an escape such as `\n`.

    Args:
        text: The text.
        place: Where it is asked.
        signs: What words are of besides letters and digits.
    """
    if place == 0 or not (text[place - 1].isalnum() or text[place - 1] in signs):
        return False
    if text[max(0, place - 2) : place - 1] == "\\":
        return False
    escape = escape_at(text, place)
    return escape is None or escape[1] > place


def _key_pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield all that is written in a private key, in whatever literals it stands.

    Args:
        text: The text.
        start: Where what announces the key starts.
        end: Where it ends.
    """
    limit = min(len(text), end + _LONGEST_PRIVATE_KEY)
    stop = _KEY_STOP.search(text, end, limit)
    limit = stop.start() if stop else limit
    pieces = list(_literal_pieces(text, start, end, limit))
    if stop is None or stop.group(1) is not None or not _is_key([text[low:high] for low, high in pieces]):
        pieces = _key_lines(text, pieces, end)
    yield from (piece for piece in pieces if any(sign.isalnum() and sign != "0" for sign in text[slice(*piece)]))


def _literal_pieces(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield what stands between spaces, escapes and quotes, but not what stands between two literals."""
    line = text.rfind("\n", max(0, start - LONGEST_LINE), start) + 1
    opening = max(text.rfind(quote, line, start) for quote in _QUOTES)
    quotes = text[opening] if opening >= 0 else _QUOTES
    inside, last = True, end
    for match in _KEY_TOKEN.finditer(text, end, limit):
        if match.start() - last > _KEY_CODE:
            return
        if match.group(2) is not None and match.group(2) in quotes:
            inside, last = not inside, match.end()
        elif match.group(3) is not None and inside:
            last = match.start() + len(match.group(3).rstrip("-"))
            yield match.start(), last


def _is_key(values: Sequence[str]) -> bool:
    """Return whether pieces between the first and the last line of a key are mostly base64, or begin as keys do."""
    matter = sum(len(value) for value in values if _KEY_LINE.fullmatch(value))
    return bool(values and _KEY_START.match(values[0])) or 0 < sum(map(len, values)) <= 2 * matter


def _key_lines(text: str, pieces: Iterable[tuple[int, int]], start: int) -> list[tuple[int, int]]:
    """Return the pieces of a key whose last line is not there: those that look like base64, or none if they are few."""
    lines: list[tuple[int, int]] = []
    last = start
    for low, high in pieces:
        value = text[low:high]
        if _KEY_LINE.fullmatch(value) is None or (high - low < _KEY_LENGTH and value.isalpha()):
            continue
        if low - last > _KEY_GAP:
            break
        lines.append((low, high))
        last = high
    return lines if sum(high - low for low, high in lines) >= _KEY_LENGTH else []


_KEY_LENGTH = 40
"""Characters of base64 that make a key of what follows its first line, where there is no last one: an Ed25519 key in
PEM has 64."""
_KEY_GAP = 256
"""Characters between two lines of such a key, such as the headers of an encrypted one."""
_KEY_CODE = 120
"""Characters of code between two literals of one key, such as a call that appends; more than that is a program that
names the first and the last line of keys."""
_KEY_LINE = re.compile("[A-Za-z0-9+/]{16,}={0,2}")
_KEY_START = re.compile("M[A-P][A-Za-z0-9+/]{2}")
"""How a sequence in DER, the tag 0x30 and its length, begins in base64. Source: ITU-T X.690, RFC 4648."""
_KEY_STOP = re.compile(r"(BEGIN )|END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY|Private-MAC:")
_KEY_TOKEN = re.compile(rf"(\\+[nrt]|{ESCAPE.pattern})|([{_QUOTES}])|([^\W_][^\s{_QUOTES}\\]*)", re.DOTALL)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _Library:
    """What is used of detect-secrets, imported when the first line is asked for."""

    def __init__(self) -> None:
        import configparser

        kept = configparser.ParsingError
        from detect_secrets.filters import heuristic
        from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP, REGEX_BY_FILETYPE
        from detect_secrets.util.filetype import determine_file_type

        # Its import replaces this class of the standard library by one that loses the lines of an error.
        configparser.ParsingError = kept
        self._file_type: Callable[[str], Any] = determine_file_type
        self._assignments: Mapping[Any, Mapping[re.Pattern[str], int]] = REGEX_BY_FILETYPE
        self._other_assignments: Mapping[re.Pattern[str], int] = QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
        self._is_id: Callable[[str, str, Any], bool] = heuristic.is_likely_id_string
        self._filters: tuple[Callable[[str], bool], ...] = (
            heuristic.is_sequential_string,
            heuristic.is_potential_uuid,
            heuristic.is_templated_secret,
            heuristic.is_prefixed_with_dollar_sign,
            heuristic.is_not_alphanumeric_string,
        )
        self._plugins: dict[str, BasePlugin] = {}

    def plugin(self, kind: str) -> Any:
        """Return the plugin for a kind."""
        if kind not in self._plugins:
            module, _, name = _DETECTORS[kind].plugin.partition(":")
            self._plugins[kind] = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        return self._plugins[kind]

    def assignments(self, path: str) -> Mapping[re.Pattern[str], int]:
        """Return how values are assigned in a file, and in which group of a match the value stands."""
        return self._assignments.get(self._file_type(path), self._other_assignments)

    def reports(self, plugin: Any, value: str, line: str) -> bool:
        """Return whether a value passes the detector's filters."""
        return not (
            any(drops(value) for drops in self._filters)
            or self._is_id(value, line, plugin)
            or (hasattr(plugin, "is_formally_valid") and not plugin.is_formally_valid(value))
        )


@cache
def _library() -> _Library:
    return _Library()
