# fastml from a checkout. On a fresh machine `make demo` and `make test` do all of their own set-up.
#
#   make PYTHON=python3.12 test      another interpreter than python3
#   make ARGS="--short" demo         arguments for the demo

PYTHON ?= python3
VENV ?= .venv
VENV_CUDA ?= .venv-cuda
VENV_WHEEL ?= .venv-wheel
ARGS ?=
JOBS ?= 2

BIN := $(VENV)/bin
# What the compiled kernels are made of; _*.c is Cython's output.
KERNEL_SOURCES := setup.py pyproject.toml fastml/kernels/cpu/_runtime.pxd \
	$(shell find src_ext -name '*.pyx' -o -name '*.pxi' -o -name '*.h' -o -name '*.c' ! -name '_*.c')
C_SOURCES := $(shell find src_ext -name '*.h' -o -name '*.c' ! -name '_*.c')
# Modules are compiled as they are imported: most of what is installed never is.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

.DEFAULT_GOAL := help
.PHONY: help demo test bench gpu lint format compile-cuda kernels-at-each-level wheel test-wheel clean check

help: ## what there is to make
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1#/' | \
		awk -F'#' '{ printf "%-30s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed ## train the classifiers on MNIST beside scikit-learn's: a table and demo.png
	$(BIN)/python examples/demo.py $(ARGS)

# Two runs: Numba's CUDA simulator is chosen when Numba is first imported, and only the kernel tests want it.
test: $(VENV)/.installed ## the whole test suite
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests --ignore tests/kernels
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests/kernels

bench: $(VENV)/.installed-dev ## time fits beside scikit-learn's; refreshes benchmarks/results and the README's table
	$(BIN)/pytest benchmarks/bench_*.py --benchmark-json=$(VENV)/benchmark.json
	$(BIN)/python benchmarks/report.py $(VENV)/benchmark.json

# The machine's own Python: tools/gpu_check.py names the packages it needs, and installs nothing.
gpu: ## everything that needs an NVIDIA GPU: tests and benchmarks, in 8 minutes at most
	$(PYTHON) tools/gpu_check.py

lint: $(VENV)/.installed-dev ## ruff, clang-format and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; echo "make format does it"; exit 1; }
	$(BIN)/clang-format --dry-run -Werror $(C_SOURCES)
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## let ruff and clang-format lay out the sources
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_SOURCES)

compile-cuda: $(VENV)/.installed $(VENV_CUDA)/.installed ## compile every CUDA kernel, without a GPU
	$(VENV_CUDA)/bin/python tools/compile_cuda.py --jobs $(JOBS)

# FASTML_CPU only accepts levels that the processor has, and `make test` runs at the highest of them. Simulated CUDA
# kernels don't depend on levels. A level is another compilation of sources that `make test` draws for in full: here
# Hypothesis draws a third as many examples.
kernels-at-each-level: $(VENV)/.installed ## the CPU kernels' tests at the lower instruction-set levels of this machine
	@set -e; \
	levels=$$($(BIN)/python -c 'from fastml.kernels.cpu import _runtime as r; \
	print(*(r.level_name(level) for level in range(2, r.PROCESSOR_LEVEL)))'); \
	for level in $$levels; do \
		echo "FASTML_CPU=$$level"; \
		FASTML_CPU=$$level $(BIN)/pytest -n $(JOBS) --dist worksteal --hypothesis-profile third \
			tests/kernels -k "not cuda" --ignore tests/kernels/test_gram_custom.py; \
	done

# The set-up of $(VENV) has built in isolation, with what pyproject.toml says a build requires and nothing else.
wheel: $(VENV)/.installed-dev ## dist/: an sdist, and the wheel built from it
	rm -rf dist
	$(BIN)/python -m build --no-isolation

test-wheel: wheel ## the whole test suite against that wheel, installed outside the source tree
	PYTHON=$(PYTHON) JOBS=$(JOBS) tools/test_wheel.sh $(VENV_WHEEL)

clean: ## remove everything built, the virtual environments too
	rm -rf build dist *.egg-info $(VENV) $(VENV_CUDA) $(VENV_WHEEL) demo.png
	rm -rf .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f fastml/kernels/cpu/*.so src_ext/*/_*.c
	find fastml tests benchmarks examples tools -name __pycache__ -prune -exec rm -rf {} +

# Set-up. A stamp in the environment tells when it was last brought up to date.

check:
	@command -v $(PYTHON) >/dev/null || { \
		echo "fastml needs Python 3.11 or newer, and there is no $(PYTHON). Elsewhere: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "fastml needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. Debian, Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig; print((os.environ.get("CC") or sysconfig.get_config_var("CC")).split()[0])' | \
		{ read -r compiler; command -v "$$compiler" >/dev/null || { \
		echo "There is no C compiler $$compiler. Debian, Ubuntu: apt-get install gcc; Fedora: dnf install gcc; macOS: xcode-select --install. Another: make CC=clang" >&2; exit 1; }; }
	@test -f "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || { \
		echo "The C headers of $(PYTHON) are missing. Debian, Ubuntu: apt-get install python3-dev; Fedora: dnf install python3-devel" >&2; exit 1; }

$(VENV)/.created:
	@$(MAKE) --no-print-directory check
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(KERNEL_SOURCES)
	$(BIN)/python $(PIP_INSTALL) --editable ".[test,plot]"
	@touch $@

# fastml is installed by now: this adds what its extra names, and builds nothing.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) "fastml[dev]"
	@touch $@

# An environment of its own: where numba-cuda is installed, its simulator takes the place of Numba's. It has the CUDA
# packages, and through a path file those of $(VENV), which pip counts as installed.
$(VENV_CUDA)/.installed: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m venv $(VENV_CUDA)
	site_packages='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	$(BIN)/python -c "$$site_packages" > "$$($(VENV_CUDA)/bin/python -c "$$site_packages")/packages-of-fastml.pth"
	$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*project["dependencies"], *project["optional-dependencies"]["cuda-compile"], sep="\n")' \
		> $(VENV_CUDA)/requirements.txt
	$(VENV_CUDA)/bin/python $(PIP_INSTALL) --requirement $(VENV_CUDA)/requirements.txt
	@touch $@
