# make demo    install, train densenet_fpn on the embedded data set, print the result
# make test    install, run the core tests
# make help    the other targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test processes share the cores; more threads each would only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# What takes longest, the trained reference, begins first; the rest goes to the other process, a file at a time.
PYTEST_LONG := $(PYTEST) -n 2 --dist loadgroup --no-loadscope-reorder
PLUGINS := $(patsubst %/,test-%,$(wildcard plugins/*/))

# Processes that tests start compile nothing that one before them has.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-plugins test-generated-plugins test-slow test-recipes test-long test-longest test-gpu lint types check docs bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cxrbench needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras; a changed pyproject or constraints installs again.
$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/.installed $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

demo: $(VENV)/.installed  ## train, calibrate, threshold and evaluate on the embedded data set (minutes)
	$(BIN)/cxrbench run --backbone densenet_fpn --thresholds dynamic

# A file at a time, so that what its tests share is made once.
test: $(VENV)/.dev  ## the core tests
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not gpu and not recipes and not longest"

# Each plugin is installed as a user's package into an environment of its own, which sees this one.
test-plugins: $(VENV)/.dev  ## the packages of plugins/, each installed as an outsider: minutes
	$(MAKE) --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) $(PLUGINS) test-generated-plugins

.PHONY: $(PLUGINS)
$(PLUGINS): test-plugins/%: $(VENV)/.dev
	$(BIN)/python tests/plugin_environment.py plugins/$*
	cd plugins/$* && OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q
	OMP_NUM_THREADS=1 plugins/$*/.venv/bin/python -m pytest -q tests/slow/test_pages.py -k plugin_shows

# What 'cxrbench plugins new' writes.
test-generated-plugins: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/generated_plugins.py build/generated

test-slow: $(VENV)/.dev  ## real networks really learn: minutes each
	$(PYTEST_LONG) -m slow

test-longest: $(VENV)/.dev  ## three seeds of the reference, compiled networks: an hour
	$(BIN)/python -m pytest -m longest

test-recipes: $(VENV)/.dev  ## every recipe through all stages, small: minutes
	$(PYTEST_LONG) -m recipes

test-long: $(VENV)/.dev  ## slow tests and recipes: together they keep two cores busy
	$(PYTEST_LONG) -m "slow or recipes"

test-gpu: $(VENV)/.dev  ## what only a CUDA device can show; skipped, saying so, where there is none
	$(BIN)/python -m pytest -m gpu

lint: $(VENV)/.dev  ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

docs: $(VENV)/.dev  ## the documentation, as a site that works offline: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: lint types test  ## all that a change must pass

# nih_lookalike.py makes images for the others.
bench: $(VENV)/.bench  ## the figures of the docs, as ratios measured side by side on this machine
	for script in $(filter-out %/nih_lookalike.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:  ## remove the environment and caches (not results/)
	rm -rf $(VENV) plugins/*/.venv plugins/*/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
