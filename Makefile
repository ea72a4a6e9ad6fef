# What to type. `make demo` and `make test` need python3 (3.11 or newer) and nothing else: they make .venv themselves.
# Tests of disks that fail need a C compiler (`cc`) as well, and are skipped without one.
# Those of wrong clocks need libfaketime (on Debian: faketime), and are skipped without it.

PYTHON ?= python3
# One more than CI has cores: many tests wait for what programs do only after a while.
JOBS ?= 3
VENV := .venv
RUN := $(VENV)/bin/python -P
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check show explore bench lock wheel clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

$(READY): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Shoal needs Python 3.11 or newer (on Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shoal needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=/path/to/another"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments (on Debian: apt-get install python3-venv)"; exit 1; }
	@echo "making $(VENV) (once; some 100 MB)" >&2
	@$(PYTHON) -m venv $(VENV)
	@PYFASTCDC_REQUIRE_CYTHON=1 $(RUN) -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-dev.lock
	@$(RUN) -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## a coordinator and two devices on this machine, live; unattended with ARGS=--script
	@$(RUN) -m tests.demo $(ARGS)

test: $(READY) ## every test; more for pytest in ARGS
	@$(RUN) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(READY) ## style, formatting, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

show: $(READY) ## the promises, shown: one of them with NAME=…, without it the list
	@$(RUN) -m tests.acceptance $(NAME) $(ARGS)

explore: $(READY) ## random histories of simulated worlds, into the ledger; SEEDS=0-19999, ARGS="--minutes 100"
	@nice -n 10 $(BIN)/shoal-sim explore --seeds $(or $(SEEDS),0-19999) --jobs $(JOBS) --ledger simulations/explored.jsonl $(ARGS)

bench: $(READY) ## the benchmarks; one of them with NAME=…
	@$(RUN) -m benchmarks $(NAME) $(ARGS)

# Where this machine finds packages is nobody else's business: what is locked is what everybody can get.
LOCK := PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_EXTRA_INDEX_URL= $(BIN)/pip-compile --quiet --generate-hashes \
	--strip-extras --allow-unsafe --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: $(READY) ## the lock files written again from pyproject.toml; UPGRADE=--upgrade for newer releases
	$(LOCK) $(UPGRADE) --output-file requirements.lock pyproject.toml
	$(LOCK) $(UPGRADE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

wheel: $(READY) ## dist/shoal-*.whl
	@$(RUN) -m build --wheel --no-isolation --outdir dist .

clean: ## away with what was made here
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
