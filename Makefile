# `make demo` and `make test` do all of their own set-up; the second time is fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEER := .peer
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: demo test lint trial pytest test-reactors peer docs bench clean

demo: $(VENV)/ready
	$(BIN)/python examples/demo.py

test: lint trial pytest test-reactors

$(VENV)/ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# Real Skynet, for the tests that need a peer; it compiles for some minutes.
peer:
	sh tests/real/make_peer.sh $(PEER)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

trial: $(VENV)/ready peer
	$(BIN)/python -b -m twisted.trial --temp-directory=$(VENV)/trial tests

pytest: $(VENV)/ready peer
	$(BIN)/python -b -m pytest -q tests

test-reactors: $(VENV)/ready
	$(BIN)/python -m tests.reactors.matrix

clean:
	rm -rf $(VENV) $(PEER) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
