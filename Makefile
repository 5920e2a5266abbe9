# Set everything up in .venv, then test, demonstrate or lint.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
STAMP := $(VENV)/.installed
LOWEST := .venv-lowest
HUB := .venv-hub
HUB_BIN := $(HUB)/bin
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links setup.cfg
ALL_EXTRAS := --extra google --extra sandbox --extra docs --extra dev
UNIT := tests --ignore tests/e2e --ignore tests/faults

.DEFAULT_GOAL := help
.PHONY: help python demo hub browser lint audit test coverage test-fast test-lowest test-hub soak bench docs format texts lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'

# Nothing is resolved: the lock names all there is to install.
$(LOCKED): requirements/dev.txt | python
	@$(PYTHON) -m tools.install lock $(VENV) $<
	@touch $@

$(STAMP): $(LOCKED) setup.cfg pyproject.toml
	@$(PYTHON) -m tools.install project $(VENV)
	@touch $@

demo: $(STAMP) ## Spawn a lab on an embedded cluster (ARGS=--exit to stop afterwards)
	@$(BIN)/nublado demo $(ARGS)

lint: $(STAMP) ## Formatting, lint, types, layering, locks, bill of materials
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.check_lock requirements/run.txt=google requirements/dev.txt=google,sandbox,docs,dev
	$(BIN)/python -m tools.sbom requirements/run.txt build/sbom.json
	$(BIN)/python -m tools.audit requirements/run.txt

audit: $(STAMP) ## Fail if a vulnerability is known of what the service runs on, and has been fixed
	$(BIN)/python -m tools.audit --fail requirements/run.txt

browser: python ## Chromium for the tests of pages, installed where that is possible
	@$(PYTHON) -m tools.install browser

test: lint browser ## Everything that has to hold before a change lands
	$(BIN)/pytest -n 5 --dist worksteal $(ARGS)

coverage: $(STAMP) browser ## The same tests, with what they reach (takes half as long again)
	$(BIN)/coverage erase
	$(BIN)/pytest -n 4 --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=90

test-fast: $(STAMP) ## The tests that start no process, for in between
	$(BIN)/pytest -n 2 -q $(UNIT) $(ARGS)

test-lowest: $(LOWEST)/.installed ## The same with the oldest versions that setup.cfg allows
	$(LOWEST)/bin/pytest -n 2 -q -p no:cacheprovider $(UNIT) $(ARGS)

$(LOWEST)/.installed: requirements/lowest.txt setup.cfg pyproject.toml | python
	@$(PYTHON) -m tools.install lock $(LOWEST) $<
	@$(PYTHON) -m tools.install project $(LOWEST)
	@touch $@

soak: $(STAMP) ## Users against faults for SECONDS (1800), drawn by SEED (random); UNKIND=0 for fewer
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),1800) $(if $(SEED),--seed $(SEED)) $(if $(filter 0,$(UNKIND)),--no-unkind)

bench: $(STAMP) ## What the service can bear with USERS="100 300 1000 2000" at once and STREAMS (5000)
	$(BIN)/python bench/capacity.py --users $(or $(USERS),100 300 1000 2000) --streams $(or $(STREAMS),5000)

docs: $(STAMP) ## The documentation as a site, in build/docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

format: $(STAMP) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

texts: $(STAMP) ## Bring the catalogues of texts in line with the pages
	$(BIN)/python -m tools.texts

lock: ## Pin the dependencies again, with hashes (needs uv)
	$(COMPILE) --extra google -o requirements/run.txt
	$(COMPILE) $(ALL_EXTRAS) -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) $(ALL_EXTRAS) --resolution lowest-direct -o requirements/lowest.txt
	$(COMPILE) --extra sandbox --extra jupyterhub --extra hub -c requirements/dev.txt -o requirements/hub.txt

$(HUB)/.locked: requirements/hub.txt | python
	@$(PYTHON) -m tools.install lock $(HUB) $<
	@touch $@

$(HUB)/.installed: $(HUB)/.locked requirements/hub-proxy/package-lock.json setup.cfg pyproject.toml
	@$(PYTHON) -m tools.install project $(HUB)
	@echo "Installing JupyterHub's proxy, by npm"
	@mkdir -p $(HUB)/hub-proxy
	@cp requirements/hub-proxy/package.json requirements/hub-proxy/package-lock.json $(HUB)/hub-proxy/
	@PATH="$(abspath $(HUB_BIN)):$$PATH" npm ci --prefix $(HUB)/hub-proxy --silent --ignore-scripts --no-audit --no-fund
	@touch $@

hub: $(HUB)/.installed ## The whole platform: a real JupyterHub, real JupyterLabs (ARGS="--port 0" for any port)
	@$(HUB_BIN)/nublado hub $(ARGS)

test-hub: $(HUB)/.installed browser ## The whole platform in a browser
	$(HUB_BIN)/python -m tools.check_lock requirements/hub.txt=sandbox,jupyterhub,hub
	$(HUB_BIN)/pytest tests/hub $(ARGS)

clean: ## Remove the virtual environments and caches
	rm -rf $(VENV) $(LOWEST) $(HUB) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
