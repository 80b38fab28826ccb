"""`polymix classify`: the language and kind of files, a JSON line each."""

from __future__ import annotations

import click


@click.command(short_help="the language and kind of files, a JSON line each")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--content-only", is_flag=True, help="Look at contents only, whatever the files are called.")
def command(paths: tuple[str, ...], content_only: bool) -> None:
    """Say what each of PATHS is: a file, or every file below a folder.

    Prints one JSON object a line: path, language (null outside the registry), kind, confidence (0 to 1), reason,
    dialect (python2, or empty). The language is told by name, first bytes and text (`.ts` may be Qt XML or a video,
    `.cs` Smalltalk); vendored code and tests are told by folders, so name a folder from where its own path means
    something. Without names JavaScript that is TypeScript too may be called either.

    \b
    Kinds
      source, test                           written by hand: what `polymix build` keeps
      declaration                            .d.ts, .pyi
      generated, minified, vendored          made by a tool, squeezed, or copied from elsewhere
      data, text, binary, empty              no program text
      undecodable                            text in no encoding that can be told

    \b
    Examples
      polymix classify src/
      polymix classify a.ts b.ts lib/vendor/c.go
      polymix classify --content-only snippets/
      polymix classify . | jq -r 'select(.kind == "generated") | .path'
    """
    from pipelines.classify import classify
    from pipelines.console import emit

    emit(classify(paths, content_only=content_only))
