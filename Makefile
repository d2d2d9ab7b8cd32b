# One command per developer task. Needs python3.11 with pip and venv, make and git; nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
UV = $$(command -v $(BIN)/uv || command -v uv)
# Byte code once, at the installation: without it each process that imports torch takes 13 s, not 6.
INSTALL = VIRTUAL_ENV=$(CURDIR)/$(VENV) "$(UV)" pip install --python $(BIN)/python --compile-bytecode
GENERATED := docs/commands.md docs/settings.md docs/strategies.md
PORT := 8501
WORKERS := 2
PYTEST = python -m pytest -n $(WORKERS) --dist worksteal
export PATH := $(BIN):$(PATH)

.PHONY: help env dev browser run test test-all check lint docs format lock audit bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 18

env: $(VENV)/.env-stamp ## Make the environment .venv from requirements.txt

dev: $(VENV)/.dev-stamp

run: env ## Open the workbench at http://localhost:8501 (PORT=8502: there)
	exec streamlit run app.py --server.address localhost --server.port $(PORT)

test: dev browser ## Run the tests (those that are not slow) in WORKERS processes
	$(PYTEST)

test-all: dev browser ## Run all tests
	$(PYTEST) -m 'slow or not slow'

check: lint browser ## Run everything that must hold before a commit
	$(PYTEST)

lint: dev ## Check style, types, dependency direction and that the docs are in step
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	cog -I docs --check $(GENERATED)

docs: dev ## Write the generated parts of the docs
	cog -I docs -r $(GENERATED)

format: dev ## Format the code
	ruff check --fix .
	ruff format .

lock: $(VENV)/bin/python ## Pin the requirements with hashes (UPGRADE=--upgrade for newer versions)
	export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	compile="$(UV) pip compile -q $(UPGRADE) --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links"; \
	$$compile pyproject.toml -o requirements.txt; \
	$$compile pyproject.toml --extra dev -c requirements.txt -o requirements-dev.txt

audit: dev ## Look for known faults in the packages, and list them as CycloneDX in build/
	python tools/audit.py

bench: dev browser ## Run the benchmarks
	for script in benchmarks/[!_]*.py; do python "$$script"; done

clean: ## Remove caches, not the environment
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# An environment made by hand is adopted: what it has already is left as it is.
$(VENV)/bin/python:
	@for python in python3.11 python3 python; do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    exec "$$python" -m venv $(VENV); \
	  fi; \
	done; \
	uv="$(UV)" && exec "$$uv" venv --seed --python 3.11 $(VENV); \
	echo "Python 3.11 with pip and venv is needed, and was not found." >&2; \
	echo "On Debian or Ubuntu: apt-get install python3.11 python3.11-venv" >&2; exit 1

$(VENV)/.env-stamp: requirements.txt pyproject.toml | $(VENV)/bin/python
	@[ -n "$(UV)" ] || $(BIN)/python -m pip install --quiet uv
	@echo "Installing into $(VENV): a minute or two the first time"
	@$(INSTALL) --quiet --require-hashes -r requirements.txt
	@$(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-stamp: requirements-dev.txt $(VENV)/.env-stamp
	@echo "Installing what the tests need"
	@$(INSTALL) --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# The browser tests take the Chromium that is there and starts, else the distribution's, else
# Playwright's; without any they are left out, which a continuous integration does not accept.
browser: dev
	@found() { chromium --version || chromium-browser --version; } >/dev/null 2>&1; \
	if ! found && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true; \
	fi; \
	if ! found && playwright install chromium; then \
	  ln -sf "$$(python -c 'from playwright.sync_api import sync_playwright as s; p = s().start(); print(p.chromium.executable_path); p.stop()')" $(BIN)/chromium; \
	fi; \
	if ! found; then \
	  echo "No Chromium that starts, and none could be installed: the browser tests cannot run." >&2; \
	  [ -z "$${CI:-}" ]; \
	fi
