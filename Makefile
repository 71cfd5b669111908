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
UV := $(BIN)/uv --quiet
COMPILE := $(UV) pip compile --generate-hashes --no-annotate --upgrade \
	--python-version 3.11 --python-platform x86_64-unknown-linux-gnu --custom-compile-command 'make lock'
LOCKS := build base dev
# What the extras of pyproject.toml need. The tests use cinder and keystone; brick needs a kernel initiator and is not installed.
EXTRAS := cinder brick keystone
# OpenStack's own clients, which the tests drive: each with the libraries of its day, in an environment of its own.
CLIENTS := osc-10 osc-7 osc-6
CLIENTS_DIR := .clients
# Labs are namespaces, and namespaces are root's.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- set-up ---------------------------------------------------------------------------------------

.PHONY: setup
setup: deps venv ## Install everything that is missing: Debian packages, then the virtual environment

# The extras that a machine needs: make install WITH="cinder keystone"
WITH :=
.PHONY: install
install: ## Install what runs lmigrate on a host or on control, and nothing that only its tests and its lab need
	@contrib/install-debian-packages requirements/debian-runtime.txt
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt
	$(PIP) install --require-hashes --no-build-isolation -r requirements/base.txt $(WITH:%=-r requirements/%.txt)
	$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .

.PHONY: deps
deps: ## Install the Debian packages of requirements/debian.txt that are missing
	@contrib/install-debian-packages requirements/debian.txt

.PHONY: venv
venv: $(VENV)/.stamp $(VENV)/nova/.stamp ## Build the virtual environment from the hashed locks

# Not pyproject.toml: most of it is for the tools. After a change of its [project] table: rm .venv/.stamp
$(VENV)/.stamp: setup.py $(LOCKS:%=requirements/%.txt) requirements/cinder.txt requirements/keystone.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lmigrate needs Python 3.11 or newer")'
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt
	$(PIP) install --require-hashes --no-build-isolation -r requirements/base.txt -r requirements/dev.txt -r requirements/cinder.txt -r requirements/keystone.txt
	$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	touch $@

# Not installed: the tests read from its sources how Nova's answers look.
$(VENV)/nova/.stamp: requirements/nova.txt $(VENV)/.stamp
	rm -rf $(@D)
	$(PIP) install --require-hashes --no-deps --no-compile --target $(@D) -r $<
	touch $@

.PHONY: lock
lock: venv ## Resolve requirements/*.in again into hashed locks
	for lock in $(LOCKS) $(CLIENTS:%=clients/%); do \
	  $(COMPILE) -o requirements/$$lock.txt requirements/$$lock.in; \
	done
	for lock in $(EXTRAS); do \
	  $(COMPILE) --constraints requirements/base.txt --constraints requirements/dev.txt -o requirements/$$lock.txt requirements/$$lock.in; \
	done
	$(COMPILE) --no-deps -o requirements/clients/collections.txt requirements/clients/collections.in

.PHONY: clients
clients: $(CLIENTS:%=$(CLIENTS_DIR)/%/.stamp) $(CLIENTS_DIR)/collections/.stamp ## Install the OpenStack clients that the tests drive

$(CLIENTS:%=$(CLIENTS_DIR)/%/.stamp): $(CLIENTS_DIR)/%/.stamp: requirements/clients/%.txt requirements/build.txt | $(VENV)/.stamp
	$(UV) venv --clear --python $(PYTHON) $(@D)
	$(UV) pip install --python $(@D) --require-hashes --build-constraints requirements/build.txt -r $<
	touch $@

$(CLIENTS_DIR)/collections/.stamp: requirements/clients/collections.txt | $(VENV)/.stamp
	rm -rf $(@D) && mkdir -p $(@D)/wheel
	$(PIP) download --require-hashes --no-deps --dest $(@D)/wheel -r $<
	unzip -q $(@D)/wheel/*.whl 'ansible_collections/openstack/cloud/*' -d $(@D)
	rm -rf $(@D)/wheel
	touch $@

# -- checks ---------------------------------------------------------------------------------------

.PHONY: fmt
fmt: venv ## Format the code and apply ruff's safe fixes
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

.PHONY: lint
lint: venv ## Lint, and hold the import contracts of pyproject.toml
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check . || { echo 'not formatted: run make fmt' >&2; exit 1; }
	$(BIN)/lint-imports --no-logo

.PHONY: type
type: venv ## Check types
	$(BIN)/mypy

# -- tests ----------------------------------------------------------------------------------------

# In CI a lab test that would be skipped fails.
PYTEST := $(BIN)/pytest $(if $(CI),--require-lab)
# What needs no lab runs on all cores. Labs wait more than they work: three parts of them run side by side, and the longest in two.
SPREAD := -n auto
HALVES := -n 2 --dist loadfile

.PHONY: test
test: setup clients lint type ## Install what is missing, then lint, types and every test on SQLite and on PostgreSQL
	$(PYTEST) $(SPREAD) --db sqlite -m 'not lab'
	$(PYTEST) $(SPREAD) --db postgresql -m 'not lab and not one_database'
	$(MAKE) --jobs=3 --output-sync=target lab-once lab-sqlite lab-postgresql

.PHONY: lab-once lab-sqlite lab-postgresql
lab-once: # what does not depend on the database
	$(PYTEST) $(HALVES) --db sqlite -m 'lab and one_database'
lab-sqlite:
	$(PYTEST) --db sqlite -m 'lab and not one_database'
lab-postgresql:
	$(PYTEST) --db postgresql -m 'lab and (both_databases or not one_database)'

.PHONY: test-fast
test-fast: venv clients ## The tests that need no lab, on SQLite
	$(PYTEST) $(SPREAD) --db sqlite -m 'not lab'

.PHONY: test-lab
test-lab: setup clients ## The tests on real hosts, on SQLite
	$(AS_ROOT) $(PYTEST) --db sqlite -m lab

.PHONY: crash-long
crash-long: venv ## Let a worker die at every point, twice over, and play N games of bad luck: make crash-long N=10000
	$(BIN)/python -m tests.crash --pairs 3
	LMIGRATE_CRASH_EXAMPLES=$(or $(N),1000) $(BIN)/pytest --db sqlite tests/crash/test_machine.py

# SEED names a plan: the same seed plans the same rounds.
SEED ?= $(shell echo $$RANDOM)

.PHONY: chaos
chaos: setup ## Random guests, migrations and faults on a real lab: make chaos SEED=7 N=50
	$(AS_ROOT) $(BIN)/python -m tests.chaos.soak --seed $(SEED) --rounds $(or $(N),20)

.PHONY: chaos-matrix
chaos-matrix: setup ## Every fault at every stage on a real lab; goes on where it was interrupted (chaos-matrix.jsonl)
	$(AS_ROOT) $(BIN)/python -m tests.chaos.matrix

.PHONY: bench
bench: setup ## Measure what lmigrate adds to a bare libvirt migration
	$(AS_ROOT) $(BIN)/python -m benchmarks

.PHONY: bench-api
bench-api: setup ## Measure the API over 1,000 hosts, 20,000 instances and 200,000 migrations
	$(BIN)/python -m benchmarks.api

# -- the lab --------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Bring up two hosts, live-migrate a running guest between them, and show it
	$(AS_ROOT) $(BIN)/lmigrate lab demo

.PHONY: lab-up
lab-up: setup ## Bring up the lab: two hosts, Redis, the daemons
	$(AS_ROOT) $(BIN)/lmigrate lab up

.PHONY: lab-down
lab-down: venv ## Remove the lab and everything in it
	$(AS_ROOT) $(BIN)/lmigrate lab down

.PHONY: run
run: venv ## Start every process of the Procfile on this machine
	PATH="$(abspath $(BIN)):$$PATH" bash -c 'lmigrate db upgrade && exec honcho start'

# -- housekeeping ---------------------------------------------------------------------------------

.PHONY: docs
docs: venv ## Write the generated pages: settings, command line, clients, crashes, API reference, operations, API samples
	$(BIN)/python docs/settings.py
	$(BIN)/python docs/cli.py
	$(BIN)/python -m tests.clients.table
	$(BIN)/python -m tests.crash.table
	$(BIN)/python -m api.docs
	$(BIN)/python -m api.policy_page
	$(BIN)/python -m tests.contract.api_samples

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf $(VENV) $(CLIENTS_DIR) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
