# Two commands set everything up and do something with it: `make demo` and `make test`.
# Everything goes into .venv; PYTHON names the Python that makes it (3.11 or newer).

PYTHON ?= python3.11
BIN := .venv/bin
SECONDS ?=
# Most tests wait for servers: more workers than processors.
WORKERS ?= 4
PORT ?= 8090

.DEFAULT_GOAL := help

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: .venv/.ready ## A simulated plant, watched; SECONDS=90 ends it by itself, PORT=8090 is the page's
	$(BIN)/linewatch demo --port $(PORT) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: test
test: .venv/.ready-dev ## The whole suite: linters, types, floors, tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: quick
quick: .venv/.ready-dev ## The tests that take less than five seconds each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

MINUTES ?= 10
SEED ?=

.PHONY: soak
soak: .venv/.ready-dev ## Six cameras under faults at random for MINUTES=10, from SEED= or a printed one
	$(BIN)/python -m scripts.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

.PHONY: reliability
reliability: .venv/.ready-dev ## docs/reliability.md: every fault, how soon it is noticed and over
	$(BIN)/python -m scripts.reliability

.PHONY: picture
picture: .venv/.ready-dev ## The README's picture, from a running demo on PORT
	$(BIN)/python scripts/page_picture.py http://127.0.0.1:$(PORT)/ docs/images/page.png

.PHONY: clean
clean: ## Remove the environment and what the demo made
	rm -rf .venv demo-work

.venv/.ready: pyproject.toml constraints.txt scripts/set_up.sh
	sh scripts/set_up.sh $(PYTHON) embedded
	touch $@

.venv/.ready-dev: pyproject.toml constraints.txt scripts/set_up.sh
	sh scripts/set_up.sh $(PYTHON) dev
	touch $@ .venv/.ready
