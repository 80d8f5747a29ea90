# `make demo` and `make test` do all of their own set-up; the second time is fast.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMPILED := .venv-compiled
VERSIONS := .venv-versions
PEER := .peer
SOURCES := setup.py setup.cfg pyproject.toml $(shell find skynet_tw -name '*.py')
export PYTHONDONTWRITEBYTECODE := 1
export SKYNET_PEER := $(CURDIR)/$(PEER)

.PHONY: demo demo-cluster quick test lint docs trial pytest test-reactors
.PHONY: test-compiled collected internals test-versions peer etcd clean

demo: $(VENV)/ready
	$(BIN)/python examples/demo.py

# A real Skynet node and two of ours, that call each other by name.
demo-cluster: $(VENV)/ready peer
	$(BIN)/python examples/demo_cluster.py

# What to run while you work: the tests that need nothing but memory, lint, types.
quick: $(VENV)/ready lint
	SKYNET_TW_EXAMPLES=100 $(BIN)/python -b -m twisted.trial -j2 --reporter=text \
		--temp-directory=$(VENV)/quick $$($(BIN)/python -m tests.memory)

# The table of versions comes last.
test: lint docs trial pytest test-reactors test-compiled test-versions

$(VENV)/ready: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/pip install --quiet --editable '.[test,docs]'
	touch $@

# Real Skynet, for the tests that need a peer; it compiles for some minutes.
peer:
	sh tests/real/make_peer.sh $(PEER)

# A real etcd, for the tests of the directory of nodes that asks it.
etcd:
	sh tests/discovery/make_etcd.sh

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/ready
	$(BIN)/towncrier build --draft > /dev/null
	$(BIN)/sphinx-build -q -W -d $(VENV)/doctrees docs docs/_build

# What docs/internals.md takes from the code: the modules and the state machines.
internals: $(VENV)/ready
	$(BIN)/python -m tests.internals

trial: $(VENV)/ready peer etcd
	$(BIN)/python -b -m twisted.trial --temp-directory=$(VENV)/trial tests

# pytest finds the tests that trial finds, and runs some of each kind: plain ones and
# Deferreds, hypothesis, sockets, processes, real nodes.
pytest: $(VENV)/ready peer
	$(BIN)/python -m tests.collected
	$(BIN)/python -b -m pytest -q tests/wire tests/net tests/test_boot.py \
		tests/test_sockets.py tests/test_logs.py tests/real/test_system.py

test-reactors: $(VENV)/ready
	$(BIN)/python -m tests.reactors.matrix --require asyncio+uvloop

# The tests in memory on each Python here, on the lowest versions and the newest.
test-versions: $(VENV)/ready
	$(BIN)/python -m tests.versions.matrix --directory $(VERSIONS)

# The same tests with the compiled modules that `pip install .` makes.
$(COMPILED)/ready: $(SOURCES)
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED)/bin/pip install --quiet --upgrade pip
	$(COMPILED)/bin/pip install --quiet . 'hypothesis>=6'
	touch $@

test-compiled: $(COMPILED)/ready peer
	rm -rf $(COMPILED)/run && mkdir $(COMPILED)/run && cp -r tests examples docs $(COMPILED)/run
	cd $(COMPILED)/run && ../bin/python -c \
		'import skynet_tw.seri as s; assert s.__file__.endswith(".so"), s.__file__'
	cd $(COMPILED)/run && ../bin/python -m twisted.trial --temp-directory=../trial \
		tests.node tests.wire tests.link tests.net tests.real \
		tests.test_boot tests.test_hostile tests.test_keys tests.test_pickle \
		tests.test_seri tests.test_seri_2013

clean:
	rm -rf $(VENV) $(COMPILED) $(VERSIONS) $(PEER) build dist *.egg-info docs/_build
	rm -rf .mypy_cache .ruff_cache .hypothesis .pytest_cache
