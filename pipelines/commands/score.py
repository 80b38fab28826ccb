"""`polymix score`: how well a model writes code."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from pipelines.commands.ranges import FiniteRange


@click.command(short_help="generate with a model, run what it writes, and score it")
@click.argument("model_dir", type=click.Path(path_type=Path), metavar="MODEL_DIR")
@click.option("--task", required=True, metavar="TASK", help="multipl-e or translation.")
@click.option(
    "--problems",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="What the task reads; may be repeated.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The folder to make.")
@click.option("--samples", default=1, show_default=True, type=click.IntRange(1), help="Completions a problem.")
@click.option("--temperature", default=0.0, show_default=True, type=FiniteRange(0, 10), help="0 is greedy.")
@click.option("--top-p", default=1.0, show_default=True, type=FiniteRange(0, 1, True), help="Of what is drawn.")
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(1), help="Of a completion.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of what is drawn.")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1), help="Prompts at once.")
@click.option("--k", "ks", multiple=True, type=click.IntRange(1), help="Tell pass@k; may be repeated. Default: 1.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N problems of each language or direction.")
@click.option("--device", default="", metavar="NAME", help="Such as cuda or cpu. Default: a GPU if there is one.")
def command(
    model_dir: Path,
    task: str,
    problems: tuple[Path, ...],
    out: Path,
    samples: int,
    temperature: float,
    top_p: float,
    max_tokens: int,
    seed: int,
    batch: int,
    ks: tuple[int, ...],
    limit: int | None,
    device: str,
) -> None:
    """Score MODEL_DIR, a causal language model in Hugging Face's format.

    The model completes prompts, and what it wrote is run in the sandbox. `multipl-e` reads problems in the form in
    which MultiPL-E publishes them (JSON Lines or Parquet with name, language, prompt, tests, stop_tokens) and tells
    pass@k by language. `translation` reads what `polymix evaluation` made, and tells execution accuracy and BLEU by
    direction, those that parallel documents train apart from unseen ones. Means weigh each language or direction the
    same.

    Killed, the same command goes on. Prints a JSON object a score; DIR also has attempts.parquet: what was written to
    each problem, whether it passed, and why not.

    \b
    Examples:
      polymix score model --task multipl-e --problems prompts/ --out scores
      polymix score model --task multipl-e --problems p.jsonl --samples 20 --temperature 0.2 --k 1 --k 10 --out scores
      polymix score model --task translation --problems evaluation/ --out translated
    """
    from pipelines.console import emit
    from training.generation import Decoding
    from training.score import read_scores, score

    done = score(
        model_dir,
        task,
        problems,
        out,
        decoding=Decoding(
            samples=samples, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed, batch=batch
        ),
        ks=ks or (1,),
        limit=limit,
        device=device,
        command=shlex.join(["polymix", *sys.argv[1:]]),
    )
    emit(read_scores(done), title=str(done))
