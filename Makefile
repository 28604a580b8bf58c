# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format bench torture simulation clean

# The main job against the embedded simulator: no account needed.
demo: $(VENV)/.run
	$(BIN)/orchestrator demo

# Everything CI checks: formatting, lint, types, import directions, tests.
test: check
	$(BIN)/python -m pytest -q

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

KILLS ?= 300
SEED ?= 1

# The real program, killed so many times while the API misbehaves.
torture: $(VENV)/.dev
	$(BIN)/python -m tests.torture --kills $(KILLS) --seed $(SEED)

SEEDS ?= 1:2000

# Report lives with random faults in virtual time, from these seeds.
simulation: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs 2

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "orchestrator needs Python 3.11 or newer; name one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
