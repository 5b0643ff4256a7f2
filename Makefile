# terminald: the two commands that matter on a fresh machine are `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: install demo test test-browser test-vm lint deb soak soak-key soak-day replay mutants crash fuzz endure bench clean

install: $(STAMP)

$(STAMP): pyproject.toml .ci/system-packages
	@PYTHON="$(PYTHON)" sh .ci/system-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/terminald demo

# Tests that start the daemon wait more than they compute: one worker more than there are cores.
WORKERS  ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# The tests of a file stay together, in their order: some share a daemon, or one search.
PARALLEL := --quiet --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Every branch of core and wire is covered by their own tests. Measuring it makes the exhaustive ones three times slower,
# and they cover nothing that the others do not: they run with the rest.
MEASURED := tests/core tests/wire
SEARCHES := $(patsubst %,tests/core/test_%.py,custody_search ledger_both ledger_histories)
# What needs more than this checkout has a target of its own.
BROWSER  := tests/browser
THE_REST := $(SEARCHES) $(filter-out tests/__pycache__/ $(BROWSER)/ $(MEASURED:%=%/),$(wildcard tests/*/ tests/test_*.py))

# The hundreds of processes that the tests start are not to compile the sources again each time.
unexport PYTHONDONTWRITEBYTECODE

test: lint
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(SEARCHES:%=--ignore=%) $(MEASURED)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=100
	@$(BIN)/pytest $(PARALLEL) $(THE_REST)

# The API as a page in a real browser uses and abuses it. Where there is no Chromium it says so: apt-get install chromium
test-browser: $(STAMP)
	@$(BIN)/pytest --quiet $(BROWSER)

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

# A package for this machine's Debian, or for another release: make deb DEBIAN=13. What else can be set: systemd/deb/build
deb: $(STAMP)
	@PYTHON="$(BIN)/python" sh systemd/deb/build

# The package on a real Debian 13, under QEMU with the hardware of a terminal: minutes, and root; on Debian 12: make test-vm
# DEBIAN=12. See tests/vm/README.md
SCENARIOS ?= install port provision devices power clock upgrade
test-vm: $(STAMP)
	@$(BIN)/pytest --verbose --timeout=3600 $(SCENARIOS:%=tests/vm/scenario_%.py)

# Many more histories than `make test` lives through: make soak SEEDS=2000
SEEDS ?= 2000
soak: $(STAMP)
	@$(BIN)/python -m tests.simulation.soak $(SEEDS)

# Years of the terminal's key: make soak-key SEEDS=1000. To see what led to a violation: make soak-key SEED=17
soak-key: SEEDS = 1000
soak-key: $(STAMP)
	@$(BIN)/python -m tests.simulation.soak_key $(if $(SEED),--seed $(SEED),$(SEEDS))

# A day of sales on virtual time, and whether anything grows.
soak-day: $(STAMP)
	@$(BIN)/python -m tests.simulation.soak_day

# What a soak found, told line by line without the troubles that it does not need: make replay SEED=17 WORLD=money
WORLD ?= money
replay: $(STAMP)
	@$(BIN)/python -m tests.simulation.replay $(SEED) --world $(WORLD)

# Whether the judges of the simulation find out what they should: mistakes are made in copies of the sources.
mutants: SEEDS = 2000
mutants: $(STAMP)
	@$(BIN)/python -m tests.mutants --seeds $(SEEDS)

# The real daemon dies at every write, sync and send of the canonical sales, and its disk fails at every write: half an hour
# on two cores, with TMPDIR in memory. A look at a part of it: make crash EVERY=10. More: .venv/bin/python -m tests.crash --help
EVERY ?= 1
crash: $(STAMP)
	@$(BIN)/python -m tests.crash --every $(EVERY)

# Whether anything grows in a daemon that sells once a second: make endure MINUTES=30
MINUTES ?= 30
endure: $(STAMP)
	@$(BIN)/python -m tests.bench.endure --minutes $(MINUTES)

# Every decoder of bytes from outside, by coverage where atheris installs (x86-64), else by chance: make fuzz SECONDS=600
# One alone: make fuzz TARGET=gateway_answer. What breaks a contract is kept in tests/data/corpus, and fails from then on.
SECONDS ?= 60
fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]' 2>/dev/null || true
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(TARGET)

# What it costs, beside floors and peers, in one table: some minutes, on a machine that does nothing else. Some of it:
# make bench ROWS='sales start'; what there is, and what can be set: .venv/bin/python -m tests.bench --help
bench: $(STAMP)
	@$(BIN)/python -m tests.bench $(ROWS)

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
