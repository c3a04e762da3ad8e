# Every target sets up what it needs: a virtual environment in .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench serve lock clean

help:  ## Print the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Sixfold needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed  ## Private jobs on real data, end to end, in about a minute
	$(BIN)/sixfold demo

test: check  ## All checks and all tests
	$(BIN)/python -m pytest

check: .venv/installed  ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/installed  ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed  ## Measure; ONLY=name,name runs some figures
	$(BIN)/python tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY))

serve: .venv/installed  ## A market on this machine with development credit
	$(BIN)/sixfold market serve

lock: .venv/installed  ## Pin the newest allowed versions (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links --no-annotate --upgrade --output-file requirements.lock

clean:  ## Remove the environment and everything that was built
	rm -rf .venv build
