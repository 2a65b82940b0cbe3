# The names of these targets are relied on outside the repository: they stay.
SHELL := /bin/sh
PYTHON ?= python3
UV := .tools/bin/uv
UV_VERSION := 0.13.9
TYPINGS := .cache/typings
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo up test check bench soak firmware clean setup packages

demo: setup  ## everything on loopback, with a virtual camera, until Ctrl-C
	@.venv/bin/aperture demo

up: setup  ## the real thing, on your LAN
	@.venv/bin/aperture up

test: setup packages check  ## the whole suite
	.venv/bin/pytest -n 2 --dist worksteal || { echo "Once more, one at a time, those that failed:"; .venv/bin/pytest --last-failed --last-failed-no-failures none; }

firmware: setup  ## a bundle of firmware that cameras can be updated to
	@.venv/bin/aperture firmware build

check: setup $(TYPINGS)/.ready  ## format, lint, types, layers, docs; the firmware against what MicroPython has
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/ruff check --quiet --config firmware/ruff.toml firmware simulator/hardware
	.venv/bin/lint-imports
	.venv/bin/pyright
	.venv/bin/mypy --config-file tests/firmware/mypy.ini
	.venv/bin/pytest -q tests/docs tests/firmware/test_sources.py

bench: setup  ## one JSON object a line
	@.venv/bin/python -m bench

soak: setup packages  ## the long fault runs
	.venv/bin/pytest -n 2 --dist worksteal -m soak

setup: .venv/.ready

.tools/.ready-$(UV_VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=python3.12 make …)"; exit 1; }
	@echo "Setting up: uv $(UV_VERSION) …"
	@$(PYTHON) -m venv .tools || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.ready: .tools/.ready-$(UV_VERSION) pyproject.toml uv.lock
	@echo "Setting up: the libraries, as uv.lock has them …"
	@$(UV) sync --quiet --locked --all-extras --python $(PYTHON)
	@touch $@

$(TYPINGS)/.ready: .venv/.ready  # beside the environment, not in it: they would shadow CPython's own library
	@rm -rf $(TYPINGS) && mkdir -p $(TYPINGS)
	@$(UV) export --quiet --locked --only-group typings --no-emit-project --output-file $(TYPINGS)/locked.txt >/dev/null
	@$(UV) pip install --quiet --python .venv/bin/python --target $(TYPINGS) --require-hashes --no-deps -r $(TYPINGS)/locked.txt
	@touch $@

packages:  ## Debian packages that the full suite wants (as root; otherwise those tests are skipped by name)
	@sh tests/packages.sh

clean:
	rm -rf .venv .tools .cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
