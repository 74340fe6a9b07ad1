# A fresh machine needs python3 >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINES := onnxruntime openvino tflite tvm
TOOLCHAINS := tflite tvm tritonclient
MORE_TOOLCHAINS := tensorrt trees tensorflow litert tflite-runtime
STAMP := $(VENV)/.installed
# Half as many again as processors: many tests wait for a broker, a child or a timer.
WORKERS := $(shell expr $$(nproc) \* 3 / 2)

# Hundreds of processes would each compile this project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo chaos up test check format figures figures-compile figures-serving conformance arm-root faults soak lock clean

setup: $(STAMP)  ## the environment in .venv, and one locked environment for each engine and toolchain

$(STAMP): locks/main.txt locks/device.txt $(ENGINES:%=locks/device-%.txt) $(TOOLCHAINS:%=locks/toolchain-%.txt) pyproject.toml cloud/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r locks/main.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e . -e cloud
	$(BIN)/insight-edge toolchain install $(ENGINES:%=device-%) $(TOOLCHAINS:%=toolchain-%)
	$(BIN)/python -m conformance --fetch
	touch $@

demo: setup  ## the whole loop on this machine; SHIFT=none, SHIFT=noise, SEED=7, STAY=1
	$(BIN)/insight-cloud demo examples/train.toml $(if $(SHIFT),--shift $(SHIFT)) $(if $(SEED),--seed $(SEED)) $(if $(STAY),--stay)

chaos: setup  ## the demo again and again, processes killed meanwhile, for MINUTES=10; SEED=7
	$(BIN)/python -m insight_cloud.demo.marathon examples/train.toml --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0)

up: setup  ## a cloud on this machine
	$(BIN)/insight-cloud up

test: setup  ## every suite that needs no special hardware, on every core
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

conformance: setup arm-root  ## every plug-in, with the toolchains that few need (3.6 GB more)
	$(BIN)/insight-edge toolchain install $(MORE_TOOLCHAINS:%=toolchain-%)
	$(BIN)/pytest --long tests/conformance tests/integration
	$(BIN)/python -m conformance

arm-root: setup  ## what artifacts for aarch64 are asked in, under emulation
	tools/arm/build-root

faults: setup  ## everything that breaks, for as long as it takes
	$(BIN)/pytest --long tests/faults
	$(BIN)/pytest --long -m long tests/unit

soak: setup  ## a runtime under load and swaps for MINUTES=30: nothing lost, mixed or grown
	MINUTES=$(or $(MINUTES),30) $(BIN)/pytest -q -s tests/soak

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

figures-compile: setup  ## the compiler beside Olive, NNCF, ONNX Runtime and PyTorch, over the zoo; long
	$(BIN)/insight-edge toolchain install toolchain-zoo toolchain-peers
	$(BIN)/python -m benchmarks compile

figures-serving: setup  ## `serve` beside MLServer, LitServe and BentoML
	$(BIN)/insight-edge toolchain install toolchain-servers
	$(BIN)/python -m benchmarks serving

lock: setup  ## derive locks/ from constraints.txt anew
	$(BIN)/python locks/derive.py

clean:
	rm -rf $(VENV) .demo
