# What a newcomer needs: make run. Everything is set up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
STUDIO_PORT ?= 2024
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
SETUP := $(VENV)/.setup
SOURCES := $(wildcard web/*.json web/*.html web/*.ts web/*.mjs web/src/* web/src/*/*) hatch_build.py

.PHONY: setup run test long journeys acceptance eval bench check format lint types imports lock docs studio clean

setup: $(SETUP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "citestream needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: $(BIN)/python
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv

$(SETUP): pyproject.toml requirements.lock $(SOURCES) | $(BIN)/uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

run: setup
	@$(BIN)/citestream index list --json | grep -q '"id"' || $(BIN)/citestream ingest docs
	@$(BIN)/citestream serve

test: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# Kills, full disks and real manuals: some five minutes on two cores.
long: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "long and not acceptance"

# Ways of people over the page, in Debian's Chromium against the real server: some five minutes on two cores.
journeys: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "journey and not acceptance" tests/e2e

# The long forms of tests: over an hour. What they measured goes into docs/reliability.md, also when one fails.
acceptance: setup
	rm -f build/acceptance.json
	CITESTREAM_ACCEPTANCE=1 $(BIN)/pytest tests/faults tests/clients tests/e2e/test_answers.py tests/graph/test_live_index.py \
		tests/graph/test_kills.py tests/ingest/test_interrupts.py tests/ingest/test_disk_full.py tests/ingest/test_three_at_once.py \
		tests/ingest/test_pages.py tests/ingest/test_corpus.py tests/e2e/test_page_speed.py -m "" --timeout 3600; status=$$?; \
		$(BIN)/python -m tests.acceptance.report; exit $$status

# Questions of public sets, where such lie beside the checkout: EVAL has open/<set>.jsonl and corpora/<set>.parquet.
EVAL ?= ../shared/eval
EVAL_SETS ?= xquad_en xquad_zh squad2 cmrc drcd canard mtrag_clapnq mtrag_cloud mtrag_fiqa
eval: setup
	$(BIN)/citestream eval $(EVAL_SETS:%=$(EVAL)/open/%.jsonl) --texts $(EVAL)/corpora --top-k 10 --out build/eval.json

# Streaming: the service against a raw relay and a plain LangGraph service, on two idle cores; the first
# time it also indexes 10,000 chunks. LLAMAINDEX names a Python of its own environment (bench/streaming/llamaindex_.py).
bench: setup
	$(BIN)/python -m bench.streaming $(if $(LLAMAINDEX),--llamaindex $(LLAMAINDEX)) $(BENCH_ARGUMENTS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test long journeys

# requirements.lock holds names, versions and hashes only.
lock: | $(BIN)/uv
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--all-extras --group dev pyproject.toml -o requirements.lock

docs: setup
	$(BIN)/python -m tests.docs.settings_page
	$(BIN)/python -m tests.docs.wire_schema

studio: setup
	LANGGRAPH_CLI_NO_ANALYTICS=1 LANGGRAPH_NO_VERSION_CHECK=true \
		$(BIN)/langgraph dev --no-browser --no-reload --host 127.0.0.1 --port $(STUDIO_PORT) --n-jobs-per-worker 10

clean:
	rm -rf $(VENV) server/static web/generated web/node_modules dist build
