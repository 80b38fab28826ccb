"""What a function returned, as a value that means the same in every language, and whether two of them agree.

Start at `compare`. A harness writes a value in the wire form below, `decode` reads it into a frozen `Value`, and all
comparing happens here, on the host: no language's own `==`, `equals` or assert is ever asked.

The wire form is ASCII, has no spaces outside a value's end, and is exact (floats travel as their bits):

    n                 null, None, undefined, nil, unit
    t f               true, false
    iDIGITS;          an int without width;  i32:DIGITS;  u8:DIGITS;  an int of that width
    dHEX16;  eHEX8;   binary64, binary32 (big-endian bits)
    mHEX16;           JavaScript's number, a binary64 that stands for an int where its value is one
    sHEX;  SHEX;      text as UTF-8, as UTF-16 (big-endian units, lone surrogates allowed);  cHEX; one character, UTF-8
    pHEX;             what a whole program printed, UTF-8
    bHEX;             bytes
    [ ... ]  ( ... )  < ... >      list, tuple, set, items one after another
    { k v k v ... }   dict;  o{ ... } a JavaScript object, whose keys are text by force
    rHEX;{ ... }      a record: type name, then field names and values

How values that are alike are decided, whichever side they are on. `exact` and the others are `TOLERANCES`:

    true, false             1, 0, 1.0, "true"           different: bool is no number and no text
    null, None, undefined,  each other                  exact: the nulls are one
      nil, unit
    null                    0, "", false, [], {}        different
    a key whose value is    no such key                 different: null is not absent
      null
    an int                  an int of another width     exact where the number is the same
    an int                  an int that is not the      different, however close
                              same
    an int                  a float of that value       numeric; exact for JavaScript's number
    0.0                     -0.0                        numeric
    NaN                     NaN; any other number       exact; different
    an infinity             the same; any other number  exact; different
    floats                  floats that are close       1e-9 or 1e-5, absolute or relative
    a char                  a str of length 1           exact
    bytes                   a list of small ints        numeric
    list, array, tuple      one another                 item by item, in order
    set, dict               one of its kind             without order; a set is no list
    a record                a dict of text keys         numeric; names of fields without case and `_`
    printed text            the same but for white      line-ends
                              space at line ends and
                              line feeds at the end
                            the same but for numbers    as these numbers, if one has a fraction: numeric, 1e-9, 1e-5
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, cast

Kind = Literal["null", "bool", "int", "float", "number", "str", "bytes", "list", "tuple", "set", "dict", "record"]

# From the strictest to the widest. `line-ends` is equal but for white space at the ends of lines and for line feeds at
# the end, of printed text only. `numeric` is equal as a real number although the types differ (3 and 3.0, 0 and
# -0.0, bytes and small ints). Absolute or relative for the last two.
# Source: 1e-9 is CPython's `math.isclose` default; 1e-5 is about 100 ulp of binary32 (eps 1.19e-7), which lets a
# binary32 side agree with a binary64 one.
TOLERANCES: tuple[str, ...] = ("exact", "line-ends", "numeric", "1e-9", "1e-5")
DIFFERENT = "different"

_WIDTHS = {"8", "16", "32", "64", "128"}
MAX_DEPTH = 100


@dataclass(frozen=True)
class Value:
    """A value of any language.

    Args:
        kind: What it is.
        data: None, bool, int, float, str or bytes; a tuple of `Value` for list, tuple and set; a tuple of pairs of
            `Value` for dict and record, in the order they came.
        width: `int32`, `uint8`, `float32`, `char`; `object` for a JavaScript object; `printed` for what
            a whole program printed; empty where nothing is declared.
        name: A record's type name.
    """

    kind: Kind
    data: Any
    width: str = ""
    name: str = ""


@dataclass(frozen=True)
class Comparison:
    """Whether two values agree.

    Args:
        equal: They agree within the tolerance asked for.
        needed: The strictest of `TOLERANCES` that makes them agree, or `different` where none does.
        reason: Where and how they differ; empty where they agree exactly.
    """

    equal: bool
    needed: str
    reason: str


class NotAValue(ValueError):
    """A host object or a wire text that has no canonical form."""


def of(item: Any) -> Value:
    """Return a host object as a canonical value.

    Args:
        item: None, bool, int, float, str, bytes, and lists, tuples, sets and dicts of them.

    Raises:
        NotAValue: It is something else.
    """
    return _of(item, 0)


def _of(item: Any, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise NotAValue(f"nested deeper than {MAX_DEPTH}")
    if isinstance(item, Value):
        return item
    if item is None:
        return Value("null", None)
    if isinstance(item, bool):
        return Value("bool", item)
    if isinstance(item, int):
        return Value("int", item)
    if isinstance(item, float):
        return Value("float", item)
    if isinstance(item, str):
        return Value("str", item)
    if isinstance(item, bytes | bytearray):
        return Value("bytes", bytes(item))
    if isinstance(item, Mapping):
        pairs = cast(Mapping[Any, Any], item).items()
        return Value("dict", tuple((_of(k, depth + 1), _of(v, depth + 1)) for k, v in pairs))
    if isinstance(item, AbstractSet):
        return Value("set", tuple(_of(x, depth + 1) for x in cast(AbstractSet[Any], item)))
    if isinstance(item, tuple):
        return Value("tuple", tuple(_of(x, depth + 1) for x in cast(tuple[Any, ...], item)))
    if isinstance(item, list):
        return Value("list", tuple(_of(x, depth + 1) for x in cast(list[Any], item)))
    raise NotAValue(f"{type(item).__name__} has no canonical form")


def plain(value: Value) -> Any:
    """Return a canonical value as a host object: the inverse of `of`, with records as dicts."""
    match value.kind:
        case "list":
            return [plain(item) for item in value.data]
        case "tuple":
            return tuple(plain(item) for item in value.data)
        case "set":
            return {_hashable(item) for item in value.data}
        case "dict" | "record":
            return {_hashable(key): plain(item) for key, item in value.data}
        case _:
            return value.data


def _hashable(value: Value) -> Any:
    if value.kind in ("list", "tuple", "set"):
        return tuple(_hashable(item) for item in value.data)
    if value.kind in ("dict", "record"):
        return tuple((_hashable(key), _hashable(item)) for key, item in value.data)
    return value.data


def encode(item: Any) -> str:
    """Return a host object, or a `Value`, in the wire form.

    Raises:
        NotAValue: It has no canonical form.
    """
    out: list[str] = []
    _encode(of(item), out)
    return "".join(out)


def _encode(value: Value, out: list[str]) -> None:
    match value.kind:
        case "null":
            out.append("n")
        case "bool":
            out.append("t" if value.data else "f")
        case "int":
            prefix = "i"
            if value.width:
                sign, bits = ("u", value.width[4:]) if value.width.startswith("u") else ("i", value.width[3:])
                prefix = f"{sign}{bits}:"
            out.append(f"{prefix}{value.data};")
        case "float" if value.width == "float32":
            out.append(f"e{struct.pack('>f', value.data).hex()};")
        case "float":
            out.append(f"d{struct.pack('>d', value.data).hex()};")
        case "number":
            out.append(f"m{struct.pack('>d', value.data).hex()};")
        case "str":
            _encode_text(value, out)
        case "bytes":
            out.append(f"b{value.data.hex()};")
        case "list" | "tuple" | "set":
            opening, closing = {"list": "[]", "tuple": "()", "set": "<>"}[value.kind]
            out.append(opening)
            for item in value.data:
                _encode(item, out)
            out.append(closing)
        case "dict" | "record":
            if value.kind == "record":
                out.append(f"r{value.name.encode().hex()};")
            out.append("o{" if value.width == "object" else "{")
            for key, item in value.data:
                _encode(key, out)
                _encode(item, out)
            out.append("}")


_TEXT_TAGS = {"char": "c", "printed": "p"}
_TEXT_WIDTHS = {tag: width for width, tag in _TEXT_TAGS.items()}


def _encode_text(value: Value, out: list[str]) -> None:
    try:
        encoded = cast(str, value.data).encode()
    except UnicodeEncodeError:
        out.append(f"S{cast(str, value.data).encode('utf-16-be', 'surrogatepass').hex()};")
    else:
        out.append(f"{_TEXT_TAGS.get(value.width, 's')}{encoded.hex()};")


def decode(wire: str) -> Value:
    """Read a value from the wire form.

    Raises:
        NotAValue: The text is cut off, goes on after the value, or is not in the wire form.
    """
    try:
        value, end = _decode(wire, 0, 0)
    except (ValueError, IndexError, struct.error) as error:
        raise NotAValue(f"{wire[:60]!r} is no value: {error}") from error
    if end != len(wire):
        raise NotAValue(f"{wire[end : end + 60]!r} is left over after a complete value")
    return value


def _decode(wire: str, at: int, depth: int) -> tuple[Value, int]:
    if depth > 2 * MAX_DEPTH:
        raise NotAValue("nested too deep")
    tag = wire[at]
    at += 1
    if tag == "n":
        return Value("null", None), at
    if tag in "tf":
        return Value("bool", tag == "t"), at
    if tag in "[(<":
        kind: Kind = "list" if tag == "[" else "tuple" if tag == "(" else "set"
        items, at = _items(wire, at, {"[": "]", "(": ")", "<": ">"}[tag], depth)
        return Value(kind, items), at
    if tag == "{":
        return _pairs("dict", wire, at, depth)
    if tag == "o" and wire[at] == "{":
        return _pairs("dict", wire, at + 1, depth, width="object")
    end = wire.index(";", at)
    body = wire[at:end]
    at = end + 1
    if tag in "iu":
        bits, colon, digits = body.rpartition(":")
        if colon and bits not in _WIDTHS:
            raise NotAValue(f"an int of {bits!r} bits")
        width = (f"int{bits}" if tag == "i" else f"uint{bits}") if colon else ""
        return Value("int", _int(digits), width), at
    if tag == "d":
        return Value("float", struct.unpack(">d", bytes.fromhex(body))[0]), at
    if tag == "e":
        return Value("float", struct.unpack(">f", bytes.fromhex(body))[0], "float32"), at
    if tag == "m":
        return Value("number", struct.unpack(">d", bytes.fromhex(body))[0]), at
    if tag in "scp":
        text = bytes.fromhex(body).decode("utf-8", "strict" if tag == "p" else "surrogatepass")
        return Value("str", text, _TEXT_WIDTHS.get(tag, "")), at
    if tag == "S":
        return Value("str", bytes.fromhex(body).decode("utf-16-be", "surrogatepass")), at
    if tag == "b":
        return Value("bytes", bytes.fromhex(body)), at
    if tag == "r" and wire[at] == "{":
        return _pairs("record", wire, at + 1, depth, name=bytes.fromhex(body).decode())
    raise NotAValue(f"unknown tag {tag!r}")


def _int(digits: str) -> int:
    # Python refuses to read very long decimals at once, to bound the time; such a result is of no use as evidence.
    if len(digits) > 4000:
        raise NotAValue("an int of more than 4000 digits")
    return int(digits)


def _items(wire: str, at: int, closing: str, depth: int) -> tuple[tuple[Value, ...], int]:
    items: list[Value] = []
    while wire[at] != closing:
        item, at = _decode(wire, at, depth + 1)
        items.append(item)
    return tuple(items), at + 1


def _pairs(kind: Kind, wire: str, at: int, depth: int, width: str = "", name: str = "") -> tuple[Value, int]:
    flat, at = _items(wire, at, "}", depth)
    if len(flat) % 2:
        raise NotAValue("a key without a value")
    return Value(kind, tuple(zip(flat[::2], flat[1::2], strict=True)), width, name), at


def digest(value: Value) -> str:
    """Return a SHA-256 of a value that does not depend on the order of sets and dicts."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Value) -> str:
    match value.kind:
        case "list" | "tuple":
            return f"[{''.join(_canonical(item) for item in value.data)}]"
        case "set":
            return f"<{''.join(sorted(_canonical(item) for item in value.data))}>"
        case "dict" | "record":
            return f"{{{''.join(sorted(_canonical(k) + _canonical(v) for k, v in value.data))}}}"
        case _:
            return encode(value)


def compare(left: Value, right: Value, tolerance: str = "exact") -> Comparison:
    """Say whether two values agree, and which tolerance that takes.

    Args:
        left: One side's value.
        right: The other's.
        tolerance: The widest of `TOLERANCES` that may be used.

    Raises:
        ValueError: The tolerance is not one of `TOLERANCES`.
    """
    if tolerance not in TOLERANCES:
        raise ValueError(f"tolerance {tolerance!r}: use one of {', '.join(TOLERANCES)}")
    rank, reason = _compare(left, right, "result")
    needed = TOLERANCES[rank] if rank < len(TOLERANCES) else DIFFERENT
    return Comparison(rank <= TOLERANCES.index(tolerance), needed, reason)


_EXACT, _LINE_ENDS, _NUMERIC, _FAR = 0, 1, 2, len(TOLERANCES)
_NUMBERS = ("int", "float", "number")
_SEQUENCES = ("list", "tuple")


def _differ(where: str, left: Value, right: Value) -> tuple[int, str]:
    return _FAR, f"{where}: {_show(left)} and {_show(right)}"


def _show(value: Value) -> str:
    text = f"{value.width or value.kind} {plain(value)!r}"
    return text if len(text) <= 80 else text[:77] + "..."


def _compare(left: Value, right: Value, where: str) -> tuple[int, str]:
    if left.kind in _NUMBERS and right.kind in _NUMBERS:
        return _compare_numbers(left, right, where)
    if left.kind in _SEQUENCES and right.kind in _SEQUENCES:
        return _compare_sequences(left.data, right.data, where)
    if {left.kind, right.kind} <= {"bytes", *_SEQUENCES}:
        return _compare_bytes(left, right, where)
    if left.kind in ("dict", "record") and right.kind in ("dict", "record"):
        return _compare_dicts(left, right, where)
    if left.kind != right.kind:
        return _differ(where, left, right)
    if left.kind == "set":
        return _compare_sets(left, right, where)
    if "printed" in (left.width, right.width):
        return _compare_printed(left, right, where)
    return (_EXACT, "") if left.data == right.data else _differ(where, left, right)


def _compare_numbers(left: Value, right: Value, where: str) -> tuple[int, str]:
    a, b = cast(float, left.data), cast(float, right.data)
    if a != a or b != b:
        return (_EXACT, "") if a != a and b != b else _differ(where, left, right)
    if a == b:
        same_sign = a != 0 or _negative_zero(a) == _negative_zero(b)
        same_type = left.kind == right.kind or "number" in (left.kind, right.kind)
        if same_sign and same_type:
            return _EXACT, ""
        why = "differ in type" if not same_type else "differ in the sign of zero"
        return _NUMERIC, f"{where}: {_show(left)} and {_show(right)} {why}"
    # Two ints that differ are different, however close they are: no rounding explains it.
    if left.kind == right.kind == "int" or math.inf in (abs(a), abs(b)):
        return _differ(where, left, right)
    for rank in range(_NUMERIC + 1, len(TOLERANCES)):
        width = float(TOLERANCES[rank])
        try:
            near = math.isclose(a, b, rel_tol=width, abs_tol=width)
        except OverflowError:
            near = False
        if near:
            return rank, f"{where}: {_show(left)} and {_show(right)} agree within {TOLERANCES[rank]}"
    return _differ(where, left, right)


def _negative_zero(number: float) -> bool:
    return number == 0 and math.copysign(1.0, number) < 0


# A number that stands for itself: no part of a name, a version or a date.
_PRINTED_NUMBER = re.compile(r"(?<![\w.])([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])")


def trimmed(text: str) -> str:
    """Return a printed text without white space at the ends of its lines and line feeds at its end."""
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip("\n")


def _compare_printed(left: Value, right: Value, where: str) -> tuple[int, str]:
    """Compare what two whole programs printed, number by number where they differ in more than white space."""
    if left.data == right.data:
        return _EXACT, ""
    ours, theirs = trimmed(left.data), trimmed(right.data)
    if ours == theirs:
        return _LINE_ENDS, f"{where}: differ in white space at line ends"
    one, two = _PRINTED_NUMBER.split(ours), _PRINTED_NUMBER.split(theirs)
    # What stands between numbers must be the same; every second part is a number.
    if one[::2] != two[::2]:
        return _differ(where, left, right)
    numbers = ((a, b) for a, b in zip(one[1::2], two[1::2], strict=True) if a != b)
    rank, why = _worst(_compare_written(a, b, where) for a, b in numbers)
    return (rank, why) if rank < _FAR else _differ(where, left, right)


def _compare_written(one: str, two: str, where: str) -> tuple[int, str]:
    """Compare two numbers that are written differently: none within a tolerance are those without a fraction."""
    if not any(mark in text for text in (one, two) for mark in ".eE"):
        return _FAR, f"{where}: {one} and {two}"
    rank, why = _compare_numbers(Value("float", float(one)), Value("float", float(two)), where)
    return max(rank, _NUMERIC), why or f"{where}: {one} and {two} are one number"


def _compare_sequences(left: Sequence[Value], right: Sequence[Value], where: str) -> tuple[int, str]:
    if len(left) != len(right):
        return _FAR, f"{where}: {len(left)} and {len(right)} items"
    return _worst(_compare(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(left, right, strict=True)))


def _worst(found: Any) -> tuple[int, str]:
    worst, reason = _EXACT, ""
    for rank, why in found:
        if rank > worst:
            worst, reason = rank, why
            if worst == _FAR:
                break
    return worst, reason


def _compare_bytes(left: Value, right: Value, where: str) -> tuple[int, str]:
    if left.kind == right.kind:
        return (_EXACT, "") if left.data == right.data else _differ(where, left, right)
    octets, items = (left, right) if left.kind == "bytes" else (right, left)
    # A signed byte stands for the same eight bits as an unsigned one.
    small = all(v.kind in ("int", "number") and -128 <= v.data <= 255 and v.data % 1 == 0 for v in items.data)
    if small and bytes(int(v.data) & 255 for v in items.data) == octets.data:
        return _NUMERIC, f"{where}: bytes on one side, small ints on the other"
    return _differ(where, left, right)


def _key(value: Value, *, as_text: bool) -> Any:
    """Return what a set member or dict key is found by; equal for values that `numeric` makes agree."""
    if value.kind in _NUMBERS:
        number = value.data
        if number % 1 == 0:
            number = int(number)
        if as_text:
            return ("str", str(number))
        return ("nan",) if number != number else ("number", number)
    if value.kind in _SEQUENCES:
        return ("sequence", tuple(_key(item, as_text=as_text) for item in value.data))
    if value.kind == "set":
        return ("set", frozenset(_key(item, as_text=as_text) for item in value.data))
    if value.kind in ("dict", "record"):
        pairs = ((_key(k, as_text=as_text), _key(v, as_text=as_text)) for k, v in value.data)
        return ("dict", frozenset(pairs))
    if as_text and value.kind == "bool":
        return ("str", "true" if value.data else "false")
    return (value.kind, value.data)


def _compare_sets(left: Value, right: Value, where: str) -> tuple[int, str]:
    ours = {_key(item, as_text=False): item for item in left.data}
    theirs = {_key(item, as_text=False): item for item in right.data}
    if len(ours) != len(theirs):
        return _FAR, f"{where}: {len(ours)} and {len(theirs)} members"
    if ours.keys() == theirs.keys():
        return _worst(_compare(item, theirs[key], f"{where}{{}}") for key, item in ours.items())
    # Members that rounding keeps apart: pair them by size.
    if all(v.kind in _NUMBERS and v.data == v.data for v in (*ours.values(), *theirs.values())):
        a = sorted(ours.values(), key=lambda v: v.data)
        b = sorted(theirs.values(), key=lambda v: v.data)
        return _compare_sequences(a, b, where)
    return _FAR, f"{where}: {_show(left)} and {_show(right)}"


def _field(value: Value) -> Any:
    return ("str", str(value.data).replace("_", "").lower())


def _compare_dicts(left: Value, right: Value, where: str) -> tuple[int, str]:
    as_text = "object" in (left.width, right.width) and left.width != right.width
    records = "record" in (left.kind, right.kind)
    if records and not all(k.kind == "str" for k, _ in (*left.data, *right.data)):
        return _differ(where, left, right)

    def index(side: Value) -> dict[Any, tuple[Value, Value]]:
        return {(_field(k) if records else _key(k, as_text=as_text)): (k, v) for k, v in side.data}

    ours, theirs = index(left), index(right)
    if ours.keys() != theirs.keys():
        odd = [_show(pair[0]) for key, pair in (ours | theirs).items() if (key in ours) != (key in theirs)]
        return _FAR, f"{where}: keys on one side only: {', '.join(odd[:3])}"

    def parts() -> Any:
        for key, (ours_key, ours_value) in ours.items():
            theirs_key, theirs_value = theirs[key]
            if not records:
                rank, why = _compare(ours_key, theirs_key, f"{where} key")
                # A JavaScript object turns its keys into text, which `index` has already undone.
                yield (_NUMERIC, why) if rank == _FAR else (rank, why)
            yield _compare(ours_value, theirs_value, f"{where}[{plain(ours_key)!r}]")

    rank, why = _worst(parts())
    if records and left.kind != right.kind and rank < _NUMERIC:
        return _NUMERIC, f"{where}: a record on one side, a dict on the other"
    return rank, why
