"""Where does a text hold credentials? The answers of a maintained detector, asked of few lines only.

Start at `findings`. detect-secrets knows the formats; it is asked of a line only where a pattern of ours (`_Detector`)
says that it could answer at all. Such a pattern allows more than the detector's own and starts with a rare literal,
which the pattern engine skips to at gigabytes a second, so a text without credentials costs some forty quick passes.

What always holds:

- A line has the findings that the detector has for it, with its default filters but those by file name (`.svg`,
  `swagger`) and the one that drops every line like `client = connect("...")`, in which tokens are most often handed
  over. Nothing is verified, so nothing is sent anywhere.
- A line longer than `LONGEST_LINE` is given to the detector in overlapping pieces around what our patterns found:
  the detector's own patterns take minutes for a long line.
- A finding says exactly where it stands and which characters are the secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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

CREDENTIALS = tuple(_DETECTORS)
"""The kinds that can be found: every plugin of detect-secrets 1.5.0 but three. The two of high entropy gave 93 findings
in 25 MB of real packages, of which two were keys, and those are found by `keyword` as well; the others were checksums,
revisions and test vectors. `IPPublicDetector` takes versions and object identifiers for addresses, for which
`quality.personal_data` has rules."""


@dataclass(frozen=True)
class Finding:
    """One answer of the detector.

    Args:
        kind: One of `CREDENTIALS`.
        start: First character of what the detector reports; it lies in one line.
        end: Character behind it.
        secrets: Character ranges (start, end exclusive) that hold the secret itself. Empty where what was found is
            none: a variable in a template, a key's first line without the key, a part of a longer run of letters.
    """

    kind: str
    start: int
    end: int
    secrets: tuple[tuple[int, int], ...]


def findings(text: str, path: str = "", kinds: Iterable[str] = CREDENTIALS) -> list[Finding]:
    """Return what the detector finds in a text, in the text's order.

    Args:
        text: Source text, with any line ends.
        path: The file's name; its ending chooses how the detector reads assignments.
        kinds: Which of `CREDENTIALS` are looked for.
    """
    anchors, folded_anchors = _anchors(tuple(kinds))
    places: dict[tuple[str, int, int], None] = {}
    for kind, pattern in anchors:
        for match in pattern.finditer(text):
            if pattern.groups and match.lastindex is None:
                continue
            places[kind, *_piece(text, match.start(), kind)] = None
    if folded_anchors:
        folded = _folded(text)
        for kind, pattern in folded_anchors:
            for match in pattern.finditer(folded):
                places[kind, *_piece(text, match.start(), kind)] = None
    found = {
        (finding.kind, finding.start, finding.end): finding
        for kind, start, end in places
        for finding in _asked(kind, text, start, end, path)
    }
    return [found[key] for key in sorted(found, key=lambda key: (key[1], key[2], key[0]))]


@cache
def _anchors(kinds: tuple[str, ...]) -> tuple[list[tuple[str, re.Pattern[str]]], list[tuple[str, re.Pattern[str]]]]:
    chosen = [(kind, _DETECTORS[kind]) for kind in kinds]
    return (
        [(kind, re.compile(anchor)) for kind, detector in chosen for anchor in detector.anchors],
        [(kind, re.compile(anchor)) for kind, detector in chosen for anchor in detector.folded],
    )


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
    if library.allows(path, line, text, start):
        return
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
        secrets = tuple((start + low, start + high) for low, high in spans)
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


ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
"""An escape in a literal of any of the languages."""
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
        return tuple(_key_lines(text, end))
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
    if detector.bounded and (_goes_on(text, start) or text[end : end + 1].isalnum()):
        return ()
    return ((start, end),) if any(map(str.isalpha, ESCAPE.sub("", value))) else ()


def _goes_on(text: str, place: int) -> bool:
    r"""Return whether a letter or digit stands before a place that is no part of an escape such as `\n`."""
    return place > 0 and text[place - 1].isalnum() and text[max(0, place - 2) : place - 1] != "\\"


def _key_lines(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of base64 of a private key whose first line ends at `start`, in whatever literals they stand."""
    limit = text.find("BEGIN ", start, start + _LONGEST_PRIVATE_KEY)
    limit = limit if limit >= 0 else min(len(text), start + _LONGEST_PRIVATE_KEY)
    ending = text.find("END ", start, limit)
    limit = ending if ending >= 0 else limit
    last = start
    runs: list[tuple[int, int]] = []
    for match in _KEY_RUN.finditer(text, start, limit):
        if match.group(1) is None:
            continue
        if match.start() - last > _KEY_GAP:
            break
        last = match.end()
        if len(match.group()) >= _KEY_LINE or not match.group().isalpha():
            runs.append(match.span())
    if sum(end - low for low, end in runs) < _KEY_LINE:
        return
    short = _KEY_END.match(text, last, limit)
    if short is not None:
        runs.append(short.span(1))
    yield from (run for run in runs if any(map(str.isalpha, text[slice(*run)])))


_KEY_LINE = 40
"""Characters of base64 that make a key of what follows its first line: an Ed25519 key in PEM has 64."""
_KEY_GAP = 256
"""Characters between two runs of one key, such as the headers of an encrypted one."""
_KEY_RUN = re.compile(r"\\(?:[nrt]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})|([A-Za-z0-9+/]{16,}={0,2})")
_KEY_END = re.compile(r"(?:\\[nr]|[\s\"'+,*#\\])*([A-Za-z0-9+/]{1,15}={0,2})(?=(?:\\[nr]|[\s\"'+,*#\\])*-+$)")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _Library:
    """What is used of detect-secrets, imported when the first line is asked for."""

    def __init__(self) -> None:
        import configparser

        kept = configparser.ParsingError
        from detect_secrets.filters import allowlist, heuristic
        from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP, REGEX_BY_FILETYPE
        from detect_secrets.util.code_snippet import CodeSnippet
        from detect_secrets.util.filetype import determine_file_type

        # Its import replaces this class of the standard library by one that loses the lines of an error.
        configparser.ParsingError = kept
        self._is_allowed: Callable[[str, str, Any], bool] = allowlist.is_line_allowlisted
        self._snippet = CodeSnippet
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

    def allows(self, path: str, line: str, text: str, start: int) -> bool:
        """Return whether a comment in a line, or in the one before, says that it holds no secret."""
        before = text.rfind("\n", max(0, start - LONGEST_LINE), max(0, start - 1)) + 1
        previous = text[before:start].rstrip("\r\n") if start else ""
        if "pragma:" not in line and "pragma:" not in previous:  # which all of its patterns ask for, at greater cost
            return False
        return self._is_allowed(path, line, self._snippet([previous, line], 0, 1))

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
