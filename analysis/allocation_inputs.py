"""What an allocation is asked for, read and checked: fits, supplies, weights, floors, fixed shares, transfer.

Start at `read_fits` and `numbers`. What always holds: all mistakes of an input are named at once, each with its place.
"""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from analysis import laws, published
from analysis.fit import draws_of
from analysis.laws import Floats
from analysis.laws.base import Curve
from quality.mistakes import BadInput, Mistake, Mistakes, bad_input
from training.allocation import SHARES_SUM_TOLERANCE

PAPER = "paper"
"""Instead of fits: the published per-language laws."""
DEGENERATE = "proportional"
"""The paper's law of a whole mixture's loss, which nothing here recommends by."""
_WHY_DEGENERATE = (
    "the paper's proportion-dependent law, as printed, is degenerate: it is the loss of the mixture itself, least where"
    " all tokens go to whatever text is easiest, whatever that does to each language (`polymix paper` shows it); fit a"
    " law to each language's own loss instead, with --by language"
)
LAWS_MAY_NEED = ("unique", "shares", "target")
"""What a law may need of runs beside N and D, for a decision by it (`Law.needs`)."""
_FIT_KEYS = ("law", "unit", "group", "estimates", "draws", "ranges")


@dataclass(frozen=True)
class Transfer:
    """What languages gain from each other.

    Args:
        tau: Worth of a token of the language of a column to that of a row, shape (K, K), 0 where not known.
        draws: The same for bootstrap draws, shape (B, K, K); B is 0 where there are none.
        missing: How many ordered pairs have no tau.
    """

    tau: Floats
    draws: Floats
    missing: int

    def as_json(self, languages: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return tau by target and auxiliary."""
        return {
            target: {other: float(self.tau[i, j]) for j, other in enumerate(languages) if i != j}
            for i, target in enumerate(languages)
        }


def read_transfer(
    given: Mapping[str, Any] | Path | str,
    languages: Sequence[str],
    of_mixtures: Sequence[Mapping[str, Any]] | None = None,
) -> Transfer:
    """Read what `polymix transfer` printed, or a plain table of tau.

    Args:
        given: The value, JSON text, or a file; with `matrix` and `tau` as `analysis.transfer.transfer` returns them, or
            target to auxiliary to tau.
        languages: In the order of the rows and columns.
        of_mixtures: The fits that it is for, where their laws read whole mixtures, which need no tau.

    Raises:
        BadInput: It has another form, names languages without a fit as targets, or is for laws of mixtures.
    """
    if of_mixtures is not None:
        name = of_mixtures[0]["law"]
        bad_input("--transfer", f"is for laws of a language's own tokens; {name} has its own terms of transfer")
    value = object_of("transfer", given)
    matrix: Any = value.get("matrix", value)
    rows: Any = value.get("tau", []) if "matrix" in value else []
    known = ", ".join(languages)
    mistakes: list[Mistake] = []
    tau = np.zeros((len(languages), len(languages)))
    found = np.eye(len(languages), dtype=bool)
    for target, others in cast(dict[str, Any], matrix).items():
        if target not in languages or not isinstance(others, Mapping):
            mistakes.append(Mistake(f"transfer.{target}", f"a table of tau for one of {known} is expected"))
            continue
        for other, number in cast(Mapping[str, Any], others).items():
            known_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
            if other not in languages or not known_number:
                mistakes.append(Mistake(f"transfer.{target}.{other}", f"{number!r} is not the tau of one of {known}"))
                continue
            tau[languages.index(target), languages.index(other)] = float(number)
            found[languages.index(target), languages.index(other)] = True
    if mistakes:
        raise BadInput(mistakes)
    np.fill_diagonal(tau, 0.0)
    return Transfer(tau, _tau_draws(rows, tau, languages), int((~found).sum()))


def _tau_draws(rows: Sequence[Mapping[str, Any]], tau: Floats, languages: Sequence[str]) -> Floats:
    drawn = [row for row in rows if row["draws"] and row["target"] in languages and row["auxiliary"] in languages]
    count = min((len(row["draws"]) for row in drawn), default=0)
    draws = np.repeat(tau[None], count, axis=0)
    for row in drawn:
        draws[:, languages.index(row["target"]), languages.index(row["auxiliary"])] = row["draws"][:count]
    return draws


def mixture_laws(fits: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """Return each language's law, bound to the languages in order, where laws read the whole mixture; else none."""
    languages = [str(one["group"]) for one in fits]
    bound = [
        laws.law(one["law"]).bind(languages, one["group"]) for one in fits if "shares" in laws.law(one["law"]).needs
    ]
    return tuple(law for law in bound if isinstance(law, Curve))


def estimated_symbols(fits: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Return the estimates of fits, one column a language, each of shape (1, K); as `Problem.symbols` says."""
    return _side_by_side(
        fits, [{name: np.array([float(value)]) for name, value in one["estimates"].items()} for one in fits]
    )


def drawn_symbols(fits: Sequence[Mapping[str, Any]], rows: Sequence[NDArray[np.intp]]) -> dict[str, Floats]:
    """Return draws of all languages side by side, each of shape (B, K); as `Problem.symbols` says.

    Args:
        fits: One a language, with draws.
        rows: Which of its draws each language has, in order, each of shape (B,).
    """
    return _side_by_side(
        fits,
        [
            {name: values[chosen] for name, values in draws_of(one).items()}
            for one, chosen in zip(fits, rows, strict=True)
        ],
    )


def _side_by_side(fits: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    if mixture_laws(fits):
        return {
            f"{place}:{name}": column[name][:, None]
            for place, (one, column) in enumerate(zip(fits, columns, strict=True))
            for name in laws.law_of(one).symbols
        }
    return {name: np.stack([column[name] for column in columns], axis=1) for name in laws.law(fits[0]["law"]).symbols}


def wrong_stages(stages: Sequence[float]) -> list[Mistake]:
    """Return what is wrong with the ends of stages."""
    ends = [0.0, *stages, 1.0]
    if all(math.isfinite(end) for end in ends) and all(a < b for a, b in pairwise(ends)):
        return []
    return [Mistake("--stages", f"{list(stages)} are not rising fractions of the budget between 0 and 1")]


_FEWEST_TOKENS = 1000
_MOST = 1e18


def wrong_settings(
    tokens: float, params: float, max_epochs: float, prior_weight: float, has_prior: bool
) -> list[Mistake]:
    """Return what is wrong with the numbers of an allocation."""
    mistakes = [
        Mistake(f"--{name}", f"{value!r} is not a finite number above 0")
        for name, value in (("tokens", tokens), ("params", params), ("max-epochs", max_epochs))
        if not (math.isfinite(value) and value > 0)
    ]
    if not mistakes:
        # Shares of fewer round to nothing, and laws at nothing are infinite; more are no whole numbers of 64 bits.
        mistakes += [
            Mistake(f"--{name}", f"{value!r} is not between {least:,.0f} and {_MOST:.0e}")
            for name, value, least in (("tokens", tokens, _FEWEST_TOKENS), ("params", params, 1))
            if not least <= value <= _MOST
        ]
    return [*mistakes, *wrong_prior_weight(prior_weight, has_prior)]


def wrong_prior_weight(prior_weight: float, has_prior: bool) -> list[Mistake]:
    """Return what is wrong with how much a prior counts."""
    if not (math.isfinite(prior_weight) and prior_weight >= 0):
        return [Mistake("--prior-weight", f"{prior_weight!r} is not a finite number, 0 or more")]
    if has_prior and prior_weight == 0:
        return [Mistake("--prior", "has no effect without --prior-weight above 0; start with 0.01")]
    if prior_weight and not has_prior:
        return [Mistake("--prior-weight", "needs --prior: `uniform`, or a share for each language")]
    return []


def wrong_mapping(
    name: str, given: Mapping[str, float] | None, languages: Sequence[str], *, extra_allowed: bool = False
) -> list[Mistake]:
    """Return what is wrong with a number for each language: not positive, missing, or of no language."""
    if given is None:
        return []
    mistakes = [
        Mistake(f"{name}.{key}", f"{value!r} is not a finite number above 0")
        for key, value in given.items()
        if not (math.isfinite(value) and value > 0)
    ]
    mistakes += [
        Mistake(f"{name}.{key}", f"missing; the fits are of {', '.join(languages)}")
        for key in languages
        if key not in given
    ]
    if not extra_allowed:
        mistakes += [
            Mistake(f"{name}.{key}", f"has no fit; the fits are of {', '.join(languages)}")
            for key in given
            if key not in languages
        ]
    return mistakes


def normalised(given: Mapping[str, float] | None, languages: Sequence[str]) -> Floats:
    """Return a number for each language that sum to 1: those given, or the same for all, shape (K,)."""
    values = np.array([given[name] if given else 1.0 for name in languages], dtype=np.float64)
    return values / values.sum()


def read_fits(
    fits: Path | str | Sequence[Mapping[str, Any]],
    constants: Mapping[str, Mapping[str, float]] | Path | str | None = None,
    allowed: Sequence[str] = (),
) -> list[Mapping[str, Any]]:
    """Read fits of two or more languages by one law, in one unit.

    Args:
        fits: A file or folder that `polymix fit --by language` made, `-`, the values, or `paper`.
        constants: For `paper`: language to the Nc and Dc that were not published.
        allowed: What laws may need beside N and D (`Law.needs`).

    Raises:
        BadInput: They cannot be read, do not belong together, or are of a law that cannot be used.
    """
    if isinstance(fits, str) and fits == PAPER:
        return list(published.language_fits(_constants(constants)))
    if constants is not None:
        bad_input("--constant", f"is for the published laws only; name {PAPER!r} instead of fits")
    name = "fits"
    if isinstance(fits, str | Path):
        name = "standard input" if str(fits) == "-" else str(fits)
        fits = _lines(fits, name)
    found: list[Mapping[str, Any]] = list(fits)
    mistakes = [
        mistake for number, one in enumerate(found, 1) for mistake in _wrong_fit(f"{name}: line {number}", one, allowed)
    ]
    if not found:
        mistakes.append(Mistake(name, "holds no fits; make them with `polymix fit RUNS --by language`"))
    if mistakes:
        raise BadInput(mistakes)
    # A law of mixtures is fitted to one language's loss at a time, and says which.
    found = [dict(one) | {"group": one["group"] or one.get("target")} for one in found]
    mistakes = [
        Mistake(
            f"{name}: {key}", f"differs between the fits ({', '.join(sorted(values))}); fit all groups the same way"
        )
        for key, values in (
            ("law", {str(one["law"]) for one in found}),
            ("unit", {str(one["unit"]) for one in found}),
            ("columns.params", {str(one.get("columns", {}).get("params")) for one in found}),
        )
        if len(values) > 1
    ]
    groups = [one["group"] for one in found]
    if None in groups or len(found) < 2:
        mistakes.append(
            Mistake(name, "an allocation needs a fit for each of two or more groups; use `polymix fit --by language`")
        )
    mistakes += [
        Mistake(name, f"has {groups.count(group)} fits of {group!r}; keep one")
        for group in sorted(set(map(str, groups)))
        if groups.count(group) > 1
    ]
    mistakes += [
        Mistake(
            f"{name}: {one['group']}",
            f"reads the shares of {', '.join(one['sources'])}; a law of mixtures needs a fit for the loss of each of"
            f" them, and has {', '.join(map(str, groups))}",
        )
        for one in found
        if "shares" in laws.law(one["law"]).needs and set(one["sources"]) != set(groups)
    ]
    if mistakes:
        raise BadInput(mistakes)
    return found


def _lines(path: Path | str, name: str) -> list[Mapping[str, Any]]:
    if str(path) == "-":
        text = sys.stdin.read()
    else:
        place = Path(path) / "fits.jsonl" if Path(path).is_dir() else Path(path)
        if not place.is_file():
            bad_input(place, f"no such file; give what `polymix fit --by language` printed, `-`, or {PAPER!r}")
        try:
            text = place.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            bad_input(place, "is not text; give what `polymix fit --by language` printed, one JSON object a line")
    found: list[Mapping[str, Any]] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            mistakes.append(Mistake(f"{name}: line {number}", f"not JSON ({error}); one fit a line is expected"))
    if mistakes and not found:
        bad_input(name, "not what `polymix fit --by language` prints; a table of runs goes through `polymix fit` first")
    if mistakes:
        raise BadInput(mistakes)
    return found


def _wrong_fit(where: str, one: Any, allowed: Sequence[str]) -> list[Mistake]:
    """Return what is wrong with one fit as read from a file."""
    if not isinstance(one, Mapping):
        return [Mistake(where, "not a JSON object; one fit a line is expected")]
    fit = cast(Mapping[str, Any], one)
    missing = [key for key in _FIT_KEYS if key not in fit]
    if missing:
        return [Mistake(where, f"has no {', '.join(missing)}: not a line that `polymix fit` printed")]
    if fit["law"] not in laws.LAWS:
        return [Mistake(f"{where}: law", f"{fit['law']!r} is not known; known: {', '.join(laws.LAWS)}")]
    if why := no_decision(fit["law"], *allowed):
        return [Mistake(f"{where}: law", why)]
    if "shares" in laws.law(fit["law"]).needs and fit.get("target") not in (fit.get("sources") or ()):
        return [
            Mistake(
                f"{where}: target",
                f"{fit.get('target')!r} is none of the sources; fit with --shares and --target, a language at a time",
            )
        ]
    broken = [
        key
        for key, kind in (("estimates", Mapping), ("draws", list), ("ranges", Mapping))
        if not isinstance(fit[key], kind)
    ]
    if broken or not all(isinstance(draw, Mapping) for draw in fit["draws"]):
        return [Mistake(where, f"{', '.join(broken) or 'draws'} has another form than `polymix fit` prints")]
    law = laws.law_of(fit)
    mistakes = [
        Mistake(
            f"{where}: {label}.{name}",
            f"{values.get(name)!r} is not a finite number{'' if name in law.signed else ' above 0'}",
        )
        for label, values in [
            ("estimates", fit["estimates"]),
            *((f"draws[{i}]", d) for i, d in enumerate(fit["draws"])),
        ]
        for name in law.symbols
        if not (_finite(values.get(name)) if name in law.signed else _positive(values.get(name)))
    ]
    for axis in ("params", "tokens"):
        ends = fit["ranges"].get(axis)
        if not (
            isinstance(ends, list) and len(cast(list[Any], ends)) == 2 and all(map(_positive, cast(list[Any], ends)))
        ):
            mistakes.append(Mistake(f"{where}: ranges.{axis}", f"{ends!r} is not [smallest, largest]"))
    return mistakes


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _finite(value) and value > 0


def numbers(name: str, given: Mapping[str, float] | Path | str) -> dict[str, float]:
    """Read a mapping of names to numbers from a mapping, JSON text, or a JSON or TOML file."""
    value = object_of(name, given)
    wrong = [
        Mistake(f"{name}.{key}", f"{number!r} is not a number")
        for key, number in value.items()
        if isinstance(number, bool) or not isinstance(number, int | float)
    ]
    if wrong:
        raise BadInput(wrong)
    return {key: float(number) for key, number in value.items()}


def read_mixtures(
    given: Mapping[str, Any] | Path | str, languages: Sequence[str], name: str = "mixtures"
) -> dict[str, dict[str, float]]:
    """Read mixtures of languages, as `polymix next --mixtures` and a sweep's table `mixtures` name them.

    Args:
        given: Name to shares by language (a mapping, JSON text, or a JSON or TOML file); they may stand in a table
            `mixtures`, as in the settings of a sweep.
        languages: Those that have fits.
        name: What mistakes call them.

    Raises:
        BadInput: A share is no fraction, is of no language, or shares do not sum to 1; all are named.
    """
    value: Mapping[str, Any] = object_of(name, given)
    value = value["mixtures"] if isinstance(value.get("mixtures"), Mapping) else value
    mistakes = Mistakes()
    found: dict[str, dict[str, float]] = {}
    if not value:
        mistakes.add([Mistake(f"--{name}", 'empty; name at least one, as {"even": {"go": 0.5, "rust": 0.5}}')])
    for mixture, shares in value.items():
        if not isinstance(shares, Mapping):
            mistakes.add([Mistake(f"{name}.{mixture}", f"{shares!r} is not a table of shares by language")])
            continue
        with mistakes.noted():
            found[mixture] = shares_of(f"{name}.{mixture}", cast(Mapping[str, float], shares), languages)
    mistakes.tell()
    return found


def _constants(given: Mapping[str, Mapping[str, float]] | Path | str | None) -> dict[str, dict[str, float]]:
    if given is None:
        return {}
    value = object_of("constants", given)
    wrong = [
        Mistake(f"constants.{key}", f"{inner!r} is not a table of Nc and Dc")
        for key, inner in value.items()
        if not isinstance(inner, Mapping)
    ]
    if wrong:
        raise BadInput(wrong)
    return {key: numbers(f"constants.{key}", inner) for key, inner in value.items()}


def shares_of(where: str, given: Mapping[str, float], languages: Sequence[str]) -> dict[str, float]:
    """Return the shares of one mixture, those of 0 left out.

    Args:
        where: What mistakes call it.
        given: Language to fraction.
        languages: Those that may have one.

    Raises:
        BadInput: A share is no fraction, is of no language, or they do not sum to 1; all are named.
    """
    own = numbers(where, given)
    wrong = [
        Mistake(f"{where}.{key}", f"{share!r} is not a fraction from 0 to 1")
        for key, share in own.items()
        if not 0 <= share <= 1
    ]
    wrong += [
        Mistake(f"{where}.{key}", f"is not one of {', '.join(languages)}, which were fitted")
        for key in own
        if key not in languages
    ]
    if not wrong and abs(sum(own.values()) - 1) > SHARES_SUM_TOLERANCE:
        wrong.append(Mistake(where, f"sums to {sum(own.values()):.6g}, not 1; divide each share by that"))
    if wrong:
        raise BadInput(wrong)
    return {key: share for key, share in own.items() if share}


def no_decision(law: str, *allowed: str) -> str:
    """Return why no decision is made by a law, or "" where it can be.

    Args:
        law: Its name.
        allowed: What it may need of runs beside N and D (`Law.needs`).
    """
    return _WHY_DEGENERATE if law == DEGENERATE else laws.unusable(law, *allowed)


def object_of(name: str, given: Mapping[str, Any] | Path | str) -> dict[str, Any]:
    """Return a mapping, or the one that JSON text, or a JSON or TOML file, holds.

    Args:
        name: Of the option, for mistakes.
        given: The mapping, the text, or the file.

    Raises:
        BadInput: There is none.
    """
    return dict(given) if isinstance(given, Mapping) else _structure(name, given)


def _structure(name: str, given: Path | str) -> dict[str, Any]:
    text, where = str(given), f"--{name}"
    try:
        if not text.lstrip().startswith("{"):
            path = Path(given)
            where = str(path)
            if not path.is_file():
                bad_input(where, f"no such file; --{name} takes JSON text such as '{{\"python\": 1e9}}', or a file")
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".toml":
                return tomllib.loads(text)
        value = json.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        bad_input(where, f"cannot be read as {'TOML' if where.endswith('.toml') else 'JSON'}: {error}")
    if not isinstance(value, dict):
        bad_input(where, 'an object such as {"python": 1e9, "go": 2e9} is expected')
    return cast(dict[str, Any], value)
