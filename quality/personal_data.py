r"""Where does a text hold personal data: e-mail addresses, and public addresses of machines?

Start at `emails` and `addresses`. Both look for what only such an address has (`@` before a letter, dots between
digits, colons between hexadecimal digits), then decide by rules what is none.

What always holds: an address in a range or domain that is reserved for documentation or for private use is kept, so
what `quality.redaction` puts in place of the others is kept too; and the letter of an escape such as `\n` before an
address is no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from quality.credentials import escape_at

# Two letters: the country codes. Source: IANA root zone database; codes never delegated or withdrawn are left out.
_COUNTRIES = """ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by
bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga
gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh
ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my
mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg
sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve
vg vi vn vu wf ws ye yt za zm zw"""
# Of the others those that mail comes from; not those that are also ordinary names of members, such as `name`.
_OTHERS = """com org net edu gov mil int info biz pro coop aero museum jobs mobi tel cat asia post travel app dev cloud
tech online site xyz email tools systems solutions software studio agency blog design digital engineering expert
foundation gmbh guru institute international media network news science security services social space support
technology today university website wiki works world berlin hamburg koeln london paris nyc tokyo"""
_TOP_LEVEL = frozenset([*_COUNTRIES.split(), *_OTHERS.split()])

# Source: RFC 2606 and RFC 6761 (reserved names), RFC 6762 (`local`).
_RESERVED_DOMAIN = re.compile(r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost|local)", re.I)
_SERVICE_USERS = frozenset(["git", "hg", "svn", "bzr", "cvs"])
"""Users of code hosts, in addresses of repositories such as `git@host:path`."""

_AT = re.compile(r"@(?<=[\w.%+-]@)(?=[A-Za-z0-9])")
_LOCAL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_+-])?\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w@-])(?!\.\w)")
_LONGEST_LOCAL = 64
"""Source: RFC 5321, section 4.5.3.1.1."""
_SCALED = re.compile(r"\dx\.")  # icon@2x.png


def _behind_escape(text: str, start: int, end: int) -> int:
    """Return where a word starts really, whose first letters may belong to an escape."""
    escape = escape_at(text, start)
    return escape[1] if escape is not None and start < escape[1] <= end else start


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Yield where e-mail addresses stand (start, end exclusive), in order.

    No address of a person: what is kept beside reserved domains is a user of a code host (`git@host`), the user of a
    URL or of a copy command (`ssh://user@host`, `user@host.org:path`), and whatever does not end with a top-level
    domain, such as a package with its version, a decorator or a picture's scale.
    """
    for at in _AT.finditer(text):
        place = at.start()
        domain = _DOMAIN.match(text, place + 1)
        if domain is None or domain.group().rpartition(".")[2].lower() not in _TOP_LEVEL:
            continue
        if _RESERVED_DOMAIN.fullmatch(domain.group()) or _SCALED.match(domain.group()):
            continue
        local = _LOCAL.search(text, max(0, place - _LONGEST_LOCAL), place)
        if local is None:
            continue
        start = _behind_escape(text, local.start(), place)
        end = domain.end()
        if start == place or text[start:place].lower() in _SERVICE_USERS or _is_part(text, start, end):
            continue
        yield start, end


_PART_BEFORE = re.compile(r"(?:://[^\s/\"'<>]*|[@/])\Z")
_PATH_BEHIND = re.compile(r":(?:[\w.~-]+/|/|~)[\w.-]")


def _is_part(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 100) : start]
    return bool("/" in before and _PART_BEFORE.search(before)) or bool(_PATH_BEHIND.match(text, end))


# Not reachable from outside, or for examples. Source: IANA IPv4 and IPv6 special-purpose address registries (RFC 6890),
# RFC 5737 (documentation), RFC 1112 and RFC 5771 (multicast).
_KEPT_NETWORKS = tuple(
    (int(network.network_address), int(network.netmask))
    for network in map(
        IPv4Network,
        ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
         "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
         "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
    )
)  # fmt: skip
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_KEPT_V6_NETWORKS = tuple(
    map(IPv6Network, ["2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"])
)

_DOTS = re.compile(r"\.(?<=\d\.)[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\w)(?!\.\w)")
_OCTET = re.compile(r"[0-9]{1,3}\Z")
_COLONS = re.compile(r":(?<=[23][0-9A-Fa-f]{3}:)[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*(?![\w.:])")
_NO_ADDRESS_BEFORE = re.compile(r"(?:[\w.-]|(?<!/)/|[~^<>=!]=|[~^§])\Z")
_NUMBERED = re.compile(
    r"(?:version|revision|release|assembly|\b(?:ver|v|oid|rfc|section|chapter))\b[^\n]{0,40}\Z", re.I
)
_NUMBERED_BEFORE = 60
_OBJECT_IDENTIFIERS = ("1.2.", "1.3.", "2.5.")
"""How the identifiers that code names most often begin: members and organisations of ISO, and the directory's
attributes. Source: ITU-T X.660."""
_SMALL = 32
"""Four numbers below are a version or a section: of random addresses, one in 4,096 is such."""
_RESOLVERS = frozenset(["1.0.0.1", "1.1.1.1", "4.2.2.2", "8.8.4.4", "8.8.8.8", "9.9.9.9"])
"""Public name servers: the only addresses of small numbers that are commoner in code than such versions."""


def addresses(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where public IP addresses stand: start, end (exclusive) and `ipv4` or `ipv6`, in no certain order.

    Versions, sections and object identifiers are kept: four small numbers, or with 0 at the end, behind a word such as
    `version`, or next to what makes them a part of a longer number or name.
    """
    for dots in _DOTS.finditer(text):
        octet = _OCTET.search(text, max(0, dots.start() - 3), dots.start())
        if octet is not None and _is_public(text, octet.start(), dots.end()):
            yield octet.start(), dots.end(), "ipv4"
    for colons in _COLONS.finditer(text):
        start, end = colons.start() - 4, colons.end()
        if not _stands_alone(text, start):
            continue
        try:
            address = IPv6Address(text[start:end])
        except ValueError:
            continue
        if address in _GLOBAL_UNICAST and not any(address in network for network in _KEPT_V6_NETWORKS):
            yield start, end, "ipv6"


def _stands_alone(text: str, start: int) -> bool:
    before = text[max(0, start - 2) : start]
    if _NO_ADDRESS_BEFORE.search(before) is None:
        return True
    escape = escape_at(text, start)
    return escape is not None and escape[1] == start


def _is_public(text: str, start: int, end: int) -> bool:
    value = text[start:end]
    try:
        number = int(IPv4Address(value))  # refuses numbers above 255 and leading zeros
    except ValueError:
        return False
    if any(number & mask == network for network, mask in _KEPT_NETWORKS):
        return False
    if not _stands_alone(text, start) or (text[end : end + 1] == "-" and text[end + 1 : end + 2].isalpha()):
        return False
    if value not in _RESOLVERS and (value.endswith(".0") or all(int(part) < _SMALL for part in value.split("."))):
        return False
    if value.startswith(_OBJECT_IDENTIFIERS):
        return False
    line = text[max(0, start - _NUMBERED_BEFORE) : start]
    return _NUMBERED.search(line) is None
