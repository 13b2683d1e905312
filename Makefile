# Needs Python 3.11+ and make. Everything else goes into .venv, pinned by constraints.txt.

PYTHON      ?= python3
PYTEST_ARGS ?=
TORCH_INDEX ?=

VENV  := .venv
STAMP := $(VENV)/.ready
HALF  := $(VENV)/.unfinished

export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP_INSTALL = $(VENV)/bin/python -m pip install -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# Renamed first: a removal that is cut short must not leave something that looks like an environment.
DISCARD = rm -rf $(VENV).old; if [ -e $(VENV) ]; then mv $(VENV) $(VENV).old && rm -rf $(VENV).old; fi

# The stamp names the folder .venv was made for: a checkout that was moved or copied needs a new one.
MADE_FOR := $(shell $(VENV)/bin/python -c "print(open('$(STAMP)').read().strip())" 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test check format clean anew

help: ## show this list
	@echo "burnish: finds surface defects on metal parts after seeing only good ones"
	@echo
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'
	@echo
	@echo "Variables:"
	@echo "  PYTHON=python3.12       the Python to build .venv with (3.11 or newer; now: $(PYTHON))"
	@echo "  PYTEST_ARGS='-m \"not slow\"'   extra arguments of pytest"
	@echo "  TORCH_INDEX=https://download.pytorch.org/whl/cpu"
	@echo "                          on Linux without a GPU: a far smaller torch, without CUDA"

demo: $(STAMP) ## make images of metal, train on the good ones, find the defects: demo/report.html
	@echo "==> Running the demo; the report goes to demo/report.html"
	@$(VENV)/bin/burnish demo --out demo

# One process a core, one thread each: most tests are too small for two threads to help.
test: $(STAMP) ## run all tests, one process a core
	@echo "==> Running the tests"
	@OMP_NUM_THREADS=1 $(VENV)/bin/pytest -n auto --dist worksteal $(PYTEST_ARGS)

check: $(STAMP) ## ruff (lint and format) and mypy
	@echo "==> Linting"
	@$(VENV)/bin/ruff check .
	@echo "==> Looking at the format (make format mends it)"
	@$(VENV)/bin/ruff format --check .
	@echo "==> Checking types"
	@$(VENV)/bin/mypy

format: $(STAMP) ## mend lint and format
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

clean: ## remove .venv, demo/ and caches (runs/ and data/ stay)
	@echo "==> Removing $(VENV), demo/, caches and build output"
	@$(DISCARD)
	@rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

ifneq ($(MADE_FOR),$(CURDIR))
$(STAMP): anew
endif

# .unfinished lies in .venv while packages go in: if it is found, the last attempt was cut short.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "burnish needs Python 3.11 or newer, and '$(PYTHON)' was not found. Install one, or name it: make demo PYTHON=python3.12"; \
	  exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "burnish needs Python 3.11 or newer, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Install a newer one and name it: make demo PYTHON=python3.12"; \
	  exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make environments: its venv module is missing. On Debian and Ubuntu: apt install python3-venv"; \
	  exit 1; }
	@if [ -e $(HALF) ]; then \
	  echo "==> An unfinished $(VENV) lies here; starting it again"; $(DISCARD); \
	elif [ -e $(STAMP) ] && [ "$(MADE_FOR)" != "$(CURDIR)" ]; then \
	  echo "==> $(VENV) was made for another folder or Python; making it anew"; $(DISCARD); \
	elif [ -e $(STAMP) ]; then \
	  echo "==> pyproject.toml or constraints.txt has changed; bringing $(VENV) up to date"; \
	fi
	@mkdir -p $(VENV) && touch $(HALF) && rm -f $(STAMP)
	@if ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
	  echo "==> Making the environment $(VENV) with $$("$(PYTHON)" --version)"; \
	  "$(PYTHON)" -m venv $(VENV); \
	fi
	@echo "==> Installing torch (the largest part; a few minutes on a slow line, once)"
	@$(PIP_INSTALL) torch
	@echo "==> Installing burnish and the other packages it needs (a minute or two, once)"
	@$(PIP_INSTALL) --quiet -e '.[dev,export,features]'
	@rm -f $(HALF) && echo "$(CURDIR)" > $(STAMP)
	@echo "==> $(VENV) is ready"
