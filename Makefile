# Everything runs from this folder with relative paths, so its name may hold spaces or any letters.
# PYTHON=/path/to/python chooses the Python that .venv is made from; GPU=1 adds CUDA (Linux).

PYTHON ?=
GPU ?=
LAB_FLAGS ?=
PIP_FLAGS ?=
N ?=
DIR ?=
VARIANT ?=

PY := .venv/bin/python
# Modules are compiled when they are first imported, which saves half a minute here. That must be
# kept: without bytecode every process compiles TensorFlow and Keras anew, 10 seconds each time.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL = $(PY) -m pip install --no-compile $(PIP_FLAGS)
# The exact versions that the tests passed with, where the Python is theirs.
CONSTRAINTS = $$($(PY) -c \
  'import sys; print("-c constraints.txt" if sys.version_info[:2] == (3, 11) else "")')
# Two workers share the tests (conftest.py says which stay together); the slowest are named.
PYTEST := $(PY) -m pytest -n 2 --durations=10
# What pytest is given for the notebooks (rules: tests/nbval_tolerance.py).
NOTEBOOK_TESTS := --nbval --nbval-current-env --nbval-cell-timeout=200 notebooks/*.ipynb

CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11)

.DEFAULT_GOAL := help
.PHONY: help install lab colab quick test chapter notebooks assignments grade lint

help: ## list the commands
	@grep -E '^[a-z]+:.*##' Makefile \
	  | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

# The stamp holds the folder that it was made in: a moved checkout is installed again.
ifneq ($(shell cat .venv/.installed 2>/dev/null),$(CURDIR))
.PHONY: .venv/.installed
endif
.venv/.installed: requirements.txt constraints.txt pyproject.toml
	@set -e; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  for python in $(CANDIDATES) ""; do \
	    test -n "$$python" || { echo "No Python 3.11, 3.12 or 3.13 found (tried:" \
	      $(CANDIDATES)"). Install one, or say make PYTHON=/path/to/python."; exit 1; }; \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	      2>/dev/null && break; \
	  done; \
	  echo "Making .venv with $$("$$python" --version)"; \
	  "$$python" -m venv .venv; \
	fi; \
	$(PIP_INSTALL) $(CONSTRAINTS) -r requirements.txt -e .; \
	printf '%s\n' "$$PWD" > .venv/.installed

.venv/.gpu: .venv/.installed
	$(PIP_INSTALL) "tensorflow[and-cuda]"
	@touch .venv/.gpu

.venv/.test: .venv/.installed requirements-test.txt
	$(PIP_INSTALL) $(CONSTRAINTS) -r requirements-test.txt
	@touch .venv/.test

install: .venv/.installed $(if $(GPU),.venv/.gpu) ## make .venv and install the course (GPU=1: with CUDA)

# .jupyterlab keeps it from asking about its news and from looking for a newer version of itself.
lab: install ## open JupyterLab on the first notebook
	$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) \
	  --LabApp.app_settings_dir=.jupyterlab $(LAB_FLAGS) notebooks/00_start_here.ipynb

# What an earlier build left in build/ would go into the wheel.
colab: .venv/.installed ## write the one file that the notebooks need in Colab
	rm -rf build course_lib-*.whl
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation $(PIP_FLAGS) --wheel-dir . .
	@rm -rf build
	@echo "Drag this file into Colab's file pane:" course_lib-*.whl

quick: .venv/.test ## the tests to run after a change: no trainings, no notebooks
	$(PYTEST) -m "not slow" tests

test: .venv/.test ## all tests, and every notebook against its stored outputs
	$(PYTEST) tests $(NOTEBOOK_TESTS)

chapter: .venv/.test ## run one chapter, print its verdicts and time: make chapter N=04
	$(PY) scripts/notebooks.py chapter "$(N)"

notebooks: .venv/.test ## run the notebooks and store their cleaned outputs
	$(PY) scripts/notebooks.py execute

assignments: .venv/.test ## derive the learner's assignments; VARIANT=NAME: with a class's own numbers
	$(PY) scripts/assignments.py $(if $(VARIANT),--class "$(VARIANT)")

grade: .venv/.installed ## grade a folder of submissions: make grade DIR=submissions N=01
	$(PY) -m course_lib.checks.grade "$(DIR)" "$(N)" $(if $(VARIANT),--class "$(VARIANT)")

lint: .venv/.test ## check style and formatting
	$(PY) -m ruff check
	$(PY) -m ruff format --check
