# `make demo` and `make test` do everything on a fresh machine; under them are the commands that the README shows.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin

.PHONY: demo test lint layers-test setup-demo setup-dev clean

demo: setup-demo
	mkdir -p demo
	cd demo && $(BIN)/python -m stylegan.export --cfg v2ada_512_afhqcat --out afhqcat
	cd demo && $(BIN)/python -m runtime.run mode=mix seeds/458.bin seeds/293.bin
	@echo "The picture is $(abspath demo)/mix.png"

test: setup-dev
	$(BIN)/python -m pytest

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' | grep -v param_ids.h)

# The custom layers' own tests in C++; SANITIZE=ON runs them under ASan and UBSan.
SANITIZE ?= OFF
layers-test: setup-dev
	PATH=$(BIN):$$PATH cmake -S . -B build/layers-$(SANITIZE) -DNCNN_BUILDER_BUILD_TESTS=ON \
	  -DNCNN_BUILDER_SANITIZE=$(SANITIZE) -DPython_EXECUTABLE=$(BIN)/python
	cmake --build build/layers-$(SANITIZE) --parallel
	ctest --test-dir build/layers-$(SANITIZE) --output-on-failure

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

setup-demo: $(BIN)/python
	@echo "Installing. The first time ncnn is built: about 10 minutes on 2 cores."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[stylegan,video]"

setup-dev: $(BIN)/python
	@echo "Installing. The first time ncnn is built: about 10 minutes on 2 cores."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]" unearth

clean:
	rm -rf build demo $(VENV)
