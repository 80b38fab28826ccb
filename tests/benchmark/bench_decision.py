"""Whether decisions are as good as they say, on laws that are known because they were planted, and what they cost.

    python -m tests.benchmark.bench_decision [--studies 200] [--out FILE]

Tables:

- `allocation`: sweeps of the paper's grid, simulated from laws with its exponents and constants and a noise of .002,
  are fitted and allocated; regret of the result and of uniform under the laws that made the runs, as parts of the loss.
- `synergy`: how often the 95% interval of a gain holds the true one, with the noise estimated from two seeds a cell.
- `next`: expected regret after the runs that `next_runs` chooses, and after random ones of the same price, judged on
  draws that the choice did not see, in millionths of the unit.
- `next_mixtures`: regret under the true laws, planted with transfer, of the allocation by laws of mixtures fitted to a
  first sweep, to that with the runs that `next_runs` chooses made as well, and to that with random runs of the same
  price instead (a mean of some), in millionths of the unit.
- `solver`: CPU seconds for 200 draws of 7 languages, the certificate, and SLSQP on one draw in the same process.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from analysis import fitting, laws
from analysis.allocate import allocate
from analysis.allocation_inputs import estimated_symbols, mixture_laws
from analysis.laws import LAWS, Points
from analysis.next_runs import Candidate, Decision, joint_draws, list_candidates, next_runs, usual_mixtures
from analysis.problem import Problem, coupled, losses, marginal_gain, solve, value
from analysis.published import table
from analysis.transfer import Mixed, synergies
from quality.progress import progress
from tests.benchmark.measure import report
from training.sizes import size

NOISE = 0.002
CURVES = LAWS["chinchilla"]
PAPERS = LAWS["monolingual"]
THREE = {
    "python": {"A": 60.0, "B": 900.0, "E": 0.6, "alpha": 0.3, "beta": 0.34},
    "go": {"A": 50.0, "B": 700.0, "E": 0.5, "alpha": 0.3, "beta": 0.32},
    "rust": {"A": 70.0, "B": 1100.0, "E": 0.55, "alpha": 0.3, "beta": 0.36},
}
TAU = {
    ("python", "go"): 0.30,
    ("python", "rust"): 0.0,
    ("go", "python"): 0.25,
    ("go", "rust"): -0.10,
    ("rust", "python"): 0.10,
    ("rust", "go"): 0.45,
}


def papers_laws() -> list[dict[str, float]]:
    """Figure 2, with the unpublished constants set so that each term is a fifth to a third of a nat at 1B and 10B."""
    return [
        {
            "aN": row["aN"],
            "aD": row["aD"],
            "Linf": row["Linf"],
            "Nc": 1e9 * (0.2 + 0.02 * place) ** (1 / row["aN"]),
            "Dc": 1e10 * (0.3 - 0.02 * place) ** (1 / row["aD"]),
        }
        for place, row in enumerate(table("language_laws").to_pylist())
    ]


def regret_of_planted(study: int, budget: float = 350e9, params: float = 1.5e9) -> tuple[float, float]:
    """Return regret of the recommended and of the uniform allocation under the true laws, as parts of the loss."""
    rng = np.random.default_rng(study)
    axes = table("grid").to_pylist()
    n, d = (np.array([float(row["value"]) for row in axes if row["axis"] == axis]) for axis in ("params", "tokens"))
    sizes, tokens = np.repeat(n, len(d)), np.tile(d, len(n))
    truth = papers_laws()
    found: list[dict[str, float]] = []
    for symbols in truth:
        loss = PAPERS.predict(symbols, sizes, tokens) * np.exp(NOISE * rng.normal(size=len(sizes)))
        points = Points(sizes, tokens, loss)
        origin = laws.frame(points)
        best = fitting.solve(PAPERS, points, origin, starts=8)
        found.append({name: float(one[0]) for name, one in PAPERS.to_symbols(best.theta[None], origin).items()})
    true, fitted = (
        problem_of(PAPERS, {name: np.array([[row[name] for row in rows]]) for name in PAPERS.symbols}, budget, params)
        for rows in (truth, found)
    )
    at = [
        float((losses(true, each) @ true.weights)[0])
        for each in (solve(fitted), np.full((1, len(found)), budget / len(found)), solve(true))
    ]
    return at[0] / at[2] - 1, at[1] / at[2] - 1


def problem_of(law: laws.Law, symbols: dict[str, np.ndarray], budget: float, params: float) -> Problem:
    """Return a problem of languages that count alike, without limits."""
    count = next(iter(symbols.values())).shape[1]
    even = np.full(count, 1 / count)
    return Problem(law, symbols, params, budget, even, np.full(count, np.inf), 4.0, even)


def loss_of(target: str, params: float, tokens: float, shares: dict[str, float]) -> float:
    """Return the planted loss of a language under a mixture."""
    data = tokens * sum(part * (1.0 if name == target else TAU[target, name]) for name, part in shares.items())
    return float(CURVES.predict(THREE[target], params, data))


def planted_mixtures(
    seeds: int = 3, noise: float = NOISE, rng: int = 0, ratios: Sequence[float] = (0.5,)
) -> list[Mixed]:
    """Return runs of three languages alone and in pairs, with planted tau."""
    generator = np.random.default_rng(rng)

    def made() -> Iterator[tuple[str, float, dict[str, float]]]:
        for target in THREE:
            for tokens in (16e9, 32e9):
                yield target, tokens, {target: 1.0}
        for target, other in permutations(THREE, 2):
            for ratio in ratios:
                yield target, 32e9, {target: ratio, other: 1 - ratio}

    return [
        Mixed(
            target,
            1e9,
            tokens,
            tuple(sorted(shares.items())),
            1.0,
            seed,
            loss_of(target, 1e9, tokens, shares) * math.exp(noise * generator.normal()),
        )
        for target, tokens, shares in made()
        for seed in range(seeds)
    ]


def covered(studies: int) -> float:
    """Return how often intervals of gains hold the true one, noise from two seeds a cell."""
    true = {
        (row["target"], row["auxiliary"], row["baseline"]): row["relative"]
        for row in synergies(planted_mixtures(seeds=1, noise=0.0))["synergy"]
    }
    inside = [
        row["interval"][0] <= true[row["target"], row["auxiliary"], row["baseline"]] <= row["interval"][1]
        for study in range(studies)
        for row in synergies(planted_mixtures(seeds=2, rng=study))["synergy"]
    ]
    return float(np.mean(inside))


def uncertain_fits(spread: dict[str, float], draws: int, rng: int = 0) -> list[dict[str, Any]]:
    """Return laws whose exponent of D is uncertain around a pivot at 1e9 tokens, where all draws agree."""
    generator = np.random.default_rng(rng)
    found: list[dict[str, Any]] = []
    for language, symbols in THREE.items():
        some: list[dict[str, float]] = []
        for _ in range(draws):
            beta = symbols["beta"] * math.exp(spread.get(language, 0.0) * generator.normal())
            some.append({**symbols, "beta": beta, "B": symbols["B"] * 1e9 ** (beta - symbols["beta"])})
        found.append(
            {
                "law": "chinchilla",
                "unit": "bits_per_byte",
                "group": language,
                "n_runs": 20,
                "residual": NOISE,
                "estimates": symbols,
                "draws": some,
                "ranges": {"params": [1e8, 1e9], "tokens": [1e9, 8e9]},
                "columns": {"params": "params_non_embedding"},
            }
        )
    return found


def regret_after(decision: Any, runs: Sequence[Candidate]) -> float:
    """Return the expected regret on draws that no choice was made by."""
    noise = np.full(len(decision.languages), NOISE * 1.15)
    known = decision.nothing(noise)
    for number, run in enumerate(runs):
        for place, further in decision.outcomes(run, noise, np.random.default_rng(number)).items():
            known[place] = known[place] + further
    return decision.regret(sum(decision.expected(place, one) for place, one in enumerate(known)))


def next_against_random(study: int, budget: float = 3e19) -> tuple[float, float, float]:
    """Return the regret without runs, after those chosen, and after random ones of the price (a mean of ten)."""
    rng = np.random.default_rng(study)
    labels, lengths = ["0.1B", "0.2B", "0.4B"], [1e9, 2e9, 4e9, 8e9]
    spread = {name: float(rng.choice([0.02, 0.05, 0.2])) for name in THREE}
    fits = uncertain_fits(spread, 150, study)
    choice = next_runs(fits, tokens=1e10, params=1e9, budget=budget, sizes=labels, run_tokens=lengths, seed=study)
    symbols = joint_draws(uncertain_fits(spread, 200, 1000 + study), study)
    decision = Decision.of(problem_of(CURVES, symbols, 1e10, 1e9), list(THREE))
    chosen = [
        Candidate(run["mixture"], run["shares"], run["size"], run["params"], run["tokens"], run["flops"])
        for run in choice["runs"]
    ]
    candidates = list_candidates(fits, {name: {name: 1.0} for name in THREE}, labels, lengths, 32_000, None)
    random: list[float] = []
    for _ in range(10):
        left, picked = choice["spent"], []
        for place in rng.permutation(len(candidates)):
            if candidates[place].flops <= left:
                picked.append(candidates[place])
                left -= candidates[place].flops
        random.append(regret_after(decision, picked))
    return regret_after(decision, []), regret_after(decision, chosen), float(np.mean(random))


def planted_transfer(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return laws of three languages that gain from each other by random amounts, in the form of fits."""
    found: list[dict[str, Any]] = []
    for target, symbols in THREE.items():
        tau = {f"tau.{other}": float(np.exp(rng.normal(-1.5, 0.8))) for other in THREE if other != target}
        own = {**symbols, "B": symbols["B"] * float(np.exp(0.3 * rng.normal()))}
        found.append({"law": "transfer", "group": target, "sources": list(THREE), "target": target})
        found[-1]["estimates"] = {**own, **tau}
    return found


def made_runs(
    truth: Sequence[dict[str, Any]], runs: Sequence[tuple[float, float, Mapping[str, float]]], noise: float, seed: int
) -> list[Points]:
    """Return what runs of (N, D, shares) would show of each language; a run shows the same wherever it stands."""
    n, d = (np.array([run[place] for run in runs]) for place in (0, 1))
    shares = np.array([[run[2].get(name, 0.0) for name in THREE] for run in runs])
    found: list[Points] = []
    for place, one in enumerate(truth):
        scatter = np.array(
            [
                np.random.default_rng([seed, place, int(a), int(b), *(1e6 * h).astype(int)]).normal()
                for a, b, h in zip(n, d, shares, strict=True)
            ]
        )
        loss = laws.law_of(one).predict(one["estimates"], n, d, shares)
        found.append(Points(n, d, loss * np.exp(noise * scatter), shares))
    return found


def fits_to_mixtures(truth: Sequence[dict[str, Any]], seen: Sequence[Points], draws: int) -> list[dict[str, Any]]:
    """Return fits of the law that was planted, in the form that `polymix fit` prints."""
    found: list[dict[str, Any]] = []
    for one, points in zip(truth, seen, strict=True):
        law, origin = laws.law_of(one), laws.frame(points)
        best = fitting.solve(law, points, origin, starts=16)
        drawn = np.zeros((0, len(law.symbols)))
        if draws:
            drawn = fitting.bootstrap(law, points, origin, best.theta, draws, np.random.default_rng(0))[0]
        rows = [
            {name: float(value[row]) for name, value in law.to_symbols(theta, origin).items()}
            for theta in (best.theta[None], drawn)
            for row in range(len(theta))
        ]
        residual = np.log(points.loss) - law.log_loss(best.theta[None], points, origin)[0][0]
        found.append(
            {
                **one,
                "unit": "bits_per_byte",
                "n_runs": len(points),
                "residual": float(np.sqrt((residual**2).mean())),
                "estimates": rows[0],
                "draws": rows[1:],
                "ranges": {"params": [points.params.min(), points.params.max()], "tokens": [2e8, 8e8]},
                "columns": {"params": "params_non_embedding"},
            }
        )
    return found


def next_mixtures_against_random(study: int, random: int = 4) -> tuple[float, float, float]:
    """Return the true regret by the first sweep, with the chosen runs made too, and with random ones instead (mean)."""
    noise, tokens, params = NOISE, 2e10, 3e8
    truth = planted_transfer(np.random.default_rng(study))
    labels, lengths = ["8M", "20M", "50M"], [2e8, 8e8, 3.2e9]
    # Mixtures that differ little say little of what languages gain from each other.
    near = [{other: 0.4 if other == name else 0.3 for other in THREE} for name in THREE]
    first = [
        (float(size(label).non_embedding_parameters), length, shares)
        for label in labels[:2]
        for length in lengths[:2]
        for shares in near
    ]
    problem = replace(
        problem_of(laws.law("transfer"), {"": np.ones((1, len(THREE)))}, tokens, params),
        symbols=estimated_symbols(truth),
        mixed=mixture_laws(truth),
    )

    def regret(more: Sequence[Candidate | dict[str, Any]]) -> float:
        rows = [one if isinstance(one, dict) else vars(one) for one in more]
        runs = [*first, *((row["params"], row["tokens"], row["shares"]) for row in rows)]
        answer = allocate(
            fits_to_mixtures(truth, made_runs(truth, runs, noise, study), 0), tokens=tokens, params=params
        )
        chosen = np.array([[float(answer["tokens"][name]) for name in THREE]])
        return float(((losses(problem, chosen) - losses(problem, solve(problem))) @ problem.weights)[0])

    fits = fits_to_mixtures(truth, made_runs(truth, first, noise, study), 60)
    budget: dict[str, Any] = {"tokens": tokens, "params": params, "budget": 2e17}
    choice = next_runs(fits, **budget, sizes=labels, run_tokens=lengths, seed=study)
    candidates = list_candidates(fits, usual_mixtures(dict.fromkeys(THREE, 1 / 3)), labels, lengths, 32_000, None)
    others: list[float] = []
    for number in range(random):
        left, picked = choice["spent"], []
        for place in np.random.default_rng([study, number]).permutation(len(candidates)):
            if candidates[place].flops <= left:
                picked.append(candidates[place])
                left -= candidates[place].flops
        others.append(regret(picked))
    return regret([]), regret(choice["runs"]), float(np.mean(others))


def solver_rows() -> list[dict[str, Any]]:
    """Time the solver with and without transfer, beside SLSQP on one draw."""
    rng = np.random.default_rng(0)
    languages, draws = 7, 200
    beta = rng.uniform(0.25, 0.4, (1, languages)) * np.exp(0.03 * rng.normal(size=(draws, languages)))
    symbols = {
        "A": np.full((draws, languages), 100.0),
        "B": rng.uniform(0.2, 1, (1, languages)) * 1e9**beta,
        "E": np.ones((draws, languages)),
        "alpha": np.full((draws, languages), 0.3),
        "beta": beta,
    }
    alone = replace(problem_of(CURVES, symbols, 3.5e11, 1e9), unique=rng.uniform(1e10, 1e11, languages))
    tau = rng.uniform(0, 0.4, (1, languages, languages)) * (1 - np.eye(languages))
    helped = replace(alone, tau=tau)
    rows: list[dict[str, Any]] = []
    harmed = replace(alone, tau=tau - 0.15 * (tau > 0))
    for name, problem in (("own tokens only", alone), ("tau", helped), ("tau, some below 0", harmed)):
        begun = time.process_time()
        solve(problem)
        rows.append({"problem": name, "draws": draws, "cpu_seconds": time.process_time() - begun})
    found, gap = coupled(helped, solve(alone))
    one = replace(helped, symbols={name: column[:1] for name, column in symbols.items()})
    begun = time.process_time()
    peer = minimize(
        lambda shares: float(value(one, shares[None] * one.budget)[0]),
        np.full(languages, 1 / languages),
        jac=lambda shares: -marginal_gain(one, shares[None] * one.budget)[0] * one.budget,
        method="SLSQP",
        bounds=list(zip(one.lowest / one.budget, one.caps / one.budget, strict=True)),
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    rows.append(
        {
            "problem": "tau, SLSQP",
            "draws": 1,
            "cpu_seconds": time.process_time() - begun,
            "ours_minus_slsqp_e9": 1e9 * (float(value(one, found[:1])[0]) - float(peer.fun)),
            "gap_median_e9": 1e9 * float(np.median(gap)),
            "gap_largest_e9": 1e9 * float(gap.max()),
        }
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    report("solver", solver_rows(), arguments.out)
    regrets = np.array([regret_of_planted(study) for study in progress(range(arguments.studies), unit="study")])
    row = {
        "studies": len(regrets),
        "regret_mean_ppm": 1e6 * float(regrets[:, 0].mean()),
        "regret_largest_ppm": 1e6 * float(regrets[:, 0].max()),
        "uniform_regret_mean_ppm": 1e6 * float(regrets[:, 1].mean()),
    }
    report("allocation", [row], arguments.out)
    often = 3 * arguments.studies
    report("synergy", [{"studies": often, "covered": covered(often)}], arguments.out)
    runs = np.array([next_against_random(study) for study in range(max(arguments.studies // 7, 1))])
    row = {
        "studies": len(runs),
        **dict(zip(("without_e6", "chosen_e6", "random_e6"), (1e6 * runs.mean(axis=0)).tolist(), strict=True)),
        "chosen_better": int((runs[:, 1] < runs[:, 2]).sum()),
    }
    report("next", [row], arguments.out)
    runs = np.array([next_mixtures_against_random(study) for study in range(max(arguments.studies // 7, 1))])
    row = {
        "studies": len(runs),
        **dict(zip(("without_e6", "chosen_e6", "random_e6"), (1e6 * runs.mean(axis=0)).tolist(), strict=True)),
        "chosen_better": int((runs[:, 1] < runs[:, 2]).sum()),
    }
    report("next_mixtures", [row], arguments.out)


if __name__ == "__main__":
    main()
