# The two commands of the README. Each makes the virtual environment it needs.
#   make quickstart    set up, refresh the generated layers, meta-train on handwritten digits
#   make check         set up, run every check; `make check ONLY="types tests"` runs some
# The documentation site; open build/docs/index.html when it is done.
#   make docs          set up, build the site with warnings as errors
# Some that maintainers need now and then.
#   make refresh       write generated/ anew
#   make matrix        ask what every layer can do, and write docs/layer-matrix.md anew
#   make models        the tests on models and files of other libraries; see tests/models/README.md
#   make benchmarks    run every benchmark, with other libraries beside, and write docs/benchmarks.md;
#                      `make benchmarks PARTS="overhead import"` runs some

PYTHON ?= python3
VENV ?= .venv-dev
MODELS_VENV ?= .venv-models
BENCHMARKS_VENV ?= .venv-benchmarks
ONLY ?=
PARTS ?=

.PHONY: quickstart check docs refresh matrix models benchmarks clean
.DELETE_ON_ERROR:

quickstart: $(VENV)/installed
	$(VENV)/bin/python tools/generate.py
	$(VENV)/bin/python examples/quickstart.py

check: $(VENV)/installed
	$(VENV)/bin/python tools/check.py $(ONLY)

docs: $(VENV)/installed
	$(VENV)/bin/python -m sphinx -W --keep-going -n -q -b html docs build/docs
	@echo "Open build/docs/index.html in a browser."

refresh: $(VENV)/installed
	$(VENV)/bin/python tools/generate.py

matrix: $(VENV)/installed
	$(VENV)/bin/python tests/generated/layer_matrix.py --write

# Its tests need packages that nothing else does, so they have an environment of their own.
models: $(MODELS_VENV)/installed
	$(MODELS_VENV)/bin/python -m pytest tests/models tests/real_files tests/compat

# Other libraries are measured beside metann, and need not be in the environment of the checks.
benchmarks: $(BENCHMARKS_VENV)/installed
	$(BENCHMARKS_VENV)/bin/python benchmarks/run.py $(PARTS)

# The file is written last: an interrupted installation is made anew, and so is one whose
# requirements have changed since.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(MODELS_VENV)/installed: pyproject.toml constraints.txt $(wildcard tests/models/requirements*.txt)
	$(PYTHON) -m venv --clear $(MODELS_VENV)
	$(MODELS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[codegen]' --requirement tests/models/requirements.txt
	$(MODELS_VENV)/bin/python -m pip install --quiet --no-deps \
		--requirement tests/models/requirements_alone.txt
	touch $@

$(BENCHMARKS_VENV)/installed: pyproject.toml constraints.txt benchmarks/peers/requirements.txt
	$(PYTHON) -m venv --clear $(BENCHMARKS_VENV)
	$(BENCHMARKS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[dev]' --requirement benchmarks/peers/requirements.txt
	touch $@

clean:
	rm -rf .venv-dev .venv-models .venv-benchmarks build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
