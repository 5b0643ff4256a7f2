# terminald: the two commands that matter on a fresh machine are `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: install demo test lint types unit system simulation coverage soak bench clean

install: $(STAMP)

$(STAMP): pyproject.toml .ci/system-packages
	@PYTHON="$(PYTHON)" sh .ci/system-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/terminald demo

# pytest runs last, so that its own summary is the last line of `make test`.
test: lint
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

bench: $(STAMP)
	@$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
