# Each command does its own set-up: `make demo`, `make test`, and `make install` for daily use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# From the lock files alone, each file proved by its hash; the package itself without a look at any
# index.
INSTALL := -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --require-hashes --only-binary :all:
UNLOCKED := $(INSTALL) --no-index --no-deps --no-build-isolation

.PHONY: install man docs demo test smoke check format bench torture simulation lock newest pythons schedulers clean

# The program itself, in .venv.
install: $(VENV)/.run

# The main job against the embedded simulator: no account needed.
demo: $(VENV)/.run
	$(BIN)/orchestrator demo

# What is written from the code: manual page, JSON Schemas for editors, list of faults.
man docs: $(VENV)/.dev
	$(BIN)/python -m tests.test_docs_man
	$(BIN)/python -m tests.test_docs_schemas
	$(BIN)/python -m tests.test_docs_faults

# Everything CI checks: formatting, lint, types, import directions, the wheel, tests.
test: check smoke $(VENV)/.azurite
	$(BIN)/python -m pytest -q -n 2

# The wheel as a user installs it, without what developers need, away from this tree.
smoke: $(VENV)/.dev
	rm -rf $(VENV)/dist
	$(BIN)/python -m hatchling build --directory $(VENV)/dist --target wheel
	$(PYTHON) -m venv --clear $(VENV)/wheel
	$(VENV)/wheel/bin/python $(LOCKED) --requirement requirements/run.txt
	$(VENV)/wheel/bin/python $(UNLOCKED) $(VENV)/dist/*.whl
	test -s $(VENV)/wheel/share/man/man1/orchestrator.1
	cd $(VENV)/wheel && rm -rf demo && bin/orchestrator demo --records-per-day 2 demo

check: $(VENV)/.dev
	$(BIN)/python -m requirements.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Newer versions into the lock files, as far as pyproject.toml allows; the one target that chooses.
lock: $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(VENV)/lock
	$(VENV)/lock/bin/python $(LOCKED) --requirement requirements/uv.txt
	$(VENV)/lock/bin/python -m requirements.make

# The quick tests: each part by itself, and everything that stands on a library.
QUICK := tests/test_api_*.py tests/test_callbacks_server.py tests/test_cli_output.py \
	tests/test_cli_plan.py tests/test_collect_*.py tests/test_config_*.py tests/test_core_*.py \
	tests/test_foreign_words.py tests/test_hostile_*.py tests/test_ledger_sqlite.py \
	tests/test_reporting_*.py tests/test_simulator_faults.py

# What a user gets who installs today: the newest of everything, whatever the lock files say.
newest: $(VENV)/bin/python
	$(PYTHON) -m venv --clear $(VENV)/newest
	$(VENV)/newest/bin/python $(INSTALL) --editable '.[dev]'
	$(VENV)/newest/bin/python -m pip list --format freeze | tr '\n' ' '; echo
	$(VENV)/newest/bin/python -m pytest -q -n 2 $(QUICK)

VERSIONS ?= 3.12 3.13 3.14

# The quick tests with each of these versions that the machine has, with the locked libraries; its
# last line says which ran. With pyenv `python3.12` answers only to who names the version.
pythons:
	@ran=; absent=; for version in $(VERSIONS); do \
		export PYENV_VERSION=$$version; place=$(VENV)/python$$version; \
		python$$version -c '' 2> /dev/null || { absent="$$absent $$version"; continue; }; \
		python$$version -m venv --clear $$place && \
		$$place/bin/python $(LOCKED) --requirement requirements/dev.txt && \
		$$place/bin/python $(UNLOCKED) --editable . && \
		$$place/bin/python -m pytest -q -n 2 $(QUICK) || { echo "fails: $$version"; exit 1; }; \
		ran="$$ran $$version"; \
	done; echo "Python versions that ran:$${ran:- none}; not on this machine:$${absent:- none}"

SCHEDULERS ?= dagster prefect

# The files of deploy/ for these schedulers, run by the newest of each. Airflow takes minutes:
# make schedulers SCHEDULERS=airflow
schedulers: $(VENV)/.dev
	for each in $(SCHEDULERS); do \
		$(PYTHON) -m venv --clear $(VENV)/$$each && \
		$(VENV)/$$each/bin/python $(INSTALL) $$(echo $$each | sed 's/^airflow$$/apache-airflow/') || exit 1; \
	done
	$(BIN)/python -m pytest -q -n 2 tests/test_deploy_schedulers.py

KILLS ?= 300
SEED ?= 1

# The real program, killed so many times while the API misbehaves.
torture: $(VENV)/.dev
	$(BIN)/python -m tests.torture --kills $(KILLS) --seed $(SEED)

SEEDS ?= 1:2000

# Report lives with random faults in virtual time, from these seeds; then the second opinion: an
# API that deviates plausibly, operators who restore and mend, and the promises.
simulation: $(VENV)/.dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs 2
	$(BIN)/python -m tests.simulation --kind opinion --seeds $(SEEDS) --jobs 2

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

$(VENV)/.run: $(VENV)/bin/python pyproject.toml requirements/run.txt requirements/build.txt
	$(BIN)/python $(LOCKED) --requirement requirements/run.txt --requirement requirements/build.txt
	$(BIN)/python $(UNLOCKED) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml requirements/dev.txt
	$(BIN)/python $(LOCKED) --requirement requirements/dev.txt
	$(BIN)/python $(UNLOCKED) --editable .
	@touch $@ $(VENV)/.run

# Azure's test server, where npm is; without it the tests that need it are skipped.
$(VENV)/.azurite: $(VENV)/bin/python tests/azurite/package-lock.json
	@mkdir -p $(VENV)/azurite && cp tests/azurite/package*.json $(VENV)/azurite
	@if ! command -v npm >/dev/null; then echo "no npm here: nothing is tested against Azure"; \
	elif npm ci --prefix $(VENV)/azurite --silent --ignore-scripts --no-audit --no-fund \
		--fetch-retries=1 --fetch-timeout=30000; then touch $@; \
	else rm -rf $(VENV)/azurite; echo "azurite cannot be installed: nothing is tested against Azure"; fi

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
