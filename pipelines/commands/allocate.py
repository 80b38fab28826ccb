"""`polymix allocate`: the best allocation of tokens to languages, by fitted laws."""

from __future__ import annotations

import sys
from typing import Any

import click

from quality.mistakes import BadInput, Mistake

_VERDICTS = {
    "more than uniform": "more",
    "less than uniform": "less",
    "cannot be told apart from uniform": "cannot tell",
}
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


class Count(click.ParamType[float]):
    """A number such as 350B, 1.5e9 or 20000000."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail with the forms that are read."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip().lower()
        factor = _FACTORS.get(text[-1:], 1.0)
        try:
            return float(text[:-1] if factor != 1 else text) * factor
        except ValueError:
            self.fail(f"{value!r} is not a number; write 350B, 1.5e9 or 20000000", param, ctx)


@click.command(short_help="the best allocation of tokens to languages, by fitted laws")
@click.argument("fits", type=click.Path(allow_dash=True))
@click.option("--tokens", type=Count(), required=True, help="The budget: training tokens, such as 350B.")
@click.option("--params", type=Count(), required=True, help="Model size, counted as the fits counted it, such as 1.5B.")
@click.option(
    "--supply", metavar="JSON|FILE", help="Unique tokens of each language: '{\"go\": 2e9, ...}'. Default: no limit."
)
@click.option("--max-epochs", default=4.0, show_default=True, help="How often a language's unique tokens may be drawn.")
@click.option("--weights", metavar="JSON|FILE", help="How much each language's loss counts. Default: all the same.")
@click.option("--prior", metavar="uniform|JSON|FILE", help="Shares to stay near to; needs --prior-weight.")
@click.option(
    "--prior-weight",
    default=0.0,
    show_default=True,
    help="The loss that one nat of Kullback-Leibler divergence from the prior is worth.",
)
@click.option(
    "--fixed",
    metavar="JSON|FILE",
    help='Shares that are settled, of languages or of pairs: \'{"go": 0.1, "pair:python-go": 0.02}\'.',
)
@click.option("--floors", metavar="JSON|FILE", help="Least shares of languages: '{\"rust\": 0.05}'.")
@click.option(
    "--parallel-share",
    default=0.0,
    show_default=True,
    help="Share of parallel documents, spread over the pairs in --supply by their tokens.",
)
@click.option("--transfer", metavar="JSON|FILE", help="What `polymix transfer` printed: tau enters the laws.")
@click.option(
    "--against",
    multiple=True,
    metavar="FITS",
    help="Fits of another law to the same runs, which judge the same shares. May be repeated.",
)
@click.option(
    "--stages", metavar="F,F,...", help="A curriculum: where its stages end, as fractions of the budget: 0.5,0.9."
)
@click.option(
    "--constant",
    "constant",
    multiple=True,
    metavar="LANGUAGE.NAME=VALUE",
    help="For `paper`: an unpublished constant, such as python.Nc=5e8. May be repeated.",
)
@click.option(
    "--constants", metavar="JSON|FILE", help='The same, all together: \'{"python": {"Nc": 5e8, "Dc": 4e9}}\'.'
)
@click.option("--seed", default=0, show_default=True, help="Matches draws where fits have different numbers of them.")
def command(**options: Any) -> None:
    """Divide a token budget among languages so that the mean of their predicted losses is least.

    FITS is what `polymix fit --by language` printed (a file, a `laws` folder, or - for standard input), or the word
    paper: the published per-language laws, for which you give the constants Nc (parameters) and Dc (tokens) that were
    not published.

    Prints one JSON object, which `polymix pack --allocation` takes as it is: shares, tokens, predicted,
    uniform_predicted, gain (weighted means over languages, in the fits' unit), intervals (95%), regret, comparisons
    (which shares can be told apart from each other), marginal (what the next billion tokens of a language, and the next
    hundredth of the budget, are worth), other_laws, solver, by_language, words. With --supply, text drawn more than
    once counts for less (Muennighoff et al., arXiv 2305.16264).

    \b
    Examples
      polymix allocate fits.jsonl --tokens 350B --params 1.5B > allocation.json
      polymix fit runs.csv --by language | polymix allocate - --tokens 1e9 --params 2e7 --supply supply.json
      polymix allocate fits.jsonl --tokens 1B --params 20M --weights '{"python": 2, "go": 1, "rust": 1}'
      polymix allocate fits.jsonl --tokens 1B --params 20M --prior uniform --prior-weight 0.01
      polymix allocate fits.jsonl --tokens 1B --params 20M --transfer transfer.json --against skaling.jsonl
      polymix allocate fits.jsonl --tokens 1B --params 20M --floors '{"rust": 0.05}' --stages 0.5,0.9
      polymix allocate paper --tokens 350B --params 1.5B --constants constants.toml
    """
    from analysis.allocate import allocate
    from pipelines.console import emit
    from quality.progress import say

    stages = _stages(options.pop("stages"))
    result = allocate(**_with_constants(options), stages=stages)
    for word in result["words"]:
        say(f"note: {word}")
    if not sys.stdout.isatty():
        emit([result])
        return
    emit(
        [_row({**row, **more}) for row, more in zip(result["by_language"], result["marginal"], strict=True)],
        title=f"{result['budget']:,} tokens, N = {result['params']:,.0f}",
    )
    ends = result["intervals"].get("gain")
    interval = f" [{ends[0]:.3g}, {ends[1]:.3g}]" if ends else ""
    say(
        f"predicted {result['predicted']:.4f} {result['unit']}, uniform {result['uniform_predicted']:.4f},"
        f" gain {result['gain']:.3g}{interval}"
    )


def _stages(text: str | None) -> tuple[float, ...]:
    """Read `0.5,0.9`."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise BadInput([Mistake("--stages", f"{text!r} is no list of fractions; write 0.5,0.9")]) from None


def _with_constants(options: dict[str, Any]) -> dict[str, Any]:
    """Fold repeated --constant options into `constants`."""
    pieces: tuple[str, ...] = options.pop("constant")
    if not pieces:
        return options
    mistakes: list[Mistake] = []
    if options["constants"]:
        mistakes.append(Mistake("--constant", "give either --constant, repeated, or --constants"))
    constants: dict[str, dict[str, float]] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        language, _, symbol = name.partition(".")
        try:
            number = Count().convert(value, None, None)
        except click.BadParameter:
            number = None
        if language and symbol and number is not None:
            constants.setdefault(language, {})[symbol] = number
        else:
            mistakes.append(Mistake(f"--constant {piece}", "write LANGUAGE.NAME=VALUE, such as python.Nc=5e8"))
    if mistakes:
        raise BadInput(mistakes)
    return {**options, "constants": constants}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    interval = row.get("interval")
    shown: dict[str, Any] = {
        "language": row["language"],
        "share": f"{row['share']:.1%}" + (f" [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else ""),
        "tokens": _short(row["tokens"]),
        "loss": f"{row['predicted']:.4f}",
        "with uniform": f"{row['uniform_predicted']:.4f}",
        "next 1%": f"{row['next_percent']['gain']:.3g}",
    }
    if row["epochs"] is not None:
        shown["epochs"] = f"{row['epochs']:.2f}"
    return {**shown, "against uniform": _VERDICTS.get(row.get("verdict", ""), "")}


def _short(count: int) -> str:
    for letter in "tbmk":
        if count >= _FACTORS[letter]:
            return f"{count / _FACTORS[letter]:.4g}{letter.upper()}"
    return str(count)
