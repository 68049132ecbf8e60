# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --no-compile --disable-pip-version-check -q -c constraints.txt
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

comma := ,
KERNEL_TESTS := tests/engine/test_native.py tests/engine/test_transfer.py tests/engine/test_gradients.py
CORE_TESTS := tests/circuits tests/engine tests/models
# Attacks meet the kernel through the engine, whose agreement with it CORE_TESTS prove: a few of them will do.
FEW_ATTACKS := $(addprefix tests/attacks/test_attacks.py::test_,pgd_beats_noise_and_identity \
  float64_inputs_on_a_float32_model callers_modes_do_not_matter)
# A file goes to one worker, so that what its tests share is made once (pytest 9 ignores the groups of loadgroup).
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile
PROOF := -m "" --hypothesis-profile=prove

.PHONY: help demo test prove fallback mutations sanitize race install check format pages docs perf clean

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

test: $(VENV)/.tested ## run the tests, the long proofs left out
	$(PYTEST)

$(VENV)/.proving: $(VENV)/.tested
	$(PIP) -e '.[prove]'
	@touch $@

prove: $(VENV)/.proving ## run every test at full size, also without the native kernel
	$(PYTEST) $(PROOF)
	ROBUSTQ_NATIVE=0 $(PYTEST) $(PROOF) $(CORE_TESTS) tests/attacks/test_attacks.py

fallback: $(VENV)/.tested ## run the core tests without the native kernel
	ROBUSTQ_NATIVE=0 $(PYTEST) $(CORE_TESTS) $(FEW_ATTACKS)

mutations: $(VENV)/.tested ## make lines of the package wrong, one at a time: some test has to notice
	$(BIN)/python tools/mutations.py

# $(call kernel,folder,flags,options): the kernel once more, under build/, with a sanitizer's flags
define kernel
	$(PIP) cmake ninja nanobind
	$(BIN)/cmake -G Ninja -S . -B build/$(1) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPython_EXECUTABLE=$(abspath $(BIN)/python) \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_CXX_FLAGS="$(2) -fno-omit-frame-pointer" $(3) \
	  -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir)
	$(BIN)/cmake --build build/$(1)
	@printf 'import sys\nsys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]\n' \
	  > build/$(1)/sitecustomize.py # the editable installation would put the ordinary kernel first
	PYTHONPATH=build/$(1):src $(BIN)/python -c 'import importlib.util as u; at = u.find_spec("_robustq_kernel").origin; assert "build/$(1)" in at, at'
endef

sanitize: $(VENV)/.tested ## run the kernel's tests under ASan and UBSan
	$(call kernel,sanitize,-fsanitize=address$(comma)undefined)
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	  PYTHONPATH=build/sanitize:src $(BIN)/python -m pytest -q -p no:xdist $(KERNEL_TESTS)

race: $(VENV)/.tested ## run the kernel's threads under TSan
	$(call kernel,race,-fsanitize=thread,-DROBUSTQ_BASELINE=ON)
	LD_PRELOAD="$$(gcc -print-file-name=libtsan.so)" TSAN_OPTIONS=halt_on_error=1 OPENBLAS_NUM_THREADS=1 \
	  PYTHONPATH=build/race:src $(BIN)/python tests/kernel_race.py

check: $(VENV)/.tested ## format, lint, types, floors, budgets, fresh pages
	$(BIN)/ruff format --check src tests tools perf examples studies
	$(BIN)/ruff check src tests tools perf examples studies
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/budgets.py
	$(BIN)/python tools/pages.py --check
	$(BIN)/python tools/architecture.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir /tmp/robustq-site

format: $(VENV)/.tested ## format and fix what can be fixed
	$(BIN)/ruff format src tests tools perf examples studies
	$(BIN)/ruff check --fix src tests tools perf examples studies

pages: $(VENV)/.tested ## write the generated pages of the documentation
	$(BIN)/python tools/pages.py
	$(BIN)/python tools/architecture.py

docs: $(VENV)/.tested pages ## build the documentation in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.measured: $(VENV)/.tested
	$(PIP) -e '.[perf]' || echo "some peers cannot be installed here; the others are measured"
	@touch $@

perf: $(VENV)/.measured ## time the engine beside other simulators, in one run
	$(BIN)/python -m perf all

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .import_linter_cache
