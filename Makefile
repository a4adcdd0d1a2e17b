# Heatline. `make help` lists the targets; CONTRIBUTING.md says more.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
unexport VIRTUAL_ENV

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
HEATLINE := .venv/bin/heatline
FAST := not model and not browser and not slow and not postgresql and not doors
PYTEST := .venv/bin/pytest --numprocesses=2 --dist=loadgroup

# A cache beside us where the home folder cannot be written to (containers, CI accounts).
ifneq ($(shell test -w "$${HOME:-/nonexistent}" && echo yes),yes)
export UV_CACHE_DIR := $(CURDIR)/.tools/cache
endif

.PHONY: help setup run serve test check lint fast format clean
.PHONY: environments model preflight postgres chromium prism

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: environments model ## both environments, the model, the database; does nothing when all is there
	@$(HEATLINE) db upgrade

run: preflight environments model ## set everything up and run the demonstration on this machine; Ctrl-C ends it
	@HEATLINE_DEMO=1 exec $(HEATLINE) serve

serve: environments model ## the same for real use: settings from the environment or .env
	@exec $(HEATLINE) serve

test: setup postgres chromium prism ## set everything up, PostgreSQL and a browser included, and run all tests
	@$(PYTEST)

check: lint fast ## formatting, lint, types, fast tests: what every commit must pass

lint: environments ## formatting, lint and types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy

fast: environments ## the fast tests alone
	@$(PYTEST) -m "$(FAST)"

format: environments ## let ruff mend layout, imports and what else it can
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

clean: ## remove environments and caches; models/ and var/ (the data) stay
	@rm -rf tests/prism/node_modules .tools .venv nlu/server/.venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find bot handlers nlu tests -name __pycache__ -prune -exec rm -rf {} +

preflight:
	@scripts/preflight port

environments: .venv/.synced nlu/server/.venv/.synced

# pip may not touch a Debian system (PEP 668), but it may fill a folder of ours.
$(UV):
	@PYTHON="$(PYTHON)" scripts/preflight setup
	@echo "Fetching uv $(UV_VERSION), which installs the rest …"
	@rm -rf .tools/uv-*
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-input --target $(@D)/.. uv==$(UV_VERSION)
	@touch $@

.venv/.synced: uv.lock pyproject.toml | $(UV)
	@echo "Installing the service's environment …"
	@$(UV) sync --locked --python "$(PYTHON)"
	@touch $@

# Rasa needs 3.11; where the system's Python is newer, uv brings one.
nlu/server/.venv/.synced: nlu/server/uv.lock nlu/server/pyproject.toml | $(UV)
	@echo "Installing the NLU server's environment …"
	@$(UV) sync --locked --project nlu/server --python 3.11
	@touch $@

model: environments
	@scripts/ensure-model

postgres:
	@scripts/ensure-packages postgresql

chromium:
	@scripts/ensure-packages chromium fonts-noto-cjk

prism: tests/prism/node_modules/.synced

# Twilio's published description of its API, and the mock server that Twilio recommends; nothing of it runs at install.
tests/prism/node_modules/.synced: tests/prism/package-lock.json
	@scripts/ensure-packages nodejs npm
	@echo "Installing Prism and Twilio's API description from npm …"
	@cd tests/prism && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@
