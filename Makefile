# Two commands: `make run` and `make ui`. Everything else serves them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REFEREE := .venv-referee
INPUT ?=
# Twice the processors: scenarios wait for servers, and the others compute meanwhile.
TEST_PROCESSES ?= 4
# Files stay whole, in the order of conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder
# What is computed, compared and decided, by the tests of its own room.
COVERED := variants reconciliation rollout market quality groups
# Any number: tests run in an order drawn from it.
ORDER_SEED ?=
SESSIONS ?=
# Made once, or each process of the tests would make it at the same moment: modules and the kernels of V2.
COMPILED := $(BIN)/python -m compileall -q setbull_pipelines && \
	$(BIN)/python -c 'from setbull_pipelines.variants.v2 import kernels; kernels.load()'
# Types are checked while tests run: alone they would leave the other processors idle.
WITH_TYPES = $(BIN)/mypy & types=$$!; $(COMPILED) && $(1); tests=$$?; wait $$types && exit $$tests
FROM ?=
TO ?=
# Images of containers set it, and then every process compiles all modules again before its work.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run ui test check coverage mutation lint bench soak site pins clean

run: $(VENV)/ready
	$(BIN)/setbull run $(if $(INPUT),--input "$(INPUT)") $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO))

ui: $(VENV)/ready
	$(BIN)/setbull ui

test: $(VENV)/ready-test $(REFEREE)/ready
	$(BIN)/ruff check setbull_pipelines setbull_pipelines_tests benchmarks
	$(BIN)/ruff format --check setbull_pipelines setbull_pipelines_tests benchmarks
	$(call WITH_TYPES,$(BIN)/python -m pytest -q --numprocesses $(TEST_PROCESSES) $(BY_FILE) $(if $(ORDER_SEED),--order-seed=$(ORDER_SEED)))

# What a change is held against while it is written: all rules and formulas, without runs, servers and browsers.
check: $(VENV)/ready-test $(REFEREE)/ready
	$(BIN)/ruff check setbull_pipelines setbull_pipelines_tests benchmarks
	$(BIN)/ruff format --check setbull_pipelines setbull_pipelines_tests benchmarks
	$(call WITH_TYPES,$(BIN)/python -m pytest -q -m "not run" --most-examples=10 --numprocesses 2 $(BY_FILE))

# Lines and branches of each room that its tests carry out; numba's kernels as plain Python, or they would not count.
coverage: $(VENV)/ready-test $(REFEREE)/ready
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m coverage run -m pytest -q --most-examples=10 $(COVERED:%=setbull_pipelines_tests/%)
	for room in $(COVERED); do $(BIN)/python -m coverage report --include="setbull_pipelines/$$room/*" || exit 1; done

# Faults drawn by chance, which the tests must find or docs/mutation.md explain.
mutation: $(VENV)/ready-test
	$(BIN)/python -m benchmarks.mutation

lint: $(VENV)/ready-test
	$(BIN)/ruff format setbull_pipelines setbull_pipelines_tests benchmarks
	$(BIN)/ruff check --fix setbull_pipelines setbull_pipelines_tests benchmarks

# The documents as pages, with search, built again while they are edited.
site: $(VENV)/ready-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8001

bench: $(VENV)/ready-test $(REFEREE)/ready
	$(BIN)/python -m benchmarks.results

# A month of sessions through the real daemon, with faults, in less than an hour: docs/reliability.md.
soak: $(VENV)/ready-test
	$(BIN)/python -m benchmarks.reliability soak $(if $(SESSIONS),--sessions $(SESSIONS))

# The newest versions of everything, as pins of the project and as hashes of the image; then: make clean test.
pins:
	rm -rf .venv-pins && $(PYTHON) -m venv .venv-pins
	.venv-pins/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip setuptools --editable '.[test,bench,cluster,api,dg,site,mutation]'
	(head -n 2 constraints.txt; .venv-pins/bin/python -m pip freeze --all --exclude pip --exclude-editable) > .venv-pins/constraints.txt
	mv .venv-pins/constraints.txt constraints.txt
	.venv-pins/bin/python deployment/pins.py
	rm -rf .venv-pins

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing pinned dependencies into $(VENV) (about a minute, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,bench,cluster,dg,site,mutation]'
	@touch $@

# The outside referee needs older libraries than the project, so it gets an environment of its own.
$(REFEREE)/ready: $(VENV)/bin/python constraints-referee.txt
	@echo "installing the outside referee into $(REFEREE) (once)"
	$(BIN)/python -m venv $(REFEREE)
	$(REFEREE)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-referee.txt datacompy pyarrow
	@touch $@

clean:
	rm -rf $(VENV) $(REFEREE) .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage
