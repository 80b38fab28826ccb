# Two commands do everything: `make demo` and `make test`. Both set up what they need first.
# Users with GPUs choose the torch build:  make demo TORCH="torch==2.11.0 --index-url URL"
PYTHON ?= python3
TORCH ?= torch==2.13.0
export PYTHON TORCH
BIN := .venv/bin

BENCH := build-bench
export POLYMIX_BENCH := $(BENCH)/files.parquet

# Files that `polymix validate` reads, whose programs `bench` runs in their languages:  make bench PAIRS="a.jsonl b.jsonl"
PAIRS ?=

# Files of tests that `test` runs at once, in their order: those that take long come first.
JOBS ?= 2

# Run tables that others made, which laws are fitted to where they are there.
TABLES ?= ../shared/data

.PHONY: demo test prove bench bench-gpu bench-data environment toolchains lint

demo: toolchains environment ## the main job on real packages, ending in a report
	$(BIN)/polymix demo

test: toolchains environment lint ## every check of the project
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

prove: bench-data ## proofs too heavy for `test`: corpora several times as large as the memory (up to 90 minutes)
	$(BIN)/pytest -m prove --timeout 5000 tests

bench: bench-data ## speed beside accuracy, peers in the same run (an hour or two); rows in build-bench/TOPIC.json
	bash setup/peers.sh
	for topic in dedup classification secrets contamination tokenize shards spark; do \
	    $(BIN)/python -m tests.benchmark.bench_$$topic --data $(POLYMIX_BENCH) --out $(BENCH)/$$topic.json || exit 1; \
	done
	$(BIN)/python -m tests.benchmark.bench_decision --out $(BENCH)/decision.json
	[ ! -d "$(TABLES)" ] || $(BIN)/python -m tests.benchmark.bench_fit --data $(TABLES) --out $(BENCH)/fit.json
	[ -z "$(PAIRS)" ] || $(BIN)/python -m tests.benchmark.bench_validation --pairs $(PAIRS) --out $(BENCH)/validation.json

bench-gpu: environment ## training speed of one GPU, stock torchtitan in the same run (some 20 minutes)
	$(BIN)/python -m tests.benchmark.bench_gpu --out $(BENCH)/gpu.json

bench-data: toolchains environment
	[ -f $(POLYMIX_BENCH) ] || $(BIN)/python -m tests.benchmark.data --out $(POLYMIX_BENCH)

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

environment: toolchains
	@bash setup/environment.sh
	@bash setup/dotnet.sh

toolchains:
	@bash setup/toolchains.sh
