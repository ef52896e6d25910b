# Needs Python 3.11 or newer and nothing else; uv is used where it is installed, because it is faster.
# Every target sets up what it needs, in .venv.

PYTHON ?= python3
SECONDS ?= 60
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)
LOCKS := actions/requirements
# Without bytecode on disk every start would compile the data libraries again, for seconds.
export PYTHONDONTWRITEBYTECODE :=
# As pip does, uv then trusts the certificates of the machine, a company's proxy included.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz check lint format types imports schema docs workflows lock clean

help:  ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(STAMP)  ## Install everything into .venv, or do nothing

# The installation is editable, so only a change of pyproject.toml calls for another one.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Model Gates needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 4; }
	@echo "Setting up $(VENV) …"
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(UV) pip install --quiet --compile-bytecode --editable '.[all,dev]'
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
endif
	@touch $@

demo: setup  ## Hold two candidates against a baseline, on real data, and roll one out
	@$(BIN)/model-gates demo --out demo-out

# A file's tests stay together, for what they share; in the order of the folders the longest begin.
test: setup  ## Run the tests with branch coverage, on every core
	@$(BIN)/pytest --cov --numprocesses auto --dist loadfile --no-loadscope-reorder

# For longer than the tests do, and each time otherwise; what is found is kept in .hypothesis/ and
# tried first the next time.
fuzz: setup  ## Try every parser on what nobody has thought of; SECONDS=60 for each property
	@MODEL_GATES_FUZZ_SECONDS="$(SECONDS)" $(BIN)/pytest --verbose tests/fuzz

check: lint types imports schema workflows test  ## Do everything that CI does

lint: setup  ## Hold the code to its style and safety rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/shellcheck actions/*.sh .ci/run

format: setup  ## Mend what a machine can mend
	@$(BIN)/ruff check --fix --show-fixes .
	@$(BIN)/ruff format .

types: setup  ## Check types, strictly
	@$(BIN)/mypy

imports: setup  ## Check that imports point one way
	@$(BIN)/lint-imports --no-logo

schema: setup  ## Check that what is generated (JSON Schemas, README tables) is that of the code
	@$(BIN)/model-gates schema --check
	@$(BIN)/python .ci/readme.py --check
	@$(BIN)/python .ci/templates.py --check

docs: setup  ## Renew what is generated
	@$(BIN)/model-gates schema --write
	@$(BIN)/python .ci/readme.py
	@$(BIN)/python .ci/templates.py

workflows: setup  ## Read the actions and workflows as an attacker would
	@$(BIN)/zizmor --offline --quiet --persona auditor --min-severity medium \
	  $(filter-out %/gitlab-ci.yml,$(wildcard action.yml actions/*/action.yml workflows-examples/*.yml .github/workflows/*.yml))

# `all` is resolved first and binds the others: one version of a library, whatever the extras.
lock:  ## Renew the actions' requirements, with hashes
	@test -n "$(UV)" || { echo "make lock needs uv." >&2; exit 4; }
	@cd $(LOCKS) && $(UV) pip compile ../../pyproject.toml --extra all --output-file all.txt $(LOCK_FLAGS) --upgrade
	@cd $(LOCKS) && $(UV) pip compile ../../pyproject.toml --output-file core.txt $(LOCK_FLAGS) --constraints all.txt
	@cd $(LOCKS) && for extra in data-schema docker fairness html kubernetes sagemaker; do \
	  $(UV) pip compile ../../pyproject.toml --extra $$extra --output-file $$extra.txt $(LOCK_FLAGS) --constraints all.txt \
	  || exit; done

LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
  --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

clean:  ## Remove what the targets made
	@rm -rf $(VENV) demo-out .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
