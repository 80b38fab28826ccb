"""`polymix validate`: run given pairs on both sides and say whether they agree."""

from __future__ import annotations

import sys

import click


@click.command(short_help="run given pairs on both sides and say whether they agree")
@click.argument("pairs", type=click.Path(allow_dash=True))
@click.option("--cases", default=72, show_default=True, type=click.IntRange(8, 1000), help="Inputs a domain.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1, 20), help="Runs of what agreed.")
@click.option(
    "--tolerance",
    default="1e-9",
    show_default=True,
    type=click.Choice(["exact", "line-ends", "numeric", "1e-9", "1e-5"]),
    help="The widest difference between numbers that counts as agreement.",
)
@click.option(
    "--binary32-tolerance",
    default="1e-5",
    show_default=True,
    type=click.Choice(["exact", "line-ends", "numeric", "1e-9", "1e-5"]),
    help="The same where a side is declared to compute in 32-bit floats, if it is wider.",
)
@click.option(
    "--mutants",
    default=12,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="Small mistakes, and branches, of each side that the inputs must tell from it; 0 to ask for none.",
)
@click.option("--evidence", is_flag=True, help="Print the inputs, hashes of the outputs and versions of tools, too.")
@click.option("--seed", default=17, show_default=True, type=click.IntRange(0), help="Decides the inputs.")
def command(
    pairs: str, cases: int, runs: int, tolerance: str, binary32_tolerance: str, mutants: int, evidence: bool, seed: int
) -> None:
    """Run both halves of each pair in PAIRS on the same generated inputs, and print a verdict a line.

    At the end a table of verdicts and their classes goes to standard error.

    PAIRS is a file of JSON lines, or - for standard input:

    \b
      {"pair_id": "gcd", "left":  {"language": "python", "code": "def gcd(a, b): ...", "entry": "gcd"},
                         "right": {"language": "go", "code": "package p; func GCD(a, b int) int {...}",
                                   "entry": "GCD"}}

    The entry "<program>" stands for a whole program: it is run on generated standard inputs, and what it prints is
    compared; a status other than zero is an error that it raises.

    A side may state its "licenses", a list of SPDX expressions, which an evaluation set keeps.

    Prints pair_id, verdict, cases, agreed, tolerance, reason, domain. The verdict is one of

    \b
      equivalent        every compared case agrees, on the inputs that `domain` names: `full` is all that both
                        sides' types hold; `restricted` is a part that types, documentation, or what the left side
                        raises on or comes to no end on, say; never where the sides disagree
      different         some case does not; `reason` shows it
      insufficient      too few cases or results to say anything, or cases that would not show small mistakes in a
                        side (`mutants:`) or do not reach its branches (`coverage:`)
      nondeterministic  a side gives different results on the same input
      timeout, broken   a side runs too long, or does not compile or load
      unsupported       the toolchain is missing here, or a type cannot be passed

    \b
    Examples
      polymix validate pairs.jsonl > verdicts.jsonl
      polymix validate pairs.jsonl --evidence > verdicts.jsonl   # for `polymix evaluation`
      head -20 pairs.jsonl | polymix validate - --tolerance exact
    """
    from parallel_mining.validate import validate
    from parallel_mining.verdicts import VerdictSettings
    from pipelines.console import emit

    settings = VerdictSettings.model_validate(
        {
            "cases": cases,
            "runs": runs,
            "tolerance": tolerance,
            "binary32_tolerance": binary32_tolerance,
            "mutants": mutants,
            "seed": seed,
        }
    )
    emit(validate(sys.stdin if pairs == "-" else pairs, settings, evidence=evidence), title="Verdicts")
