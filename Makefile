# `make demo` and `make test` need Python 3.11, make and a package registry, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_WAIT_POLICY := PASSIVE
export HF_HUB_OFFLINE ?= 1
# Each process would compile all modules anew if they were not kept.
export PYTHONDONTWRITEBYTECODE :=
DEMO := build/demo
STREAM := $(DEMO)/world/test/streams/s1-000-l000

.PHONY: demo serve test lint docs package bench clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/sgmn synth $(DEMO)/world --config demo --processes 2
	$(BIN)/sgmn index $(DEMO)/world/test -o $(DEMO)/index --model builtin
	$(BIN)/sgmn watch $(STREAM).mp4 --index $(DEMO)/index --transcript $(STREAM).json --truth $(STREAM).json \
	  --output $(DEMO)/timeline.json --vtt $(DEMO)/chapters.vtt --html $(DEMO)/report.html
	@echo "report: $(DEMO)/report.html"
	@echo "make serve: the same stream in the console, a page to watch and correct it"

# The service with the shop of the demo, and its recording as a stream that starts anew.
serve: $(VENV)/ready
	test -e $(STREAM).mp4 || $(BIN)/sgmn synth $(DEMO)/world --config demo --processes 2
	$(BIN)/python tools/serve_demo.py $(STREAM) --data build/serve

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Installs the wheel into an empty environment and uses it there.
package: $(VENV)/ready
	rm -rf build/dist build/wheel-venv
	$(BIN)/python -m build --outdir build/dist
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	build/wheel-venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt build/dist/*.whl
	build/wheel-venv/bin/sgmn doctor

test: lint docs
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-fail-under=90

bench: $(VENV)/ready
	$(BIN)/python benchmarks/page.py

clean:
	rm -rf $(VENV) build runs
