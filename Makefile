# The whole developer interface. Everything runs in .venv, which the first command makes.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow lint docs clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo        install refold into .venv and see it learn on real data"
	@echo "make test        lint, types and the whole test suite"
	@echo "make test-slow   the proofs that take minutes"
	@echo "make bench-NAME  one table of benchmarks/ (bench-mnist, ...)"
	@echo "make docs        build the documentation into site/"
	@echo "make clean       remove everything the commands above made"

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "refold needs Python 3.11, 3.12 or 3.13; none was found on the PATH. Name one with: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo: $(VENV)/made pyproject.toml constraints.txt
	@echo "installing refold into $(VENV) (the first time takes a minute or two)"
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/test $(VENV)/bench $(VENV)/docs: $(VENV)/%: $(VENV)/made pyproject.toml constraints.txt
	@echo "installing refold[$*] into $(VENV) (the first time takes a minute or two)"
	@$(PIP) --editable '.[$*]'
	@touch $@

demo: $(VENV)/demo
	$(BIN)/refold demo

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/test
	$(BIN)/python -m pytest -m slow

bench-%: $(VENV)/bench
	$(BIN)/python benchmarks/$*.py

docs: $(VENV)/docs
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) site refold-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
