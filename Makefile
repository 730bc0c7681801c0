# stemfix: `make demo` and `make test` work on a bare machine with Python 3.10 to 3.13; `make help` lists all.
# Another Python: make demo PYTHON=python3.12

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
    $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_OUT := demo-output
# A real Ardour gets the machine to itself.
ARDOUR := -m "ardour and not weights"

.DEFAULT_GOAL := help
.PHONY: help demo test quick mutate lint format venv system clean distclean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Enhance the demo song into demo-output/
	$(BIN)/stemfix models pull htdemucs
	$(BIN)/stemfix enhance examples/demo.flac --out $(DEMO_OUT)
	@echo "Listen to the files in $(DEMO_OUT)/demo.stemfix/ beside examples/demo.flac."

test: $(STAMP) ## Run the whole test suite, with real weights and coverage
	$(BIN)/stemfix models pull htdemucs
	rm -f .coverage .coverage.*
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup -m "not weights and not ardour" --cov=engine --cov-report=
	$(BIN)/pytest $(ARDOUR) || { echo "Once more what failed: Ardour 7.3 crashes by itself now and then."; $(BIN)/pytest $(ARDOUR) --last-failed; }
	$(BIN)/pytest -m weights --cov=engine --cov-append --cov-report=term --cov-fail-under=90

quick: $(STAMP) ## Run the tests that need no weights and no Ardour and take no more than seconds each
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup -m "not weights and not ardour and not slow"

mutate: $(STAMP) ## Break the scripts for REAPER in many ways and see whether the tests notice
	$(BIN)/python tests/reaper/mutate.py

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/make_effects_table.py --check
	$(BIN)/python docs/make_schemas.py --check

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

venv: $(STAMP) ## Make the Python environment .venv

system: ## Install the system packages that are missing (as root), or name them
	@scripts/system-packages.sh $(PYTHON)

# Made once, and again when the dependencies change.
$(STAMP): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.10 to 3.13 was found. Install one, or: make PYTHON=/path/to/python3" >&2; exit 1; }
	@scripts/system-packages.sh $(PYTHON)
	@[ -x $(BIN)/pip ] || { rm -rf .venv && $(PYTHON) -m venv .venv; } || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/pip install -c constraints.txt -e ".[dev]"
	@touch $@

clean: ## Remove caches and the demo's output
	rm -rf $(DEMO_OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov dist build
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## Remove the Python environment too (pulled weights stay: `stemfix models remove`)
	rm -rf .venv
