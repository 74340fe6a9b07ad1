# A fresh machine needs python3 >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINES := onnxruntime openvino
STAMP := $(VENV)/.installed

.PHONY: setup demo test check format figures conformance faults lock clean

setup: $(STAMP)  ## the environment in .venv, and one locked device environment for each engine

$(STAMP): locks/main.txt $(ENGINES:%=locks/device-%.txt) pyproject.toml cloud/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r locks/main.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e . -e cloud
	$(BIN)/insight-edge toolchain install $(ENGINES:%=device-%)
	touch $@

demo: setup  ## train, compile for three machines, prove, run, and swap under load
	$(BIN)/insight-cloud demo examples/train.toml

test: setup  ## every suite that needs no special hardware
	$(BIN)/pytest

conformance: setup
	$(BIN)/pytest tests/conformance

faults: setup
	$(BIN)/pytest tests/faults

check: setup  ## format, lint, types, arrows, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture -m 'not slow'

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

figures: setup  ## the project's own figures, as ratios with intervals
	$(BIN)/python -m benchmarks

lock: setup  ## derive locks/ from constraints.txt anew
	$(BIN)/python locks/derive.py

clean:
	rm -rf $(VENV) .demo
