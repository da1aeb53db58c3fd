# `make demo` and `make test` do everything on a fresh machine; under them are the commands that the README shows.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin

.PHONY: demo test lint cpp layers-test setup-demo setup-dev clean

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

# What is C++ alone: the layers, the program stylegan, an installed prefix, and the example that is built against it.
# SANITIZE=ON builds all but the example for ASan and UBSan.
SANITIZE ?= OFF
CPP := build/cpp-$(SANITIZE)
CMAKE := $(BIN)/cmake
cpp: setup-dev
	$(CMAKE) -S . -B $(CPP) -DNCNN_BUILDER_BUILD_TESTS=ON -DNCNN_BUILDER_SANITIZE=$(SANITIZE) \
	  -DPython_EXECUTABLE=$(BIN)/python
	$(CMAKE) --build $(CPP) --parallel
	$(CMAKE) --install $(CPP) --prefix $(CPP)/prefix
ifeq ($(SANITIZE),OFF)
	$(CMAKE) -S examples/cpp -B $(CPP)/example -DCMAKE_PREFIX_PATH=$(abspath $(CPP)/prefix)
	$(CMAKE) --build $(CPP)/example
endif

# The custom layers' own tests in C++.
layers-test: cpp
	$(BIN)/ctest --test-dir $(CPP) --output-on-failure

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

setup-demo: $(BIN)/python
	@echo "Installing. The first time ncnn is built: about 10 minutes on 2 cores."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[stylegan,video]"

setup-dev: $(BIN)/python
	@echo "Installing. The first time ncnn is built: about 10 minutes on 2 cores."
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]" unearth cmake

clean:
	rm -rf build demo $(VENV)
