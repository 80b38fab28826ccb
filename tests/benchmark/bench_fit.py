"""How fast laws are fitted and how well they predict: ours beside the usual ways, on run tables that others made.

    python -m tests.benchmark.bench_fit [--data FOLDER] [--only TOPIC...] [--hops N] [--folds K] [--out FILE.json]

`--data` holds `chinchilla_epoch.csv`, `mixture_runs_slimpajama.csv` and `regmix_{train,test}_*.csv`; none comes with
the project. Four topics, each with its peer in the same run, on one core:

`starts`: the 4,500 starts of Epoch AI's replication of Chinchilla, all at once, against a loop of scipy's L-BFGS-B with
analytic gradients over the same starts (every `--every`-th of them, its time scaled up), at scipy's own tolerances and
at the tightest. `bootstrap`: 4,000 resamples. `mixtures`: the mixture laws of the registry, and Apple's two forms
fitted with basin hopping as published (arXiv 2507.09404), by the relative error on mixtures and on the largest size
left out. `regmix`: rank correlation on 256 mixtures of laws fitted on 512, and of LightGBM with RegMix's settings.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import csv
from scipy.optimize import basinhopping, minimize
from scipy.stats import spearmanr

from analysis import fitting
from analysis.laws import LAWS, Floats, Frame, Law, Points, frame
from tests.benchmark.measure import report

DATA = Path("../shared/data")
DOMAINS = ("arxiv", "book", "c4", "github", "commoncrawl", "stackexchange", "wikipedia")
OPTIMUM = {"A": 477.83, "B": 2143.4, "E": 1.81722, "alpha": 0.34731, "beta": 0.36717}
CLOSE = 1e-9
Options = argparse.Namespace


def columns(path: Path) -> dict[str, Floats]:
    table = csv.read_csv(path)
    return {name: np.asarray(table[name], dtype=np.float64) for name in table.column_names}


# --- Chinchilla -------------------------------------------------------------------------------------------------------


def chinchilla(folder: Path) -> tuple[Points, Frame]:
    table = columns(folder / "chinchilla_epoch.csv")
    kept = np.sort(np.argsort(table["loss_nats"])[:-5])
    points = Points(*(table[name][kept] for name in ("params", "tokens", "loss_nats")))
    return points, frame(points)


def epoch_starts() -> Floats:
    """Return log A, log B, log E, alpha, beta of Epoch AI's 4,500 starts."""
    terms, constants, exponents = (0, 5, 10, 15, 20, 25), (-1, -0.5, 0, 0.5, 1), (0, 0.5, 1, 1.5, 2)
    return np.array(list(itertools.product(terms, terms, constants, exponents, exponents)), dtype=np.float64)


def plain_objective(points: Points) -> Callable[[Floats], tuple[float, Floats]]:
    """Return the objective and its gradient as a notebook has them: log-sum-exp of log A, log B, log E, alpha, beta."""
    log_n, log_d, log_loss = np.log(points.params), np.log(points.tokens), np.log(points.loss)

    def both(vector: Floats) -> tuple[float, Floats]:
        by_n, by_d = vector[0] - vector[3] * log_n, vector[1] - vector[4] * log_d
        peak = np.maximum(np.maximum(by_n, by_d), vector[2])
        a, b, e = np.exp(by_n - peak), np.exp(by_d - peak), np.exp(vector[2] - peak)
        total = a + b + e
        residual = peak + np.log(total) - log_loss
        pull = np.clip(residual, -fitting.HUBER_DELTA, fitting.HUBER_DELTA) / total
        at_n, at_d = pull * a, pull * b
        slopes = (at_n.sum(), at_d.sum(), (pull * e).sum(), -(at_n @ log_n), -(at_d @ log_d))
        return float(fitting.huber(residual).sum()), np.array(slopes)

    return both


def bench_starts(options: Options) -> list[dict[str, Any]]:
    points, origin = chinchilla(options.data)
    law, raw = LAWS["chinchilla"], epoch_starts()
    begin = np.stack(
        [
            raw[:, 0] - origin.log_loss - raw[:, 3] * origin.log_params,
            raw[:, 1] - origin.log_loss - raw[:, 4] * origin.log_tokens,
            raw[:, 2] - origin.log_loss,
            raw[:, 3],
            raw[:, 4],
        ],
        axis=1,
    )
    cpu, wall = time.process_time(), time.perf_counter()
    theta, value, _ = fitting.minimise(law, begin, points, origin, points.counts()[None])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    best = float(value.min())
    found = {name: float(x[0]) for name, x in law.to_symbols(theta[value.argmin()][None], origin).items()}
    print({"objective": best, **found}, flush=True)
    rows = [
        {
            "search": "ours",
            "starts": len(raw),
            "cpu_s": cpu,
            "wall_s": wall,
            "times": 1.0,
            "at_optimum": float((value <= best + CLOSE).mean()),
            "digits_agree": all(f"{found[name]:.4g}" == f"{x:.4g}" for name, x in OPTIMUM.items()),
        }
    ]
    both = plain_objective(points)
    tight = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-12}
    for name, settings in (("scipy L-BFGS-B", {}), ("scipy L-BFGS-B, tight", tight)):
        some = raw[:: options.every]
        spent, at = time.process_time(), time.perf_counter()
        ends = np.array([minimize(both, start, jac=True, method="L-BFGS-B", options=settings).fun for start in some])
        spent, at = time.process_time() - spent, time.perf_counter() - at
        scale = len(raw) / len(some)
        rows.append(
            {
                "search": name,
                "starts": len(some),
                "cpu_s": spent * scale,
                "wall_s": at * scale,
                "times": spent * scale / cpu,
                "at_optimum": float((ends <= best + CLOSE).mean()),
            }
        )
    return rows


def bench_bootstrap(options: Options) -> list[dict[str, Any]]:
    points, origin = chinchilla(options.data)
    law = LAWS["chinchilla"]
    best = fitting.solve(law, points, origin).theta
    cpu, wall = time.process_time(), time.perf_counter()
    drawn, _ = fitting.bootstrap(law, points, origin, best, 4000, np.random.default_rng(0))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return [{"resamples": len(drawn), "cpu_s": cpu, "wall_s": wall}]


# --- Mixtures ---------------------------------------------------------------------------------------------------------


def mixture_points(table: dict[str, Floats], domain: str) -> tuple[Points, Any]:
    loss = table[f"{domain}_loss"]
    rows = np.isfinite(loss)
    shares = np.stack([table[f"weight_{name}"] for name in DOMAINS], axis=1)
    number = np.unique(shares.round(5), axis=0, return_inverse=True)[1].ravel()
    points = Points(table["model_size"][rows], table["n_tokens"][rows], loss[rows], shares[rows])
    return points, number[rows]


def ours(law: Law, points: Points, origin: Frame, options: Options) -> Floats:  # noqa: ARG001
    return fitting.solve(law, points, origin, 6).theta


def hopping(law: Law, points: Points, origin: Frame, options: Options) -> Floats:
    """Fit by basin hopping over L-BFGS-B, from one random start, as arXiv 2507.09404 describes."""
    observed = np.log(points.loss)

    def both(vector: Floats) -> tuple[float, Floats]:
        predicted, slopes = law.log_loss(vector[None], points, origin)
        residual = predicted[0] - observed
        pull = np.clip(residual, -fitting.HUBER_DELTA, fitting.HUBER_DELTA)
        return float(fitting.huber(residual).sum()), slopes[0] @ pull

    start = law.starts(points, origin, np.ones((1, len(points))), 2)[0, 1]
    bounds = [(float(low), float(high)) for low, high in law.bounds(origin)]
    local = {"method": "L-BFGS-B", "jac": True, "bounds": bounds, "options": {"maxiter": 1000, "ftol": 1e-12}}
    found = basinhopping(both, start, niter=options.hops, minimizer_kwargs=local, rng=np.random.default_rng(0))
    return np.asarray(found.x, dtype=np.float64)


def missed(law: Law, kept: Points, left: Points, way: Callable[..., Floats], options: Options) -> Floats:
    origin = frame(kept)
    theta = way(law, kept, origin, options)
    return np.abs(np.expm1(law.log_loss(theta[None], left, origin)[0][0] - np.log(left.loss)))


def bench_mixtures(options: Options) -> list[dict[str, Any]]:
    table = columns(options.data / "mixture_runs_slimpajama.csv")
    ways: Sequence[tuple[str, str, Callable[..., Floats]]] = (
        ("interaction", "ours", ours),
        ("additive", "basin hopping", hopping),
        ("joint", "basin hopping", hopping),
        ("additive", "ours", ours),
        ("he", "ours", ours),
        ("transfer", "ours", ours),
    )
    rows: list[dict[str, Any]] = []
    for name, fitted_by, way in ways:
        spent = time.process_time()
        mixtures, sizes = dict[str, float](), dict[str, float]()
        for domain in DOMAINS:
            law = LAWS[name].bind(DOMAINS, domain)
            points, number = mixture_points(table, domain)
            fold = np.random.default_rng(1).permutation(int(number.max()) + 1)[number] % options.folds
            parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(options.folds)]
            errors = [missed(law, points.take(a), points.take(b), way, options) for a, b in parts]
            mixtures[domain] = float(np.concatenate(errors).mean())
            large = points.params == points.params.max()
            kept, left = points.take(np.flatnonzero(~large)), points.take(np.flatnonzero(large))
            sizes[domain] = float(missed(law, kept, left, way, options).mean())
        row = {
            "law": name,
            "fitted by": fitted_by,
            "mixtures_percent": 100 * float(np.mean(list(mixtures.values()))),
            "size_percent": 100 * float(np.mean(list(sizes.values()))),
            "github_mixtures_percent": 100 * mixtures["github"],
            "github_size_percent": 100 * sizes["github"],
            "cpu_s": time.process_time() - spent,
        }
        print(row, flush=True)
        rows.append(row)
    return rows


# --- RegMix -----------------------------------------------------------------------------------------------------------

LIGHTGBM = """
import json, sys
import lightgbm, numpy
data = json.load(sys.stdin)
settings = dict(objective="regression", metric="l1", learning_rate=1e-2, seed=42, num_threads=1, verbosity=-1)
train, test = numpy.array(data["train"]), numpy.array(data["test"])
found = []
for loss in data["losses"]:
    model = lightgbm.train(settings, lightgbm.Dataset(train, numpy.array(loss)), num_boost_round=1000)
    found.append(model.predict(test).tolist())
json.dump(found, sys.stdout)
"""


def bench_regmix(options: Options) -> list[dict[str, Any]]:
    tables = {
        (part, kind): columns(options.data / f"regmix_{part}_{kind}_1m.csv")
        for part in ("train", "test")
        for kind in ("mixture", "pile_loss")
    }
    sources = [name for name in tables["train", "mixture"] if name != "index"]
    losses = [name for name in tables["train", "pile_loss"] if name != "index"]

    def shares(part: str) -> Floats:
        found = np.stack([tables[part, "mixture"][name] for name in sources], axis=1)
        return found / found.sum(axis=1, keepdims=True)

    for part in ("train", "test"):
        assert (tables[part, "mixture"]["index"] == tables[part, "pile_loss"]["index"]).all()
    one = {part: np.ones(len(shares(part))) for part in ("train", "test")}
    truth = [tables["test", "pile_loss"][name] for name in losses]
    rows: list[dict[str, Any]] = []

    def judge(name: str, predicted: Sequence[Any], spent: float) -> None:
        ranks = [float(spearmanr(a, b).statistic) for a, b in zip(predicted, truth, strict=True)]
        error = [float(np.mean(np.abs(np.asarray(a) / b - 1))) for a, b in zip(predicted, truth, strict=True)]
        rows.append(
            {
                "method": name,
                "rank_correlation": float(np.mean(ranks)),
                "worst": min(ranks),
                "relative_error_percent": 100 * float(np.mean(error)),
                "cpu_s": spent,
            }
        )

    for name in ("additive", "ye"):
        spent = time.process_time()
        predicted: list[Floats] = []
        for loss in losses:
            law = LAWS[name].bind(sources, None)
            points = Points(one["train"], one["train"], tables["train", "pile_loss"][loss], shares("train"))
            origin = frame(points)
            theta = fitting.solve(law, points, origin, 6).theta
            tests = Points(one["test"], one["test"], one["test"], shares("test"))
            predicted.append(np.exp(law.log_loss(theta[None], tests, origin)[0][0]))
        judge(name, predicted, time.process_time() - spent)
    asked = {
        "train": shares("train").tolist(),
        "test": shares("test").tolist(),
        "losses": [tables["train", "pile_loss"][name].tolist() for name in losses],
    }
    spent = time.perf_counter()
    told = subprocess.run(
        [options.peers, "-c", LIGHTGBM], input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True
    )
    judge("LightGBM", json.loads(told.stdout), time.perf_counter() - spent)
    return rows


TOPICS: dict[str, Callable[[Options], list[dict[str, Any]]]] = {
    "starts": bench_starts,
    "bootstrap": bench_bootstrap,
    "mixtures": bench_mixtures,
    "regmix": bench_regmix,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of run tables")
    parser.add_argument("--only", nargs="*", choices=list(TOPICS), default=list(TOPICS))
    parser.add_argument("--every", type=int, default=10, help="scipy runs every so many-th start")
    parser.add_argument("--hops", type=int, default=10, help="hops of basin hopping")
    parser.add_argument("--folds", type=int, default=3, help="into how many parts mixtures are divided")
    parser.add_argument("--peers", default=".venv-peers/bin/python", help="a Python with lightgbm")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"{options.data} is not there; name the folder of run tables with --data")
    peer = [options.peers, "-c", "import lightgbm"]
    if "regmix" in options.only and subprocess.run(peer, check=False).returncode:
        sys.exit(f"{options.peers} has no lightgbm; run `bash setup/peers.sh`, or name another Python with --peers")
    for topic in options.only:
        report(topic, TOPICS[topic](options), options.out)


if __name__ == "__main__":
    main()
