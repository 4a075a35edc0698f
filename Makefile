# One command each. Every target does its own set-up; a second call finds it done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOXIPROXY := v2.12.0
MAILPIT := v1.27.11
COMPOSE := v2.27.0
ARGS ?=
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: mutants model help setup demo test lint docs shows defects clients tools images compose bench lock clean

help:
	@echo "make demo    run the main scenario: Microsoft 365 refuses every login (about 75 s)"
	@echo "make test    lint, types, layers and the tests; ARGS='-k plan' passes on to pytest"
	@echo "make shows   every full-length command that the project promises, with its exit code"
	@echo "make defects every planted bug of the reference system against every check; writes docs/defects.md (about 13 min)"
	@echo "make mutants are the tests of the checks good enough to notice a wrong check? (long; ARGS='--sample 40')"
	@echo "make model   the checks against a model of their own, on HISTORIES (30000) random histories"
	@echo "make clients measure again what client libraries make of the providers (docs/clients/*.json)"
	@echo "make setup   the virtual environment and the locked dependencies, and no more"
	@echo "make lint    ruff, import-linter and mypy"
	@echo "make docs    the documents' tables of faults, providers, clients and checks, from the code and what was measured"
	@echo "make tools   build Toxiproxy and Mailpit into .tools (needs Go; without them the embedded proxy runs)"
	@echo "make images  the images of --on containers, without a registry (needs Docker, Go and mmdebstrap)"
	@echo "make compose build \`docker compose\` where this Docker has none (needs Go)"
	@echo "make bench   the benchmarks; they print ratios measured in one run"
	@echo "make lock    resolve requirements.lock again"
	@echo "make clean   remove what make has made"

setup: $(VENV)/.installed
	@:

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; $(PYTHON) is " + sys.version.split()[0] + ". Say: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.created
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/harness run scenarios/m365-auth-outage.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m harness.cli.markdown docs/faults.md docs/providers.md docs/clients.md docs/checks.md

test: lint
ifdef ARGS
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -p tests.mutants.recording
	$(BIN)/python -m pytest -n 4 scenarios/failure-modes
	$(BIN)/python -m tests.defects --third today --seeds 1
	$(BIN)/python -m tests.mutants --sample 40
endif

shows: setup
	@$(BIN)/python tests/shows.py $(ARGS)

defects: setup
	@$(BIN)/python -m tests.defects $(ARGS)

mutants: setup
	@$(BIN)/python -m tests.mutants $(ARGS)

# New histories every time; what fails names its seed.
HISTORIES ?= 30000
model: setup
	MODEL_HISTORIES=$(HISTORIES) MODEL_FIRST_SEED=$${MODEL_FIRST_SEED:-$$(date +%s)000} \
	  $(BIN)/python -m pytest -q -n $(WORKERS) tests/checks/test_against_model.py -k batch $(ARGS)

clients: setup
	HARNESS_OBSERVE=write $(BIN)/python -m pytest -q tests/providers/clients $(ARGS)

bench: setup
	@set -e; for file in benchmarks/[!_]*.py; do echo "== $$file"; $(BIN)/python $$file; done

# `go install` names a program after its folder: Toxiproxy's are `server` and `cli`.
tools:
	@if command -v go >/dev/null; then \
	  $(MAKE) --silent --no-print-directory .tools/.toxiproxy-$(TOXIPROXY)-static .tools/.mailpit-$(MAILPIT) && \
	  echo "Toxiproxy $(TOXIPROXY) and Mailpit $(MAILPIT) are in .tools"; \
	else echo "Go is not here: skipped. Runs use the embedded proxy, and Mailpit's scenarios cannot run."; fi

# Static, so that the images can be made of nothing else.
.tools/.toxiproxy-$(TOXIPROXY)-static:
	@echo "building Toxiproxy $(TOXIPROXY)"
	@mkdir -p .tools/build
	@GOBIN=$(CURDIR)/.tools/build CGO_ENABLED=0 go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY)
	@GOBIN=$(CURDIR)/.tools/build CGO_ENABLED=0 go install github.com/Shopify/toxiproxy/v2/cmd/cli@$(TOXIPROXY)
	@mv .tools/build/server .tools/toxiproxy-server
	@mv .tools/build/cli .tools/toxiproxy-cli
	@touch $@

.tools/.mailpit-$(MAILPIT):
	@echo "building Mailpit $(MAILPIT)"
	@mkdir -p .tools/build
	@GOBIN=$(CURDIR)/.tools/build CGO_ENABLED=0 go install github.com/axllent/mailpit@$(MAILPIT)
	@mv .tools/build/mailpit .tools/mailpit
	@touch $@

images: setup tools
	@fixtures/images/build

compose:
	@docker compose version >/dev/null 2>&1 || $(MAKE) --silent --no-print-directory .tools/docker-compose-$(COMPOSE)
	@docker compose version >/dev/null 2>&1 || { mkdir -p $${DOCKER_CONFIG:-$$HOME/.docker}/cli-plugins && \
	  cp .tools/docker-compose-$(COMPOSE) $${DOCKER_CONFIG:-$$HOME/.docker}/cli-plugins/docker-compose; }
	@docker compose version

.tools/docker-compose-$(COMPOSE):
	@echo "building docker compose $(COMPOSE)"
	@mkdir -p .tools/build
	@GOBIN=$(CURDIR)/.tools/build CGO_ENABLED=0 go install github.com/docker/compose/v2/cmd@$(COMPOSE)
	@mv .tools/build/cmd $@

# --no-emit-index-url: a lock names packages and their hashes, never where somebody fetched them.
lock: $(VENV)/.created
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
