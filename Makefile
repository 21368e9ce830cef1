# `make help` lists what there is.
VENV ?= .venv
VARIANT ?= cpu
BIN := $(VENV)/bin
INSTALL = @VENV='$(VENV)' VARIANT='$(VARIANT)' PYTHON='$(PYTHON)' requirements/install

# The CPU lock holds the CPU build of onnxruntime, which must not be asked for a GPU.
ifeq ($(VARIANT),cpu)
export MAMMOSEG_DEVICE ?= cpu
endif

# Processes that tests, and mypy, run in side by side; each test file stays together.
WORKERS ?= 2
# `make test COVERAGE=FILE` counts which lines run in the tests' own processes.
ifdef COVERAGE
COUNTED := -m slipcover --source service,model_export,mammoseg --json --out $(COVERAGE)
endif
PYTEST := $(BIN)/python $(COUNTED) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo serve test test-fast test-long format check audit sbom docs bench lock clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: $(VENV)/installed-demo ## real mammograms through the service; results in demo/
	$(BIN)/mammoseg demo --out demo

serve: $(VENV)/installed-demo ## the service on 127.0.0.1:8000
	$(BIN)/mammoseg serve

test: $(VENV)/installed-dev ## every test that this machine can run
	$(PYTEST) $(PYTEST_ARGS)

test-fast: $(VENV)/installed-dev ## what runs in memory: under a minute
	$(PYTEST) -m "unit and not slow" $(addprefix --ignore=tests/,corpus e2e fuzz) $(PYTEST_ARGS)

# 95.7 with ../shared, which may be absent. With --fail-under beside the tests it would print zeros (1.1.0).
test-long: $(VENV)/installed-dev .cache/frameworks/installed ## every test, lines counted, and other people's frameworks, as before a release
	$(MAKE) test COVERAGE=.cache/coverage.json
	$(BIN)/python -m slipcover --merge .cache/coverage.json --out /dev/null --skip-covered --fail-under 90
	PYTHONPATH=$(CURDIR)/.cache/frameworks $(PYTEST) -m frameworks tests/model_export/adopt

format: $(VENV)/installed-dev ## lay the code out, and mend what ruff mends by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: $(VENV)/installed-dev ## style, spelling, types, architecture, openapi.yaml
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/typos
	$(BIN)/mypy --num-workers $(WORKERS)
	$(BIN)/lint-imports --no-cache
	$(BIN)/mammoseg openapi --check openapi.yaml

audit: $(VENV)/installed-dev ## known weaknesses of what is locked, secrets, Dockerfile
	$(BIN)/python requirements/audit.py requirements/cpu.txt requirements/gpu.txt requirements/dev.txt requirements/uv.txt
	git ls-files -z -- ':!*.png' ':!*.onnx' ':!requirements/*.txt' ':!docs/model-report' | \
	  xargs --null --max-procs=$(WORKERS) --max-args=150 $(BIN)/detect-secrets-hook \
	  --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString \
	  --disable-plugin KeywordDetector
	$(BIN)/hadolint Dockerfile

sbom: $(VENV)/installed-dev ## build/sbom.cdx.json, what the wheel and its dependencies are
	$(BIN)/python deploy/sbom.py build/sbom.cdx.json --lock requirements/cpu.txt

docs: $(VENV)/installed-dev ## the documentation as a site, in build/site
	$(BIN)/python -m docs.generator

bench: $(VENV)/installed-dev ## ratios to the bare net and to other servers; QUICK=1 for a few minutes
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

lock: ## write requirements/*.txt anew; needs uv
	requirements/lock

clean: ## remove what make made
	rm -rf $(VENV) demo build dist .cache/frameworks .cache/coverage.json

# Other people's frameworks lie beside the locked environment, on the path of their own tests alone.
.cache/frameworks/installed: requirements/frameworks.txt | $(VENV)/installed-dev
	$(BIN)/python -m pip install --no-compile --no-deps --no-build-isolation --require-hashes \
	  --upgrade --target $(@D) --requirement $<
	touch $@

$(VENV)/installed-demo: requirements/install requirements/demo.txt requirements/gpu.txt pyproject.toml
	$(INSTALL) demo

$(VENV)/installed-dev: $(VENV)/installed-demo requirements/dev.txt requirements/constraints.txt
	$(INSTALL) dev
