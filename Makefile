# Everything here makes .venv itself. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready

.PHONY: help setup run test check format bench soak lock clean

help:
	@echo "make run     start the server with a demo world"
	@echo "make test    run all tests (a quarter of an hour on 2 cores)"
	@echo "make check   formatting, lint, types, architecture"
	@echo "make format  put the code into its format"
	@echo "make bench   measure; see docs/performance.md"
	@echo "make soak    long searches for rare faults"
	@echo "make lock    lock the requirements anew after changing pyproject.toml"

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock examples/weather/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . -e examples/weather
	@touch $@

run: setup
	@exec $(BIN)/fablewright demo

test: setup
	@$(BIN)/python -m tests.run

check: setup
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/architecture

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup
	@$(BIN)/fablewright bench

soak: setup
	@$(BIN)/python -m pytest -q -m soak -o faulthandler_timeout=0 tests

lock: setup
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV)
