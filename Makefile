# Every verb sets up .venv by itself, from a Python 3.11 or newer and the hash-locked requirements.
# `make test ARGS="-k kmeans"` hands ARGS on; `make PYTHON=python3.12` picks the interpreter.

BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 2
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

.PHONY: help env clusters demo test check fmt bench docs lock clean
.PHONY: check-format check-lint check-types check-layers check-sizes
.DEFAULT_GOAL := help

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

env: $(READY) ## set up .venv (every other verb does it when needed)

clusters: ## add Spark, Ray and the remote stores to .venv, so that their tests run too
	@mkdir -p .venv && touch .venv/.clusters
	@rm -f $(READY)
	@$(MAKE) --no-print-directory env

$(READY): pyproject.toml requirements/uv.lock requirements/dev.lock requirements/clusters.lock \
		scripts/environment.sh
	@echo "setting up .venv"
	@PYTHON="$(PYTHON)" sh scripts/environment.sh
	@touch $(READY)

demo: $(READY) ## see it work, in a minute
	@$(BIN)/motherlode demo $(ARGS)

test: $(READY) ## run the tests
	@$(BIN)/pytest -n $(WORKERS) $(ARGS)

check: check-format check-lint check-types check-layers check-sizes ## format, lint, types, import layers, sizes (-k: go on after a failure)

check-format: $(READY)
	@$(BIN)/ruff format --check .

check-lint: $(READY)
	@$(BIN)/ruff check .

check-types: $(READY)
	@$(BIN)/mypy

check-layers: $(READY)
	@$(BIN)/lint-imports --no-logo

check-sizes: $(READY)
	@$(BIN)/python scripts/check_sizes.py

fmt: $(READY) ## format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) ## measure speed against the peers
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## regenerate the generated parts of the documentation
	@$(BIN)/python scripts/docs.py $(ARGS)

lock: $(READY) ## pin the dependencies anew (ARGS=--upgrade for the newest)
	@$(LOCK) $(ARGS) --output-file requirements/uv.lock requirements/uv.in
	@$(LOCK) $(ARGS) --extra plot --extra pandas --output-file requirements/dev.lock \
		pyproject.toml requirements/dev.in
	@$(LOCK) $(ARGS) --all-extras --output-file requirements/clusters.lock \
		--constraint requirements/dev.lock \
		pyproject.toml requirements/dev.in requirements/clusters.in

clean: ## remove .venv and everything built or cached
	@rm -rf .venv .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
