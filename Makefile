# The commands of this course; `make help` lists them. Written for the make that macOS ships (3.81) as well.

# The Python to make .venv with; none named: one that fits on this machine, else one that uv fetches.
PYTHON ?=
# On Linux, cpu or cuda: the build of PyTorch; none named: the CPU build where there is no NVIDIA GPU.
TORCH ?=
# Which notebooks, by the start of their names; none named: all.
NOTEBOOKS ?=
SEEDS ?= 1 2 3
# With claims: how many times the usual training steps.
STEPS ?=
DATASET ?=
# Which records to make, by name; none named: all.
WHAT ?=
# Where this copy lives, owner/name on GitHub, and on which branch; none named: as pyproject.toml says.
REPO ?=
BRANCH ?=
# KEEP=1 with lock: keep every version that still fits.
KEEP ?=
export PYTHON TORCH REPO BRANCH KEEP
# How many processes test at once.
JOBS ?= logical
# A folder or zip file with students' notebooks, for grade.
SUBMISSIONS ?=
export SUBMISSIONS
# The address of a Dask scheduler whose workers grade or make records; none named: the cores of this machine.
CLUSTER ?=
export CLUSTER
# CONTAINER=no grades without a container, even where an engine is there.
CONTAINER ?=
# What else to hand to the program that the target starts.
ARGS ?=
# The name of a term chooses numbers and probes of the assignments. (A terminal has a variable of this name, too.)
IN_TERM := $(if $(filter command line,$(origin TERM)),--term="$$TERM")

PY := .venv/bin/python
PYTEST := $(PY) -m pytest -n $(JOBS) --dist loadfile
# The unit tests of vae_utils: what `make check` runs first, and what other versions are tried with.
UNITS := tests/core tests/exercises tests/diagnosis tests/widgets
LANES := oldest colab newest

.PHONY: help install install-dev lab check test test-all $(LANES:%=test-%) run notebooks claims reproduce bench \
	assignments grade html links lint types javascript format publish lock clean

help: ## list these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  NOTEBOOKS="01 03"   with run, notebooks, claims: only these'
	@echo '  PYTHON=python3.12   with the first command: the Python to install with'
	@echo '  TORCH=cuda          with any command, on Linux: this build of PyTorch (cuda or cpu)'
	@echo '  JOBS=1              with check, test, test-all: how many processes test at once'

install: ## make .venv and install what the course needs (the other commands do it by themselves)
	@sh scripts/install.sh requirements.lock

install-dev: ## install what tests, instructors and the site need as well
	@sh scripts/install.sh requirements-dev.lock

lab: install ## open the first notebook in JupyterLab (ARGS="--port=9999 --ip=0.0.0.0")
	@$(PY) -m scripts.lab $(ARGS)

check: lint types javascript ## style, types, links, spelling, every unit test: before each commit (2 minutes on two cores)
	$(PYTEST) $(ARGS)

test: check ## check, then each notebook once, installing, the site, assignments, a browser (4 minutes)
	$(PYTEST) notebooks tests/built tests/grading/test_answers.py $(wildcard tests/browser/test_smoke_*.py)

test-all: test ## test, then other seeds and data, troubled hand-ins, all of the browser, other versions
	$(PYTEST) tests/notebooks tests/grading tests/browser \
		--ignore=tests/grading/test_answers.py --ignore-glob='tests/browser/test_smoke_*'
	$(MAKE) claims SEEDS=0 STEPS=4
	$(MAKE) test-oldest test-colab ARGS='$(UNITS)'

$(LANES:%=test-%): test-%: ## unit tests and notebooks with the oldest accepted, Colab's or the newest versions
	@sh scripts/lane.sh $* -n $(JOBS) --dist loadfile $(if $(ARGS),$(ARGS),$(UNITS) notebooks)

run: install ## run the notebooks; copies, HTML pages and a table of time and memory go to build/
	@$(PY) -m scripts.notebooks run $(NOTEBOOKS)

notebooks: install ## run the notebooks and store their new outputs in place
	@$(PY) -m scripts.notebooks refresh $(NOTEBOOKS)

claims: install ## count in how many seeds each claim holds (SEEDS="1 2 3" DATASET=mnist STEPS=4)
	@$(PY) -m scripts.notebooks claims $(NOTEBOOKS) --seeds $(SEEDS) $(if $(DATASET),--dataset $(DATASET)) \
		$(if $(STEPS),--steps $(STEPS))

reproduce: install-dev ## make the records in data/records again (WHAT="beta"; none: all; CLUSTER=)
	@$(PY) -m scripts.reproduce $(WHAT) $(if $(CLUSTER),--cluster="$$CLUSTER")

bench: install-dev ## time imports, data, training, and what moves in a browser, on this machine
	@$(PY) -m scripts.bench.training $(ARGS)
	@$(PY) -m scripts.bench.live
	@$(PY) -m scripts.bench.widgets
	@$(PY) -m scripts.bench.playground

assignments: install-dev ## write what students get, without solutions, to build/assignments (TERM=2027-spring)
	@$(PY) -m scripts.assignments $(IN_TERM) $(ARGS)

grade: install-dev ## grade a folder of submissions (SUBMISSIONS=folder TERM=2027-spring CLUSTER=tcp://host:8786)
	@$(PY) -m scripts.grade $(if $(SUBMISSIONS),"$$SUBMISSIONS") $(IN_TERM) $(if $(CLUSTER),--cluster="$$CLUSTER") \
		$(if $(CONTAINER),--container=$(CONTAINER)) $(ARGS)

html: install-dev ## build the course as a site, in build/html
	@$(PY) -m scripts.build_site

links: install-dev ## try every link that leads outside (needs the network)
	@$(PY) -m scripts.build_site --linkcheck

lint: install-dev ## check style, spelling, links, headings and alternative texts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/typos
	@$(PY) -m scripts.pages

types: install-dev ## check types, and that imports follow docs/architecture.md
	@$(PY) -m mypy
	@.venv/bin/lint-imports

javascript: ## check style, types and numbers of the live figures' JavaScript, where there is node
	@sh scripts/javascript.sh

format: install-dev ## put style right
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

publish: ## stamp this copy's address into links, notebooks and README (REPO=owner/name BRANCH=main)
	@$(if $(wildcard $(PY)),$(PY),$(if $(PYTHON),$(PYTHON),python3)) -m scripts.publish --repo="$$REPO" --branch="$$BRANCH"

lock: install ## renew both lists of exact versions (needs the network; KEEP=1: what still fits stays)
	@sh scripts/lock.sh

clean: ## remove build/ and caches; .venv and downloaded data stay
	rm -rf build .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find notebooks scripts tests vae_utils \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
