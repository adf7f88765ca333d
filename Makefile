# make run    the sandbox: everything set up, trained and seeded, then a page at http://127.0.0.1:8000
# make test   environment, then every check
# make setup  the environment only          make check  every check, nothing installed
# make soak   the properties tried longer
# make bench  speed and accuracy, each against a peer in the same run
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Some machines forbid compiled files; then every process compiles seven hundred modules anew, and tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=
# Two more than there are processors, which are idle an eighth of the time with one more: tests wait for the browser and for PostgreSQL.
WORKERS ?= $(shell expr `getconf _NPROCESSORS_ONLN` + 2)

.PHONY: run test setup check types tests soak bench format documents clean

run: setup
	$(BIN)/tanxin run

test: setup check

setup: $(STAMP)

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=24"
	# What is imported is compiled then: to compile all of it here takes longer than everything else.
	$(BIN)/pip install --quiet --no-compile --editable ".[dev]"
	touch $(STAMP)

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m compileall -q -j 0 credit_api federated financing simulations
	$(MAKE) -j 2 types tests

# One processor would stand idle while types are checked. What mypy found is kept where there is a next time: to write
# it down takes an eighth of its processor.
types:
	$(BIN)/mypy $(if $(CI),--cache-dir=/dev/null)

tests:
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# What is tried at random again, with up to ten thousand tries each.
soak: setup
	TANXIN_SOAK=1 $(BIN)/python -m pytest tests/properties tests/credit_api/audit tests/financing/stores tests/journeys -n $(WORKERS) --maxprocesses 8 --dist loadfile --timeout 3600

bench: setup
	$(BIN)/tanxin bench ledger
	$(BIN)/tanxin bench scoring

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

documents:
	$(BIN)/tanxin documents

clean:
	rm -rf $(VENV) build *.egg-info var
