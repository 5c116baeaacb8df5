# The two commands of the README. Each makes the virtual environment it needs.
#   make quickstart    set up, refresh the generated layers, meta-train on handwritten digits
#   make check         set up, run every check; `make check ONLY="types tests"` runs some

PYTHON ?= python3
VENV ?= .venv
ONLY ?=

.PHONY: quickstart check refresh clean
.DELETE_ON_ERROR:

quickstart: $(VENV)/installed
	$(VENV)/bin/python tools/generate.py
	$(VENV)/bin/python examples/quickstart.py

check: $(VENV)/installed
	$(VENV)/bin/python tools/check.py $(ONLY)

refresh: $(VENV)/installed
	$(VENV)/bin/python tools/generate.py

# The file is written last: an interrupted installation is made anew, and so is one whose
# requirements have changed since.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
