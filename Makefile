# `make run` trains and evaluates on a real, embedded dataset; `make test-all` checks everything.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done),python3)
BIN := .venv/bin

.PHONY: run test test-all install check clean

run: .venv/installed
	$(BIN)/python main.py dataset=digits

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist worksteal

test: .venv/installed-test check
	$(PYTEST) -m "not extended"

test-all: test
	$(PYTEST) -m extended

check: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

install: .venv/installed

.venv/bin/python:
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	$(BIN)/pip install -q -r requirements.txt
	touch $@

.venv/installed-test: requirements-test.txt .venv/installed | .venv/bin/python
	$(BIN)/pip install -q -r requirements-test.txt
	touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
