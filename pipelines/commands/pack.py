"""`polymix pack`: a corpus to shards with exactly the mix asked for."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="What `polymix build` made, or token stores (see --stores).",
)
@click.option("--pairs", type=click.Path(path_type=Path), metavar="DIR", help="What `polymix mine` made of the corpus.")
@click.option(
    "--allocation",
    type=click.Path(path_type=Path),
    metavar="A.json",
    help='{"shares": {"python": 0.6, "go": 0.3, "pair:python-go": 0.1}}, or what `polymix allocate` printed.',
)
@click.option("--tokens", metavar="N", help="Tokens in all: 250000, 250k, 100M, 1.5B.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder to make.")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A byte-level tokenizer.json. Default: one is trained on the corpus.",
)
@click.option("--vocabulary", type=int, metavar="N", help="Ids of the tokenizer that is trained.  [default: 32768]")
@click.option(
    "--pair-style",
    type=click.Choice(["prompt", "plain", "shuffled"]),
    default="prompt",
    show_default=True,
    help="Pairs as one document, with comments between or without; or each half its own document.",
)
@click.option(
    "--pair-direction",
    type=click.Choice(["forward", "backward", "alternate", "both"]),
    default="alternate",
    show_default=True,
    help="Which half of a pair comes first; `both` has each pair twice.",
)
@click.option(
    "--text",
    multiple=True,
    metavar="NAME=PATH",
    help="Natural language for the source text:NAME: Parquet or JSON Lines with a column text. May be repeated.",
)
@click.option(
    "--document-order",
    type=click.Choice(["id", "repository"]),
    default="id",
    show_default=True,
    help="Keep the files of a repository together, each behind those it imports.",
)
@click.option(
    "--fim-rate",
    type=float,
    default=0.0,
    show_default=True,
    metavar="X",
    help="Fraction of the code documents that are turned round for fill-in-the-middle.",
)
@click.option(
    "--fim-spm-rate",
    type=float,
    default=0.5,
    show_default=True,
    metavar="X",
    help="Fraction of those with the suffix first.",
)
@click.option("--sequence-length", type=int, default=2048, show_default=True, metavar="N", help="Tokens a sequence.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides the order of each source's documents.")
@click.option(
    "--max-epochs", type=float, default=4.0, show_default=True, metavar="X", help="How often a source may be read."
)
@click.option("--shard-tokens", default="128M", show_default=True, metavar="N", help="Tokens a shard holds at most.")
@click.option(
    "--revoke",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take what FILE lists out of the shards at --out; --corpus names the token stores they were packed from.",
)
@click.option("--streaming", type=click.Choice(["local", "slurm"]), help="Let datatrove tokenize; the same shards.")
@click.option("--workers", type=int, help="Tasks of --streaming at a time. Default: one a core; on Slurm no limit.")
@click.option("--slurm-partition", help="Slurm partition, for --streaming slurm.")
@click.option("--slurm-time", default="12:00:00", show_default=True, help="Time limit of a Slurm task.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where datatrove keeps what it has done, so that it goes on from there; all nodes must see it.",
)
@click.option("--texts", is_flag=True, help="Write the text of the tokens beside them, as Parquet.")
@click.option(
    "--stores",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the token stores here; the next pack of the same corpus takes seconds. Never replaces other ones.",
)
def command(
    corpus: Path,
    pairs: Path | None,
    allocation: Path | None,
    tokens: str | None,
    out: Path,
    tokenizer: Path | None,
    vocabulary: int | None,
    pair_style: str,
    pair_direction: str,
    sequence_length: int,
    seed: int,
    max_epochs: float,
    shard_tokens: str,
    stores: Path | None,
    text: tuple[str, ...],
    document_order: str,
    fim_rate: float,
    fim_spm_rate: float,
    texts: bool,
    revoke: Path | None,
    streaming: str | None,
    workers: int | None,
    slurm_partition: str | None,
    slurm_time: str,
    work: Path | None,
) -> None:
    """Tokenize a corpus and pack shards with exactly the mix asked for.

    Each source gets its share of the tokens to within one sequence, and so it has in every prefix of the shards. A
    source's documents come in a random order, each once before any comes again.

    The folder holds shard-00000.bin ... (little-endian token ids, whole sequences), sequences.parquet (the source of
    each sequence), tokenizer.json, the validation text as token stores, and manifest.json: target, tokens and bytes by
    source, path, tokens and sha256 of each shard, repeats (epochs over each source).

    Pairs are parallel documents. To learn what pairing is worth, pack the same pairs with --pair-style shuffled: each
    half is a document of its own, and the code tokens are the same. store.json counts them apart from prompts.

    A mix that the corpus cannot supply writes nothing: stderr gets one line of JSON with the shortage by source and the
    nearest feasible allocation, and the exit code is 2.

    --text adds natural language, --fim-rate fill-in-the-middle, --document-order repository whole repositories with
    their files in the order of their imports. An allocation may have stages, from one token count to the next:
    {"stages": [{"until_tokens": 1000000, "shares": {...}}, ...]}.

    Each shard is also a Megatron data set (shard-00000.bin and .idx) and one of datatrove's (.ds, .ds.index), the same
    bytes under two names. `polymix show SHARDS --token N` says which document a token is of.

    --revoke takes repositories, packages, owners (as for `polymix build --opt-out`) and documents (document:ID) out of
    shards that are there already. Only the shards that hold them are written anew; each source keeps its tokens, with
    documents that were not drawn yet. The token stores stay as they are: make them again from a corpus without what was
    revoked.

    \b
    Examples
      polymix pack --corpus corpus/ --allocation allocation.json --tokens 100M --out shards/
      polymix pack --corpus corpus/ --pairs pairs/ --allocation a.json --tokens 2M --sequence-length 256 --out shards/
      polymix pack --corpus corpus/ --allocation a.json --tokens 1.5B --stores stores/ --out shards-a/
      polymix pack --corpus corpus/ --pairs pairs/ --pair-style shuffled --allocation a.json --tokens 2M --out parted/
      polymix pack --corpus stores/ --revoke asked.txt --out shards-a/
    """
    from pipelines.commands.options import streaming_of
    from pipelines.console import emit
    from pipelines.pack import pack, read_request
    from pipelines.revoke import revoke as revoke_documents
    from quality.mistakes import BadInput, Mistake
    from training.order import Infeasible
    from training.shards import read_shard_manifest

    line = shlex.join(["polymix", *sys.argv[1:]])
    try:
        if revoke is not None:
            context = click.get_current_context()
            mistakes = [
                Mistake(f"--{name.replace('_', '-')}", "goes with packing, not with --revoke")
                for name in context.params
                if name not in ("corpus", "out", "revoke")
                and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            ]
            if mistakes:
                raise BadInput(mistakes)
            revoke_documents(out, revoke, corpus, command=line)
        else:
            request = read_request(
                corpus=corpus,
                pairs=pairs,
                allocation=allocation,
                tokens=tokens,
                tokenizer=tokenizer,
                vocabulary=vocabulary,
                pair_style=pair_style,
                pair_direction=pair_direction,
                sequence_length=sequence_length,
                seed=seed,
                max_epochs=max_epochs,
                shard_tokens=shard_tokens,
                places={"shards": out, "tokens": stores},
                work=work,
                texts=texts,
                text=text,
                document_order=document_order,
                fim_rate=fim_rate,
                fim_spm_rate=fim_spm_rate,
            )
            pack(
                corpus,
                request.allocation,
                request.tokens,
                out,
                pairs=pairs,
                tokenizer=tokenizer,
                settings=request.settings,
                token_settings=request.token_settings,
                stores=stores,
                texts=request.texts,
                streaming=streaming_of(streaming, workers, slurm_partition, slurm_time),
                work=work,
                command=line,
            )
    except Infeasible as error:
        click.echo(json.dumps(error.report, ensure_ascii=False), err=True)
        sys.exit(2)
    rows: list[dict[str, Any]] = read_shard_manifest(out).mix().to_pylist()
    emit(rows, title=f"{out}: tokens by source")
