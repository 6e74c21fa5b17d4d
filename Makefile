# Interlayer: `make demo` shows it, `make test` proves it. Needs Python (3.11 to 3.14) and make, nothing else.
# Written for GNU make 3.81 (macOS) and newer.

SECONDS ?= 30
BROKER ?= embedded
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin

# Kernels against their twins, schemas, and the project's frame; proofs of the whole engine are left to `make test`.
QUICK := tests/schemas tests/strategies tests/test_project.py tests/test_tidy.py tests/test_docs.py \
	$(addprefix --ignore=tests/strategies/,test_cuts.py test_guard_holds.py test_mutations.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check prove style types contracts docs lock clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## the virtual environment from the lock (PYTHON=python3.12 chooses the interpreter)
	@PYTHON="$(PYTHON)" sh scripts/setup.sh $(VENV)

demo: setup ## a market, Kafka and a worker for 30 s (SECONDS=, BROKER=embedded|jvm|kafka://host:port)
	@$(BIN)/interlayer demo --seconds $(SECONDS) --broker $(BROKER)

test: setup style types contracts ## style, types, import contracts and every test
	$(BIN)/python -m pytest

check: setup style types contracts ## the quick lane: no broker, under 60 s when warm
	$(BIN)/python -m pytest -m "not prove and not kafka and not recording" $(QUICK)

prove: setup ## the long proofs, whole
	$(BIN)/python -m pytest -m prove -o faulthandler_timeout=3600

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

docs: setup ## write the tables of README and guide that are made from the code
	$(BIN)/python -m tests.docs

lock: ## resolve the dependencies anew (needs uv)
	@sh scripts/lock.sh

clean: ## remove the environment, caches and what was measured
	rm -rf $(VENV) .interlayer out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
