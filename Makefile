# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: help demo test fallback sanitize install check format pages docs perf clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: constraints.txt pyproject.toml CMakeLists.txt $(wildcard src/kernel/*)
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"expected Python >= 3.11, got {sys.version.split()[0]}; try: make PYTHON=python3.11 ..."'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) -e '.[test,check,docs]'
	@touch $@

install: $(VENV)/.installed ## make .venv and install the package in it

demo: $(VENV)/.installed ## assess a quantum model on real breast-cancer data
	$(BIN)/robustq assess --data breast-cancer --out runs/demo
	@echo "open runs/demo/report.html"

test: $(VENV)/.tested ## run every test
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

fallback: $(VENV)/.tested ## run the core tests without the native kernel
	ROBUSTQ_NATIVE=0 $(BIN)/python -m pytest -q -n $(WORKERS) tests/circuits tests/engine tests/attacks tests/models

sanitize: $(VENV)/.tested ## run the kernel's tests under ASan and UBSan
	$(PIP) cmake ninja nanobind
	$(BIN)/cmake -G Ninja -S . -B build/sanitize -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_CXX_FLAGS="-fsanitize=address,undefined -fno-omit-frame-pointer" \
	  -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir)
	$(BIN)/cmake --build build/sanitize
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	  PYTHONPATH=build/sanitize $(BIN)/python -m pytest -q -p no:xdist tests/engine/test_native.py

check: $(VENV)/.tested ## format, lint, types, floors, budgets, fresh pages
	$(BIN)/ruff format --check src tests tools perf examples
	$(BIN)/ruff check src tests tools perf examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/budgets.py
	$(BIN)/python tools/pages.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir /tmp/robustq-site

format: $(VENV)/.tested ## format and fix what can be fixed
	$(BIN)/ruff format src tests tools perf examples
	$(BIN)/ruff check --fix src tests tools perf examples

pages: $(VENV)/.tested ## write the generated pages of the documentation
	$(BIN)/python tools/pages.py

docs: $(VENV)/.tested pages ## build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.measured: $(VENV)/.tested
	$(PIP) -e '.[perf]' || echo "some peers cannot be installed here; the others are measured"
	@touch $@

perf: $(VENV)/.measured ## time the engine beside other simulators, in one run
	$(BIN)/python -m perf all

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .import_linter_cache
