"""A small turn folder in the documented schemas, with what goes wrong in real ones: hostile code, odd names, gaps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.allocate import allocate
from analysis.fit import fit
from parallel_mining import values
from parallel_mining.pairs import PAIR_SCHEMA
from quality.artifacts import creating
from quality.contracts import RESULT_SCHEMA
from quality.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA
from quality.languages import LANGUAGES
from training.runs import CURVE_SCHEMA, EVALUATION_SCHEMA, RUN_SCHEMA, TRANSLATION_SCHEMA

HOSTILE = '</pre><script>document.title="owned"</script><img src=x onerror=alert(1)> & "quoted" \'too\''
TOKENS, PARAMS = 4_000_000, 250_000


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def write_contract(folder: Path, noun: str) -> None:
    row = {
        "contract": noun,
        "expectation": "expect_column_values_to_be_unique",
        "arguments": '{"column": "id"}',
        "why": "a row must be addressable",
        "success": True,
        "checked": 120,
        "unexpected": 0,
        "examples": [],
    }
    pq.write_table(pa.Table.from_pylist([row], RESULT_SCHEMA), folder / "contract.parquet")


def make_corpus(turn: Path) -> None:
    rng = np.random.default_rng(1)
    rejects: list[dict[str, Any]] = []
    total = 0
    with creating(turn / "corpus", "corpus", {"seed": 17}, command="polymix build SOURCES --out corpus") as draft:
        for place, language in enumerate(LANGUAGES):
            number = 40 - 4 * place
            for split, some in (("train", number - 4), ("validation", 4)):
                rows = [
                    {
                        "id": digest(language, split, i),
                        "text": HOSTILE,
                        "language": language,
                        "repo_name": f"pypi:{language}-{split}-{i % 3}",
                        "revision_id": "1.0",
                        "path": f"src/{i}",
                        "blob_id": digest(i, split, language, "blob"),
                        "length": int(rng.integers(300, 40_000)),
                        "src_encoding": "utf-8",
                        "is_vendor": False,
                        "is_generated": False,
                        "detected_licenses": ["MIT"],
                        "license_type": "permissive",
                        "error_ratio": 0.0,
                        "kind": "source",
                        "dialect": "",
                        "content_id": digest(i, split, language, "content"),
                        "text_hash": digest(i, split, language, "text"),
                        "redactions": [],
                        "cluster": digest(language, split, i),
                        "split": split,
                    }
                    for i in range(some)
                ]
                folder = draft.path / "documents" / f"language={language}" / f"split={split}"
                folder.mkdir(parents=True)
                table = pa.Table.from_pylist(rows, DOCUMENT_SCHEMA).drop_columns(["language", "split"])
                pq.write_table(table, folder / "part-0.parquet")
            total += number
        reasons = [("filter", "minified"), ("filter", "too_long"), ("exact", "duplicate"), ("near", "duplicate")]
        reasons += [("licence", "no_licence"), ("read", "not_text"), ("classify", "no_language")]
        for i in range(160):
            stage, reason = reasons[int(rng.integers(0, len(reasons)))]
            language = None if stage in ("classify", "read") else list(LANGUAGES)[int(rng.integers(0, 7))]
            rejects.append(
                {
                    "id": None,
                    "repo_name": "pypi:other",
                    "path": f"{HOSTILE}/{i}",
                    "language": language,
                    "length": int(rng.integers(1, 90_000)),
                    "stage": stage,
                    "reason": reason,
                    "detail": "not read" if stage == "read" and i % 2 else "",
                }
            )
        pq.write_table(pa.Table.from_pylist(rejects, REJECT_SCHEMA), draft.path / "rejects.parquet")
        yielded = total + sum(row["detail"] != "not read" for row in rejects)
        half = yielded // 2
        sources = [
            {
                "name": name,
                "spec": f"pypi:{name}==1.0",
                "revision_id": "1.0",
                "sha256": digest(name) * 2,
                "licenses": ["MIT"],
                "files": files,
                "bytes": 1000 * files,
            }
            for name, files in (("one", half), (f"two {HOSTILE}", yielded - half))
        ]
        pq.write_table(pa.Table.from_pylist(sources), draft.path / "sources.parquet")
        write_contract(draft.path, "document")
        draft.counts = {"documents": total, "rejects": len(rejects)}


def make_pairs(turn: Path) -> None:
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    units: list[dict[str, Any]] = []
    partners = [language for language in LANGUAGES if language != "python"]
    with creating(turn / "pairs", "pairs", {"seed": 17}, command="polymix mine corpus --out pairs") as draft:
        for i in range(24):
            other = partners[i % len(partners)]
            python = f'def name_{i}(text):\n    """{HOSTILE}"""\n    return text.strip().lower()\n'
            row: dict[str, Any] = dict.fromkeys(PAIR_SCHEMA.names, "")
            row |= {
                "pair_id": digest("pair", i),
                "left_language": "python",
                "right_language": other,
                "left_entry": f"name_{i}",
                "right_entry": f"Names.name{i}<T>",
                "left_code": python,
                "right_code": f"function name{i}(text) {{\n  // {HOSTILE}\n  return text.trim().toLowerCase();\n}}\n",
                "left_repo": "pypi:names",
                "right_repo": f"npm:{other}",
                "left_path": "names.py",
                "right_path": HOSTILE,
                "left_licenses": ["MIT"],
                "right_licenses": ["MIT", "Apache-2.0"],
                "split": "validation" if i % 5 == 0 else "train",
                "score": 0.4 + i / 60,
                "verdict": "equivalent",
                "reason": "",
                "tolerance": "exact" if i % 3 else "1e-9",
                "cases": 24 + i,
                "agreed": 24 + i,
                "domain": json.dumps([{"parameters": ["str", "int"], "level": "full"}]),
                "evidence": json.dumps(
                    {
                        "left_toolchain": "python 3.11",
                        "right_toolchain": HOSTILE,
                        "families": [{"inputs": [values.encode([f"  Text {i} ", i])] * 24}],
                    }
                )
                if i
                else "{}",
            }
            rows.append(row)
        for i, (verdict, reason) in enumerate(
            [("different", "case 3: 4 against 5"), ("different", "case 17: 1 against 0"), ("broken", "compile: no Foo")]
            * 9
            + [("equivalent", "surplus: the same two functions are a pair already")] * 2
            + [("insufficient", "trivial"), ("timeout", "2 s"), ("nondeterministic", "run 2 differs")] * 4
        ):
            rejected.append(
                {
                    "pair_id": digest("rejected", i),
                    "left_language": "python",
                    "right_language": partners[i % len(partners)],
                    "left_entry": f"left_{i}",
                    "right_entry": HOSTILE,
                    "left_path": "a.py",
                    "right_path": "b",
                    "left_repo": "pypi:a",
                    "right_repo": "npm:b",
                    "score": 0.2,
                    "verdict": verdict,
                    "reason": reason,
                }
            )
        for i in range(140):
            accepted = i % 3 == 0
            units.append(
                {
                    "unit_id": digest("unit", i),
                    "language": list(LANGUAGES)[i % 7],
                    "document": digest("document", i),
                    "repo_name": f"pypi:{i % 9}",
                    "path": "a",
                    "entry": f"f{i}",
                    "accepted": accepted,
                    "reason": "" if accepted else ("impure: open" if i % 2 else "needs: Widget"),
                }
            )
        pq.write_table(pa.Table.from_pylist(rows, PAIR_SCHEMA), draft.path / "pairs.parquet")
        pq.write_table(pa.Table.from_pylist(rejected), draft.path / "rejected.parquet")
        pq.write_table(pa.Table.from_pylist(units), draft.path / "units.parquet")
        write_contract(draft.path, "pair")
        draft.counts = {"pairs": len(rows)}


def make_tokens(turn: Path) -> None:
    with creating(turn / "tokens", "tokens", {"vocabulary": 4096}, command="polymix turn demo.toml") as draft:
        for place, source in enumerate([*LANGUAGES, "pair:python-go"]):
            for split, part in (("train", 9), ("validation", 1)):
                folder = draft.path / source.replace(":", "_") / split
                folder.mkdir(parents=True)
                tokens = part * 90_000 * (place + 1)
                store = {"source": source, "split": split, "dtype": "uint16", "tokens": tokens, "documents": 7 * part}
                store |= {"bytes": 3 * tokens, "tokenizer": "f" * 64, "sha256": "e" * 64}
                (folder / "store.json").write_text(json.dumps(store))


def make_shards(turn: Path) -> None:
    tokens = dict.fromkeys(LANGUAGES, 1_000_000) | {"go": 1_060_000}
    details = {
        "target": dict.fromkeys(LANGUAGES, 7_060_000 / 7),
        "tokens": tokens,
        "bytes": {name: 3 * number for name, number in tokens.items()},
        "repeats": dict.fromkeys(LANGUAGES, 1.25),
        "shards": [],
        "sequence_length": 256,
    }
    with creating(turn / "shards", "shards", {"tokens": 7_060_000}, command="polymix pack --out shards") as draft:
        draft.details = details


def make_runs(turn: Path) -> None:
    rng = np.random.default_rng(5)
    runs: list[dict[str, Any]] = []
    evaluations: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for place, language in enumerate(LANGUAGES):
        for params in (30_000, 90_000, 250_000):
            for tokens in (250_000, 500_000, 1_000_000, 2_000_000):
                run = digest("run", language, params, tokens)
                loss = 0.9 + 0.05 * place + 60 / params**0.45 + (50 + 30 * place) / tokens**0.42
                loss *= float(np.exp(rng.normal(0, 0.004)))
                runs.append(
                    {
                        "run_id": run,
                        "size": f"{params // 1000}k",
                        "params_total": params + 1_000_000,
                        "params_non_embedding": params,
                        "tokens": tokens,
                        "flops": 6.0 * (params + 500_000) * tokens,
                        "shares": [(language, 1.0)],
                        "repeats": [(language, tokens / 800_000)],
                        "trained_on": language,
                        "mixture": language,
                        "pairing": "",
                        "seed": 17,
                        "sequence_length": 256,
                        "batch_tokens": 4096,
                        "learning_rate": 3e-3,
                        "schedule": "wsd",
                        "across_documents": True,
                        "precision": "float32",
                        "steps": tokens // 4096,
                        "restarts": 0,
                        "final_train_loss_nats": loss * 1.9,
                        "seconds": tokens / 200_000,
                        "step_seconds": 0.1,
                        "loader_seconds": 0.0,
                        "world_size": 1,
                        "device": "cpu",
                        "torch": "2",
                        "torchtitan": "0.2.2",
                        "tokenizer": "f" * 64,
                        "stores": "e" * 64,
                        "status": "finished",
                        "command": "polymix sweep demo.toml",
                    }
                )
                for other in LANGUAGES:
                    value = loss if other == language else loss * 1.35
                    for step, factor in ((10, 1.3), (tokens // 4096, 1.0)):
                        evaluations.append(
                            {
                                "run_id": run,
                                "step": step,
                                "tokens": step * 4096,
                                "language": other,
                                "loss_nats": value * factor * 1.9,
                                "bits_per_byte": value * factor,
                                "evaluated_tokens": 20_000,
                                "evaluated_bytes": 60_000,
                            }
                        )
                for step in range(1, tokens // 4096 + 1, 3):
                    curves.append(
                        {
                            "run_id": run,
                            "step": step,
                            "tokens": step * 4096,
                            "loss_nats": 1.9 * loss + 6 * float(np.exp(-step / 30)) + float(rng.normal(0, 0.02)),
                            "learning_rate": 3e-3,
                            "gradient_norm": 1.0,
                        }
                    )
    runs[4]["status"] = "diverged"
    add_mixtures(runs, evaluations, rng)
    translations = add_pairings(runs, evaluations)
    with creating(turn / "runs", "runs", {"sizes": ["30k"]}, command="polymix sweep demo.toml --out runs") as draft:
        pq.write_table(pa.Table.from_pylist(runs, RUN_SCHEMA), draft.path / "runs.parquet")
        pq.write_table(pa.Table.from_pylist(evaluations, EVALUATION_SCHEMA), draft.path / "evaluations.parquet")
        pq.write_table(pa.Table.from_pylist(curves, CURVE_SCHEMA), draft.path / "curves.parquet")
        pq.write_table(pa.Table.from_pylist(translations, TRANSLATION_SCHEMA), draft.path / "translations.parquet")
        write_contract(draft.path, "run")
        draft.counts = {"runs": len(runs)}


def add_mixtures(runs: list[dict[str, Any]], evaluations: list[dict[str, Any]], rng: np.random.Generator) -> None:
    """Python with each of three others at three ratios, and the repeats by seed that tell the noise."""
    like = {row["trained_on"]: row for row in runs if row["params_non_embedding"] == 250_000}
    gains = {"java": 0.5, "go": 0.2, "rust": 0.0}
    made = [(other, share, seed) for other in gains for share in (0.3, 0.5, 0.7) for seed in (17, 18)]
    for other, share, seed in [*made, ("python", 1.0, 18), ("python", 1.0, 19)]:
        total = 1_000_000
        shares = [("python", share), (other, 1 - share)] if other != "python" else [("python", 1.0)]
        run = digest("mixture", other, share, seed)
        trained_on = "mixture" if len(shares) > 1 else "python"
        more = {
            "run_id": run,
            "tokens": total,
            "shares": shares,
            "trained_on": trained_on,
            "mixture": other,
            "seed": seed,
        }
        runs.append({**like["python"], **more, "size": "250k", "repeats": [(name, 1.0) for name, _ in shares]})
        data = total * (share + gains.get(other, 0.0) * (1 - share))
        loss = (0.9 + 60 / 250_000**0.45 + 50 / data**0.42) * float(np.exp(rng.normal(0, 0.002)))
        for language, value in (("python", loss), *((name, 1.2 * loss) for name, _ in shares[1:])):
            evaluations.append(
                {
                    "run_id": run,
                    "step": 244,
                    "tokens": total,
                    "language": language,
                    "loss_nats": value * 1.9,
                    "bits_per_byte": value,
                    "evaluated_tokens": 20_000,
                    "evaluated_bytes": 60_000,
                }
            )


def add_pairings(runs: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A mixture with pairs, in one document each and parted, at two seeds; the second helps translation by a tenth."""
    translations: list[dict[str, Any]] = []
    for pairing, seed in ((pairing, seed) for pairing in ("parallel", "shuffled") for seed in (17, 18)):
        run = digest("paired", pairing, seed)
        shares = [("python", 0.5), ("pair:python-go", 0.5)]
        more = {"run_id": run, "shares": shares, "trained_on": "mixture", "mixture": "paired", "pairing": pairing}
        runs.append({**runs[0], **more, "seed": seed, "repeats": [(name, 1.0) for name, _ in shares]})
        noise = 1 + seed / 1e4
        worse = 1.1 if pairing == "shuffled" else 1.0
        measured = {"run_id": run, "step": 61, "tokens": 249_856, "evaluated_tokens": 900, "evaluated_bytes": 3000}
        evaluations.append({**measured, "language": "python", "loss_nats": 2.0 * noise, "bits_per_byte": noise})
        for source, target, seen in (("python", "go", True), ("go", "java", False)):
            value = 0.8 * noise * (worse if seen else 1.0)
            named = {"source_language": source, "target_language": target, "seen": seen, "instances": 9, "left_out": 1}
            translations.append({**measured, **named, "loss_nats": 2 * value, "bits_per_byte": value})
    return translations


def make_laws(turn: Path) -> None:
    fits = fit(turn / "runs", "chinchilla", by="language", bootstrap=12)
    with creating(turn / "laws", "laws", {"law": "chinchilla"}, command="polymix fit runs --by language") as draft:
        (draft.path / "fits.jsonl").write_text("".join(json.dumps(one) + "\n" for one in fits))


def make_allocation(turn: Path) -> None:
    answer = allocate(turn / "laws" / "fits.jsonl", tokens=TOKENS, params=PARAMS)
    with creating(
        turn / "allocation", "allocation", {"tokens": TOKENS}, command="polymix allocate fits.jsonl"
    ) as draft:
        (draft.path / "allocation.json").write_text(json.dumps(answer))


MAKERS: dict[str, Callable[[Path], None]] = {
    "corpus": make_corpus,
    "pairs": make_pairs,
    "tokens": make_tokens,
    "shards": make_shards,
    "runs": make_runs,
    "laws": make_laws,
    "allocation": make_allocation,
}
