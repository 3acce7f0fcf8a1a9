# Needs make, and Python 3.11 or later; everything else is installed into .venv from the hash-pinned locks.
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
# uv where it is installed, because it is several times as fast. Both say what they are doing.
# It goes by the certificates of the machine, as pip does: a company's proxy has an authority of its own.
# Older versions know the second name.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
HAS_UV := $(shell $(UV) --version 2>/dev/null)
INSTALL := $(if $(HAS_UV),$(UV) pip install --python $(BIN)/python,$(BIN)/python -m pip --disable-pip-version-check --no-input install)
# Wheels only: a machine without a compiler is told which one is missing, and nothing is compiled for minutes.
LOCKED := $(INSTALL) --only-binary :all: --require-hashes
PACKAGES := hub channels schedules
# Each process of pytest-xdist begins with neighbouring tests, which share servers, and takes others' when it is done.
SPREAD := -n auto --dist worksteal
# The tests start hundreds of processes, none of which is to compile the hub again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run fast test format lint measure check bench drills simulate interop docs lock audit dist release clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp  ## Run the hub (settings: HUB_… in the environment, or hub.toml)
	@exec $(BIN)/hub serve

fast: $(VENV)/dev.stamp  ## Run the tests that start no process, on the embedded store
	@$(BIN)/pytest -q $(SPREAD) --fast

test: $(VENV)/dev.stamp  ## Run all tests, or some: make test T=tests/hub/test_retry.py
	@$(BIN)/pytest -q $(or $(T),$(SPREAD))

format: $(VENV)/dev.stamp  ## Format the code, and fix what the linter can fix
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lint: $(VENV)/dev.stamp  ## Check format, lint, types, import rules and measures
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/measure.py

measure: $(VENV)/bin/python  ## Measure sizes, rooms, exceptions and names
	@$(BIN)/python .ci/measure.py

check: lint test  ## Run everything that CI checks

bench: $(VENV)/dev.stamp  ## Run the benchmarks and print their tables
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.stream

drills: $(VENV)/dev.stamp  ## Run the fault drills, the long ones too
	@$(BIN)/pytest -q -m "drill or not drill" tests/faults

simulate: $(VENV)/dev.stamp  ## Run 10,000 seeds of the simulation, or as ARGS='--store sqlite --seed 42 --trace' says
	@PYTHONHASHSEED=0 $(BIN)/python -W 'ignore:coroutine' -m tests.simulation $(ARGS)

interop: $(VENV)/dev.stamp $(VENV)/interop/stamp  ## Run the tests against clients of other languages
	@$(BIN)/pytest -q -m interop tests/interop

docs: $(VENV)/docs.stamp  ## Build the documentation as a site into site/, and check its links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@$(BIN)/python .ci/check_site.py site

lock:  ## Resolve the dependencies in pyproject.toml again, and write the lock files
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra otel --group build -o requirements.lock pyproject.toml
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra otel --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--group docs -c requirements-dev.lock -o requirements-docs.lock
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--group interop -o requirements-interop.lock

audit: $(VENV)/dev.stamp  ## Look the locked requirements up in the vulnerability database
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.lock

dist: $(VENV)/run.stamp  ## Build the source archive and the wheel into dist/
	@rm -rf dist
	@$(BIN)/hatchling build --directory dist

release: $(VENV)/bin/python  ## Commit and tag a release: make release VERSION=1.2.3
	@$(BIN)/python .ci/release.py '$(VERSION)'

clean:  ## Remove what was installed and cached; data stays
	rm -rf $(VENV) dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo 'Installing the locked requirements into $(VENV) …'
	@$(LOCKED) -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo 'Installing the locked requirements, with those for development, into $(VENV) …'
	@$(LOCKED) -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/run.stamp $@

$(VENV)/docs.stamp: requirements-docs.lock | $(VENV)/bin/python
	@echo 'Installing the locked requirements for the documentation into $(VENV) …'
	@$(LOCKED) -r requirements-docs.lock
	@touch $@

$(VENV)/interop/stamp: requirements-interop.lock tests/interop/typescript/package-lock.json tests/interop/go/go.sum
	@.ci/interop $(VENV)/interop

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or later is needed; say which: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@[ -n '$(HAS_UV)' ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo 'Python here has no venv module: installing the package python3-venv …'; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
				apt-get install -qq -y --no-install-recommends python3-venv >/dev/null; \
		else \
			echo 'Python here has no venv module. On Debian: sudo apt-get install python3-venv' >&2; exit 1; \
		fi; }
	@echo 'Making the virtual environment $(VENV) …'
	@$(if $(HAS_UV),$(UV) venv --python $$(command -v $(PYTHON)),$(PYTHON) -m venv) $(VENV) || { rm -rf $(VENV); exit 1; }
