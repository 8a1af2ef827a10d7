# Two commands do everything on a fresh machine: `make repro` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
STAMP := $(VENV)/.installed
# The environment's programs come first, so that DVC's `python -m ...` is this environment's.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export GOMP_SPINCOUNT := 0
export RAY_USAGE_STATS_ENABLED := 0
export DVC_NO_ANALYTICS := 1
# DVC, MLflow and Ray ask for the user's name and home; a container may know neither.
export USER ?= $(shell whoami 2>/dev/null || echo uid-$$(id -u))
ifeq ($(strip $(HOME)),)
export HOME := $(or $(shell getent passwd $$(id -u) | cut -d: -f6),$(shell mkdir -p .runs/home)$(CURDIR)/.runs/home)
endif
PRESET ?=
# What `make clean` removes where no environment is installed; pipelines.clean does elsewhere.
MADE := outputs reports .runs mlruns mlflow.db* plots dvc_plots \
  .pytest_cache .ruff_cache .mypy_cache .import_linter_cache

.PHONY: help setup repro test soak lint ui bench clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv and install everything from pinned versions

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found: install Python 3.11 (Debian: apt install python3.11 python3.11-venv), or name another with make PYTHON=..."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "installing pinned packages (once; a few minutes and about 7 GB)"
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

repro: setup  ## run the whole pipeline; PRESET=name puts a preset in place first
	@if [ -n "$(PRESET)" ]; then python -m pipelines.preset $(PRESET); fi
	@python -m pipelines.doctor
	dvc repro
	@echo "done: open reports/report.html, look at outputs/evaluate/*/samples.png, or run: make ui"

test: setup  ## lint, types, import contract, tests
	@$(MAKE) --no-print-directory lint
	pytest -n 2 --dist loadfile --no-loadscope-reorder

soak: setup  ## the tests that are too long for make test: whole sweeps
	pytest -m soak

lint: setup  ## ruff, mypy, import contract
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

ui: setup  ## open the runs in the MLflow UI on 127.0.0.1:5000
	@python -m pipelines.ui

bench: setup  ## timings, printed as ratios
	python -m benchmarks.run

clean:  ## list what runs made, ask, remove it (not .venv, not DVC's cache); YES=1 does not ask
	@[ -f pipelines/clean.py ] || { echo "error: $(CURDIR) does not hold this project: nothing is removed"; exit 1; }
	@if [ -x $(VENV)/bin/python ]; then python -m pipelines.clean $(if $(YES),--yes); exit; fi; \
	for lock in .runs/*.lock .runs/*/writing.lock; do \
	  if [ -f "$$lock" ] && command -v flock >/dev/null && ! flock -n "$$lock" true; then \
	    echo "error: a process still uses $${lock%.lock}: stop it first"; exit 1; fi; done; \
	if [ -z "$(YES)" ]; then \
	  echo "there is no .venv here, so nothing is asked: make clean YES=1  removes $(MADE)"; exit 1; fi; \
	rm -rf $(MADE); \
	find . -name .venv -prune -o -name .git -prune -o -name .dvc -prune -o \
	  -name __pycache__ -type d -prune -exec rm -rf {} +
