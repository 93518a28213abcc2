# `make demo` and `make test` need Python 3.11, make and a package registry, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_WAIT_POLICY := PASSIVE
export HF_HUB_OFFLINE ?= 1
GROCERY ?= ../shared/data/grocery-live

.PHONY: demo test lint bench clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/ready
	@test -d $(GROCERY) || { echo "no photographs at $(GROCERY): make demo GROCERY=folder"; exit 2; }
	$(BIN)/sgmn index $(GROCERY)/catalogue -o build/demo/index --model builtin
	$(BIN)/sgmn watch $(GROCERY)/val/streams/stream1.mp4 --index build/demo/index \
	  --transcript $(GROCERY)/val/streams/stream1.json --truth $(GROCERY)/val/streams/stream1.json \
	  --output build/demo/timeline.json --vtt build/demo/chapters.vtt

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

bench: $(VENV)/ready
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) build runs
