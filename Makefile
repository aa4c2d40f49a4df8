# `make run` trains on the embedded dataset, real images, and evaluates on unseen classes; `make test`
# checks what a change may break, `make test-all` everything.
#
# make run TORCH_INDEX=<url or folder>   torch and torchvision come from this package index, or from
#                                        the wheels in this folder, such as those of the CPU build
# make run LOCKED=1                      the versions that were tested, from requirements-lock.txt
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done),python3)
BIN := .venv/bin
PINS = $(if $(LOCKED),-c requirements-lock.txt)
TORCH_FROM = $(if $(findstring ://,$(TORCH_INDEX)),--index-url,--no-index --find-links) '$(TORCH_INDEX)'

FIRST_RUN = $(BIN)/python main.py dataset=omniglot_small loss=triplet

.PHONY: run test test-all install check docs docs-serve lock clean

run: .venv/installed
	@echo "The network before training, on characters of alphabets that it will never train on:"
	$(FIRST_RUN) group=untrained trainer.epochs=0 "metric=[recall]"
	@echo "The same network, trained on the characters of other alphabets for about a minute:"
	$(FIRST_RUN)

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

# The documentation site; without a warning, or not at all.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

.venv/bin/python:
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	@echo "Installing the packages of requirements.txt into .venv, once. With torch's build for GPUs this"
	@echo "downloads about 3 GB, takes 7 GB of disk and 3 to 15 minutes; with its CPU build (TORCH_INDEX, see"
	@echo "the head of the Makefile) 0.5 GB, 2 GB and 1 to 5 minutes."
ifdef TORCH_INDEX
	grep -E '^torch(vision)?[>=]' requirements.txt > .venv/torch.txt
	$(BIN)/pip install -q --no-deps $(PINS) $(TORCH_FROM) -r .venv/torch.txt
endif
	$(BIN)/pip install -q $(PINS) -r requirements.txt
	touch $@

.venv/installed-test: requirements-test.txt .venv/installed | .venv/bin/python
	@echo "Installing the packages of requirements-test.txt into .venv, once: about 0.3 GB, 1 to 5 minutes."
	$(BIN)/pip install -q $(PINS) -r requirements-test.txt
	touch $@

# The versions in .venv of every package that requirements-test.txt needs, directly or not. pip-compile
# stays out of .venv, whose packages it would change.
lock: .venv/installed-test
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip install -q pip-tools
	$(BIN)/pip list --format=freeze > .venv/lock/tested.txt
	.venv/lock/bin/pip-compile -q --no-header --no-annotate --strip-extras --no-emit-index-url \
		--no-emit-find-links --no-emit-options -c .venv/lock/tested.txt \
		-o .venv/lock/pins.txt requirements-test.txt
	$(BIN)/python -c "$$LOCK_HEADER" | cat - .venv/lock/pins.txt > requirements-lock.txt

define LOCK_HEADER
import platform
print("# The versions that the whole suite was tested with; `make lock` writes this file.")
print(f"# Platform: Python {platform.python_version()} on {platform.system()} {platform.machine()}.")
print("# Elsewhere, or to install the run's packages alone, use it for versions only:")
print("# pip install -r requirements.txt -c requirements-lock.txt, or make run LOCKED=1.")
endef
export LOCK_HEADER
.venv/installed-docs: requirements-docs.txt .venv/installed | .venv/bin/python
	$(BIN)/pip install -q -r requirements-docs.txt
	touch $@

clean:
	rm -rf .venv site .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
