# Two commands on a fresh machine: `make demo` and `make test`. Each does its own set-up.

VENV ?= .venv
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN = $(VENV)/bin
# Bytecode that is not kept is compiled again by every `seal` that a test starts.
unexport PYTHONDONTWRITEBYTECODE
# PyTorch is optional: `make test TORCH=1` installs the pinned one first and runs its tests too.
TORCH ?=

.PHONY: demo test check lock clean

demo: $(VENV)/.demo
	@scripts/need-room
	$(BIN)/seal demo

test: $(VENV)/.dev
	@scripts/need-room
	@scripts/need-softhsm
	@scripts/need-ledger-servers
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src
	$(BIN)/codespell src tests docs README.md CHANGELOG.md Makefile scripts

$(VENV)/.demo: requirements/demo.txt pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/pip install --quiet --require-hashes -r requirements/demo.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml setup.py | $(VENV)/.torch
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.torch:
	@scripts/make-venv "$(PYTHON)" "$(VENV)"
	@if [ -n "$(TORCH)" ]; then $(BIN)/pip install --quiet torch==2.13.0; fi
	@touch $@

# Locks hold hashes and no index line; PyTorch is never in one.
lock: $(VENV)/.dev
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
		--allow-unsafe --no-strip-extras --extra demo --extra build -o requirements/demo.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
		--allow-unsafe --no-strip-extras --extra dev --extra build -o requirements/dev.txt pyproject.toml

clean:
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
