# Everything happens in an environment of its own: `make VENV=elsewhere ...` puts it elsewhere.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo test soak check bench docs clean
.DEFAULT_GOAL := help

help: ## Say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## Explain a retinopathy grader on twelve synthetic eyes, and write the report
	$(BIN)/foveal demo --out demo

test: $(VENV)/.developing ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

soak: $(VENV)/.developing ## Mutate thousands of files, stop runs at random moments (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal -m soak

check: $(VENV)/.developing ## Format, lint, types, layers of the house, licences
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tools/licences.py

bench: $(VENV)/.developing ## Measure speed as ratios against the plain forward pass
	$(BIN)/python -m benchmarks

docs: $(VENV)/.documenting ## Build the documentation into docs/_build
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

clean: ## Remove the environment and everything that was built
	rm -rf $(VENV) dist docs/_build .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "foveal needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --no-compile -c constraints.txt -e .
	touch $@

$(VENV)/.developing: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --no-compile -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.documenting: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --no-compile -c constraints.txt -e '.[docs]'
	touch $@ $(VENV)/.installed
