# terminald: the two commands that matter on a fresh machine are `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: install demo test lint soak soak-key bench clean

install: $(STAMP)

$(STAMP): pyproject.toml .ci/system-packages
	@PYTHON="$(PYTHON)" sh .ci/system-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/terminald demo

# Every branch of core and wire is covered by their own tests. pytest's own summary is the last line.
test: lint
	@$(BIN)/coverage run -m pytest --quiet tests/core tests/wire
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=100
	@$(BIN)/pytest --ignore=tests/core --ignore=tests/wire

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

# Many more histories than `make test` lives through: make soak SEEDS=2000
SEEDS ?= 2000
soak: $(STAMP)
	@$(BIN)/python -m tests.simulation.soak $(SEEDS)

# Years of the terminal's key: make soak-key SEEDS=1000. To see what led to a violation: make soak-key SEED=17
soak-key: SEEDS = 1000
soak-key: $(STAMP)
	@$(BIN)/python -m tests.simulation.soak_key $(if $(SEED),--seed $(SEED),$(SEEDS))

bench: $(STAMP)
	@$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
