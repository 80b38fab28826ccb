# Two commands do everything: `make demo` and `make test`. Both set up what they need first.
# Users with GPUs choose the torch build:  make demo TORCH="torch==2.11.0 --index-url URL"
PYTHON ?= python3
TORCH ?= torch==2.13.0
export PYTHON TORCH
BIN := .venv/bin

.PHONY: demo test environment toolchains lint

demo: toolchains environment ## the main job on real packages, ending in a report
	$(BIN)/polymix demo

test: toolchains environment lint ## every check of the project
	$(BIN)/pytest

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

environment: toolchains
	@bash setup/environment.sh

toolchains:
	@bash setup/toolchains.sh
