# edgeocr: `make demo` and `make test` need Python 3.11 or newer, pip and make; the rest they
# install into .venv. Nothing is done twice: delete .venv or bundles/ to start afresh.

# The first of these that really runs and is new enough; `make PYTHON=/path/to/python` decides.
PYTHON ?= $(shell for candidate in python3.11 python3.12 python3.13 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$candidate; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
OFFICIAL := bundles/ppocrv4-int8
EMBEDDED := sdk/edgeocr/bundles/ppocrv2-int8
# What the embedded bundle is made of.
WEIGHTS := $(addprefix training/weights/,det_lines_int8.pt cls_int8.pt rec_ch_int8.pt)
CHARSET := training/weights/ppocr_keys_v1.txt
SAMPLES := docs/samples/receipt.jpg docs/samples/printed_page.png

# Some tests need Debian's packages: a JDK, an sshd, QEMU, cross-compilers, adb. Where apt-get can
# install them without asking, `make test` does, and no test may be skipped for want of a tool.
# Elsewhere those tests are skipped, and say what they lack.
TOOLS := $(shell command -v apt-get >/dev/null && \
	{ [ "$$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; } && echo 1)

.DELETE_ON_ERROR:
.PHONY: help demo official bundle test env convert-env tools lint types unit wheel-check clean

help:
	@echo 'make demo         install edgeocr and read two sample images'
	@echo 'make official     the same with the official PP-OCRv4 models, converted to INT8 before'
	@echo 'make bundle       make the embedded bundle anew, from the weights in training/weights'
	@echo 'make test         environment, lint, types, tests'
	@echo 'make tools        the Debian packages that tests of boards, phones and the app need'
	@echo 'make wheel-check  build the wheel, install it on every Python that is here, read an image'
	@echo 'make convert-env  only the environment of edgeocr-convert, in $(VENV)'
	@echo 'make clean        remove the environment, caches and the demo'"'"'s pictures; keep bundles/'

demo: $(VENV)/sdk.stamp
	$(BIN)/edgeocr read $(SAMPLES) --draw demo
	@echo 'The pictures with boxes and texts are in demo/'

official: $(OFFICIAL)/bundle.json
	$(BIN)/edgeocr read $(SAMPLES) --bundle $(OFFICIAL) --draw demo
	@echo 'The pictures with boxes and texts are in demo/'

bundle: $(VENV)/dev.stamp
	$(BIN)/edgeocr-convert checkpoint $(WEIGHTS) --charset $(CHARSET) --name ppocrv2-int8 \
		--out $(EMBEDDED)

test: lint types unit

convert-env: $(VENV)/convert.stamp
env: $(VENV)/dev.stamp

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev.stamp
	$(BIN)/mypy

unit: $(VENV)/dev.stamp $(if $(TOOLS),tools)
	$(if $(TOOLS),EDGEOCR_ALL_TOOLS=1) $(BIN)/pytest

tools:
	benchmarks/target_packages.sh
	benchmarks/emulation_packages.sh
	android_demo/install_tools.sh --apk

wheel-check: $(VENV)/pip.stamp
	$(BIN)/python tests/wheel_check.py

$(OFFICIAL)/bundle.json: | $(VENV)/convert.stamp
	$(BIN)/edgeocr-convert official ppocrv4 --out $(OFFICIAL)

# A stamp says that a step ended well; a venv that was interrupted half-way has none.
# Debian splits ensurepip from Python: without it, the pip that is there fills the new venv.
$(VENV)/pip.stamp:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'edgeocr needs Python 3.11 or newer here, and found none that runs.' >&2; \
		echo 'Install one, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)' >&2; exit 2; }
	@rm -rf $(VENV)
	@echo 'Making $(VENV) with $(PYTHON)'
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	else $(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install -q pip; fi
	@touch $@

$(VENV)/sdk.stamp: pyproject.toml $(VENV)/pip.stamp
	$(PIP) install -e .
	@touch $@

# onnx2tf declares another LiteRT than the quantizer does, so no resolver takes both. It works
# with this one; --no-deps leaves it what the extra has already installed.
$(VENV)/convert.stamp: pyproject.toml $(VENV)/pip.stamp
	@echo 'Installing edgeocr with its converter: about 700 MB, a few minutes'
	$(PIP) install --no-warn-conflicts -e '.[convert,bench]'
	$(PIP) install --no-warn-conflicts --no-deps --ignore-requires-python onnx2tf==2.6.9
	@touch $@

$(VENV)/dev.stamp: $(VENV)/convert.stamp
	$(PIP) install --no-warn-conflicts -e '.[dev,train]'
	@touch $@

clean:
	rm -rf $(VENV) demo dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
