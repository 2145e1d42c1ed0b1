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
# Where this copy lives, owner/name on GitHub, and on which branch; none named: as pyproject.toml says.
REPO ?=
BRANCH ?=
export REPO BRANCH
# KEEP=1 with lock: keep every version that still fits.
KEEP ?=
# How many processes test at once; 0: none but the one that was called.
JOBS ?= 0
# A folder or zip file with students' notebooks, for grade.
SUBMISSIONS ?=
# What else to hand to the program that the target starts.
ARGS ?=
# The name of a term chooses numbers and probes of the assignments. (A terminal has a variable of this name, too.)
IN_TERM := $(if $(filter command line,$(origin TERM)),--term='$(TERM)')

PY := .venv/bin/python
STAMP := .venv/.installed
# For targets that hand out assignments or build the site: make these depend on it.
EXTRAS := .venv/.extras

.PHONY: help install extras lab test test-oldest test-colab test-newest run notebooks claims reproduce bench \
	assignments grade html lint format publish lock clean

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  NOTEBOOKS="01 03"   with run, notebooks, claims: only these'
	@echo '  PYTHON=python3.12   with the first command, and with test-...: the Python to install with'
	@echo '  JOBS=2              with test: two processes, on a machine that does nothing else'
	@echo '  TORCH=cpu           with the first command, on Linux: a PyTorch a fifth of the size, for the CPU'

install: $(STAMP) ## make .venv and install what the course needs (the other commands do it by themselves)

$(STAMP): requirements.lock pyproject.toml
	@PYTHON='$(PYTHON)' TORCH='$(TORCH)' sh scripts/install.sh

extras: $(EXTRAS) ## install what instructors and the site need as well (requirements-extra.lock)

$(EXTRAS): requirements-extra.lock $(STAMP)
	@$(PY) -m pip install --quiet -c requirements.lock -r requirements-extra.lock
	@touch $@

lab: $(STAMP) ## open the first notebook in JupyterLab (ARGS="--port=9999 --ip=0.0.0.0")
	@$(PY) scripts/lab.py $(ARGS)

test: $(EXTRAS) lint ## check everything: style, package, notebooks, browser, assignments, site
	VAE_STRICT=1 $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=300 \
		--ignore=notebooks/assignments --ignore-glob='*/my_*.ipynb' tests notebooks $(ARGS)

test-oldest: ## check package and notebooks with the oldest versions that are accepted (in .venv-oldest)
	@TORCH='$(TORCH)' $(PYTHON) scripts/lane.py oldest $(ARGS)

test-colab: ## the same with the versions that Colab has (in .venv-colab)
	@TORCH='$(TORCH)' $(PYTHON) scripts/lane.py colab $(ARGS)

test-newest: ## the same with the newest versions there are (in .venv-newest)
	@TORCH='$(TORCH)' $(PYTHON) scripts/lane.py newest $(ARGS)

run: $(STAMP) ## run the notebooks; copies, HTML pages and a table of time and memory go to build/
	@$(PY) scripts/notebooks.py run $(NOTEBOOKS)

notebooks: $(STAMP) ## run the notebooks and store their new outputs in place
	@$(PY) scripts/notebooks.py refresh $(NOTEBOOKS)

claims: $(STAMP) ## count in how many seeds each claim holds (SEEDS="1 2 3" DATASET=mnist)
	@$(PY) scripts/notebooks.py claims $(NOTEBOOKS) --seeds $(SEEDS) $(if $(DATASET),--dataset $(DATASET))

reproduce: $(STAMP) ## make the records in data/records anew (WHAT="beta"; none: all)
	@$(PY) scripts/reproduce.py $(WHAT)

bench: $(STAMP) ## time imports, data, training, and what moves in a browser, on this machine
	@$(PY) scripts/bench.py $(ARGS)
	@$(PY) scripts/bench_live.py
	@$(PY) scripts/bench_widgets.py
	@$(PY) scripts/bench_playground.py

assignments: $(EXTRAS) ## write what students get, without solutions, to build/assignments (TERM=2027-spring)
	@$(PY) scripts/assignments.py $(IN_TERM) $(ARGS)

grade: $(EXTRAS) ## grade a folder of submissions (SUBMISSIONS=folder TERM=2027-spring)
	@$(PY) scripts/grade.py $(if $(SUBMISSIONS),'$(SUBMISSIONS)') $(IN_TERM) $(ARGS)

html: $(EXTRAS) ## build the course as a site, in build/html
	@$(PY) scripts/build_site.py

lint: $(STAMP) ## check style, links, spelling, headings and alternative texts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) scripts/prose.py

format: $(STAMP) ## put style right
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

publish: ## stamp this copy's address into links, notebooks and README (REPO=owner/name BRANCH=main)
	@$(if $(wildcard $(PY)),$(PY),$(PYTHON)) scripts/publish.py --repo="$$REPO" --branch="$$BRANCH"

lock: ## renew both lists of exact versions (needs the network; KEEP=1: what still fits stays)
	@PYTHON='$(PYTHON)' KEEP='$(KEEP)' sh scripts/lock.sh

clean: ## remove build/ and caches; .venv and downloaded data stay
	rm -rf build .pytest_cache .ruff_cache
	find notebooks scripts tests vae_utils \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
