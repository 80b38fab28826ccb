"""What a function takes and gives back, as far as its own text declares it, and which functions could be called alike.

Start at `Signature`; `shared_arities` and `compatible` answer whether two signatures can take the same arguments. A
type that nothing declares is None, and None is compatible with everything: running decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from parallel_mining.types import Type

MAX_PARAMETERS = 6

_INTS = frozenset(["int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
_FLOATS = frozenset(["float", "float32"])
_TEXTS = frozenset(["str", "char"])
_SEQUENCES = frozenset(["list", "set", "tuple"])


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Args:
        name: As it is written.
        type: Canonical type, or None where nothing declares one.
        optional: A call may leave it out.
    """

    name: str
    type: Type | None = None
    optional: bool = False


@dataclass(frozen=True)
class Signature:
    """Parameters in order, and the result.

    Args:
        parameters: In order of the call.
        returns: Canonical type, or None where nothing declares one.
    """

    parameters: tuple[Parameter, ...]
    returns: Type | None = None

    @property
    def required(self) -> int:
        """How many arguments a call must give."""
        return next((i for i, p in enumerate(self.parameters) if p.optional), len(self.parameters))

    @property
    def types(self) -> tuple[Type, ...] | None:
        """The parameter types if every parameter has one, else None."""
        found = tuple(p.type for p in self.parameters if p.type is not None)
        return found if len(found) == len(self.parameters) else None


def shared_arities(left: Signature, right: Signature) -> tuple[int, ...]:
    """Return the numbers of arguments (at least 1) that both sides take, most first."""
    low = max(left.required, right.required, 1)
    high = min(len(left.parameters), len(right.parameters))
    return tuple(range(high, low - 1, -1))


def kind_of(type_: Type | None) -> str:
    """Return the coarse kind of a type: `number`, `bool`, `text`, `sequence`, `map`, `stdin` or `any`."""
    if type_ is None or type_.name in ("any", "null"):
        return "any"
    if type_.name == "optional":
        return kind_of(type_.of[0])
    if type_.name in _INTS or type_.name in _FLOATS or type_.name == "number":
        return "number"
    if type_.name in _TEXTS:
        return "text"
    if type_.name in _SEQUENCES:
        return "sequence"
    return "map" if type_.name == "dict" else type_.name


def compatible(left: Type | None, right: Type | None) -> bool:
    """Say whether one argument value could suit both declared types; None suits everything but standard input."""
    left_kind, right_kind = kind_of(left), kind_of(right)
    if "stdin" in (left_kind, right_kind):
        return left_kind == right_kind
    if "any" in (left_kind, right_kind):
        return True
    if left_kind != right_kind:
        return False
    if left is None or right is None or left_kind != "sequence":
        return True
    left, right = unwrapped(left), unwrapped(right)
    if left.name == right.name == "tuple":
        return len(left.of) == len(right.of) and all(map(compatible, left.of, right.of))
    return all(compatible(a, b) for a in left.of for b in right.of)


def unwrapped(type_: Type) -> Type:
    """Return the type inside `optional`, or the type itself."""
    return unwrapped(type_.of[0]) if type_.name == "optional" else type_


def is_integer(type_: Type) -> bool:
    """Say whether a canonical type holds integers only."""
    return type_.name in _INTS


def is_float(type_: Type) -> bool:
    """Say whether a canonical type is a floating-point number."""
    return type_.name in _FLOATS


def call_compatible(left: Signature, right: Signature) -> bool:
    """Say whether some call could suit both: a shared arity, compatible parameters there, and compatible results.

    A declared result of one number kind never contradicts another (an int may come back as a float and be equal).
    """
    arities = shared_arities(left, right)
    if not arities or not compatible(left.returns, right.returns):
        return False
    return any(
        all(compatible(a.type, b.type) for a, b in zip(left.parameters[:arity], right.parameters[:arity], strict=True))
        for arity in arities
    )
