# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test smoke check format bench torture simulation clean

# The main job against the embedded simulator: no account needed.
demo: $(VENV)/.run
	$(BIN)/orchestrator demo

# Everything CI checks: formatting, lint, types, import directions, the wheel, tests.
test: check smoke
	$(BIN)/python -m pytest -q -n 2

# The wheel as a user installs it, without what developers need, away from this tree.
smoke: $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(VENV)/wheel
	$(VENV)/wheel/bin/python -m pip install --quiet --disable-pip-version-check .
	cd $(VENV)/wheel && rm -rf demo && bin/orchestrator demo --records-per-day 2 demo

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

NAME ?= all

# Benchmarks, into benchmarks/results.md: all of them, or one, such as NAME=makespan.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(NAME)

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
