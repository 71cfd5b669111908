# Every way of working on lmigrate. `make help` lists the targets; CI calls the same ones.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Debian's own interpreter: the virtual environment must also work inside the lab's namespaces.
PYTHON ?= /usr/bin/python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKS := build base dev

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- set-up ---------------------------------------------------------------------------------------

.PHONY: setup
setup: deps venv ## Install everything that is missing: Debian packages, then the virtual environment

.PHONY: deps
deps: ## Install the Debian packages of requirements/debian.txt that are missing
	@contrib/install-debian-packages requirements/debian.txt

.PHONY: venv
venv: $(VENV)/.stamp ## Build the virtual environment from the hashed locks

$(VENV)/.stamp: pyproject.toml setup.py $(LOCKS:%=requirements/%.txt)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lmigrate needs Python 3.11 or newer")'
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt
	$(PIP) install --require-hashes --no-build-isolation -r requirements/base.txt -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $@

.PHONY: lock
lock: ## Resolve requirements/*.in again into hashed locks
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	for lock in $(LOCKS); do \
	  uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --upgrade \
	    --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
	    --custom-compile-command 'make lock' -o requirements/$$lock.txt requirements/$$lock.in; \
	done
