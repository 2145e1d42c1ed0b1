# The commands of this course; `make help` lists them. Written for the make that macOS ships (3.81) as well.

PYTHON ?= python3
# TORCH=cpu (Linux): PyTorch's CPU build, a fifth of the size. The choice is remembered in .venv.
TORCH ?= $(shell cat .venv/.torch 2>/dev/null)
# Which notebooks, by the start of their names; none named: all.
NOTEBOOKS ?=
SEEDS ?= 1 2 3
DATASET ?=
# Which records to make, by name; none named: all.
WHAT ?=
# What else to hand to the program that the target starts.
ARGS ?=

PY := .venv/bin/python
STAMP := .venv/.installed

.PHONY: help install lab test run notebooks claims reproduce bench lint format lock clean

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  NOTEBOOKS="01 03"   with run, notebooks, claims: only these'
	@echo '  PYTHON=python3.12   with the first command: the Python to install with'
	@echo '  TORCH=cpu           with the first command, on Linux: a PyTorch a fifth of the size, for the CPU'

install: $(STAMP) ## make .venv and install what the course needs (the other commands do it by themselves)

$(STAMP): requirements.lock pyproject.toml
	@PYTHON='$(PYTHON)' TORCH='$(TORCH)' sh scripts/install.sh

lab: $(STAMP) ## open the first notebook in JupyterLab (ARGS="--port=9999 --ip=0.0.0.0")
	@$(PY) scripts/lab.py $(ARGS)

test: lint ## check everything: style, package, notebooks, browser
	VAE_STRICT=1 $(PY) -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
		--ignore=notebooks/assignments tests notebooks $(ARGS)

run: $(STAMP) ## run the notebooks; copies, HTML pages and a table of time and memory go to build/
	@$(PY) scripts/notebooks.py run $(NOTEBOOKS)

notebooks: $(STAMP) ## run the notebooks and store their new outputs in place
	@$(PY) scripts/notebooks.py refresh $(NOTEBOOKS)

claims: $(STAMP) ## count in how many seeds each claim holds (SEEDS="1 2 3" DATASET=mnist)
	@$(PY) scripts/notebooks.py claims $(NOTEBOOKS) --seeds $(SEEDS) $(if $(DATASET),--dataset $(DATASET))

reproduce: $(STAMP) ## make the records in data/records anew (WHAT="beta"; none: all)
	@$(PY) scripts/reproduce.py $(WHAT)

bench: $(STAMP) ## time imports, data and training on this machine
	@$(PY) scripts/bench.py $(ARGS)

lint: $(STAMP) ## check style
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(STAMP) ## put style right
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: ## renew requirements.lock from pyproject.toml (needs the network)
	@PYTHON='$(PYTHON)' sh scripts/lock.sh

clean: ## remove build/ and caches; .venv and downloaded data stay
	rm -rf build .pytest_cache .ruff_cache
	find notebooks scripts tests vae_utils \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
