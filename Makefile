# What README, CI and people run. Everything happens in .venv; nothing is installed elsewhere.

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check docs-check bench search validation engine lock clean

# The first Python that is new enough; say PYTHON=... for another.
CANDIDATES = python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
ENGINE_VERSION = 0.5.3-beta.196
ARGS ?=

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: .venv/ready ## make .venv with the locked dependencies; quick when nothing changed

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version); the first time takes a minute"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) install -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

demo: setup ## serve a small imaginary clinic on 127.0.0.1:8000 and say what to try
	@$(BIN)/fhir-server demo $(ARGS)

serve: setup ## serve on 127.0.0.1:8000 with data of your own; ARGS="--port 8080 --workers 2"
	@$(BIN)/fhir-server serve $(ARGS)

test: setup ## the whole test suite; ARGS="tests/unit -k settings"; FHIR_TEST_MONGODB_URL for another database
	@$(BIN)/python -m pytest $(ARGS)

check: setup ## style, types, layers; and which files are longest
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@git ls-files '*.py' | xargs wc -l | sort -rn | sed -n '2,6p'

docs-check: setup ## links of the documentation, and the references against the code
	@$(BIN)/python -m pytest tests/unit/test_docs.py tests/unit/test_settings.py

bench: setup ## measure against the database and the HTTP server alone; `make bench search` how searches grow, `make bench validation` what profiles and codes cost
	@$(BIN)/python -m tests.benchmarks $(filter search validation,$(MAKECMDGOALS)) $(ARGS)

search validation: bench
	@:

engine: ## build secantusd-rs, the faster embedded database, in .engine (5 minutes, once; needs cargo)
	@if [ -x .engine/bin/secantusd-rs ]; then echo ".engine/bin/secantusd-rs is there"; \
	elif ! command -v cargo >/dev/null; then echo "no cargo, so no secantusd-rs; secantusd-py serves as well, slower"; \
	else cargo install secantus-mdb --version $(ENGINE_VERSION) --ignore-rust-version --locked --root .engine; fi

lock: setup ## pin the newest versions that pyproject.toml allows in requirements.lock
	@$(PIP) install pip-tools
	@CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --all-extras --strip-extras --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml

clean: ## remove .venv and caches; data/ and .engine stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
