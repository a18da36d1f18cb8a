# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STRIPE_TYPES := tools/stripe_types/node_modules/.installed
STRIPE_CLI := tools/stripe_cli/node_modules/.installed
STRIPE_JS := tools/stripe_js/node_modules/.installed
WORKERS ?= 2
ON_POSTGRES_16 := tests/ledger tests/postgres/test_migrating.py tests/postgres/test_lanes.py tests/sdk/test_direct_sql.py

.DEFAULT_GOAL := help
.PHONY: help demo test check lint format bench bench-costs bench-growth bench-memory bench-life canaries pitfalls lock schema clean chromium

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

demo: $(INSTALLED) ## Start everything here and walk the main job (ONCE=1 exits after it, PORT= moves it).
	@$(BIN)/tallybook demo

test: $(INSTALLED) $(STRIPE_TYPES) $(STRIPE_CLI) $(STRIPE_JS) chromium ## Run all tests, the real database's and the real browser's included.
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)
	@echo "Once more on PostgreSQL 16, what depends on the database's version:"
	TALLYBOOK_TEST_POSTGRES=16 $(BIN)/pytest -q -n $(WORKERS) $(ON_POSTGRES_16)

check: lint test ## What CI runs: the static checks and all tests.

lint: $(INSTALLED) ## The static checks.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes $(WORKERS) src
	$(BIN)/deptry .
	$(BIN)/vulture

format: $(INSTALLED) ## Lay out the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## Measure: prints tables with every baseline in the same run.
	$(BIN)/python -m bench $(ARGS)

bench-growth: $(INSTALLED) ## Measure whether it stays as fast with ten million transfers (takes minutes).
	$(BIN)/python -m bench.growth $(ARGS)

bench-costs: $(INSTALLED) ## Measure where the time of a spend goes, in PostgreSQL and in Python.
	$(BIN)/python -m bench.costs $(ARGS)

bench-memory: $(INSTALLED) ## Measure the service's memory while 12,000 callers wait.
	$(BIN)/python -m bench.memory $(ARGS)

bench-life: $(INSTALLED) ## Measure two years of a subscriber's life on a test clock: under a minute.
	$(BIN)/python -m bench.life $(ARGS)

canaries: $(INSTALLED) ## Plant bugs and see each of them caught.
	cd tests && ../$(BIN)/python -m faults.canaries

pitfalls: $(INSTALLED) ## Take each guard against a known pitfall out and see its tests fail (takes minutes; ARGS="16 17").
	cd tests && ../$(BIN)/python -m pitfalls.run $(ARGS)

schema: $(INSTALLED) ## Write src/tallybook/postgres/schema.sql anew from the migrations.
	$(BIN)/python -m tallybook.postgres.schema

lock: $(INSTALLED) ## Write requirements.lock anew (hashes, no index address).
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate -q -o requirements.lock

chromium:
	@tools/ensure_chromium

clean: ## Remove what make made here, the demo's data included.
	rm -rf $(VENV) .demo .cache tools/stripe_types/node_modules tools/stripe_cli/node_modules tools/stripe_js/node_modules .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tallybook needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@echo "Installing Python packages into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STRIPE_TYPES) $(STRIPE_CLI) $(STRIPE_JS): tools/%/node_modules/.installed: tools/%/package-lock.json
	npm ci --prefix tools/$* --no-audit --no-fund --loglevel=error
	@touch $@
