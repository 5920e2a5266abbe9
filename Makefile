# Set everything up in .venv, then test, demonstrate or lint.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HUB_VENV := .venv-hub
HUB_BIN := $(HUB_VENV)/bin
HUB_STAMP := $(HUB_VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo browser test soak lint format lock clean hub test-hub

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements/dev.txt setup.cfg
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Spawn a lab on an embedded cluster (ARGS=--exit to stop afterwards)
	@$(BIN)/nublado demo $(ARGS)

lint: $(STAMP) ## Formatting, lint, types and layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

browser: ## Chromium for the tests of pages, installed where that is possible
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q >/dev/null && apt-get install -qy chromium chromium-driver >/dev/null; } \
		|| echo "Tests of pages will be skipped: they need chromium and chromedriver (Debian: apt-get install chromium chromium-driver)."

test: lint browser ## Everything that has to hold before a change lands
	$(BIN)/coverage erase
	$(BIN)/pytest -n 4 --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=90

soak: $(STAMP) ## Users against faults for SECONDS (1800), drawn by SEED (random)
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),1800) $(if $(SEED),--seed $(SEED))

format: $(STAMP) ## Rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Pin the dependencies again, with hashes (needs uv)
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --extra google setup.cfg -o requirements/run.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --extra google --extra sandbox --extra dev \
		-c requirements/run.txt setup.cfg -o requirements/dev.txt
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --extra sandbox --extra jupyterhub --extra hub \
		-c requirements/dev.txt setup.cfg -o requirements/hub.txt

$(HUB_STAMP): requirements/hub.txt requirements/hub-proxy/package-lock.json setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	@echo "Setting up JupyterHub and JupyterLab in $(HUB_VENV), once:"
	@echo "  1/4 virtual environment"
	@$(PYTHON) -m venv $(HUB_VENV)
	@echo "  2/4 $$(grep -c == requirements/hub.txt) Python packages (some 200 MB, a few minutes)"
	@$(HUB_BIN)/pip install --disable-pip-version-check --progress-bar off --no-deps --require-hashes -r requirements/hub.txt \
		| awk '/^Collecting/ {printf "\r      %d found", ++found; fflush()} /^Installing collected/ {print ", installing"; fflush()}'
	@echo "  3/4 Nublado"
	@$(HUB_BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(HUB_BIN)/pip check
	@echo "  4/4 JupyterHub's proxy, by npm"
	@mkdir -p $(HUB_VENV)/hub-proxy
	@cp requirements/hub-proxy/package.json requirements/hub-proxy/package-lock.json $(HUB_VENV)/hub-proxy/
	@PATH="$(abspath $(HUB_BIN)):$$PATH" npm ci --prefix $(HUB_VENV)/hub-proxy --silent --ignore-scripts --no-audit --no-fund
	@touch $@

hub: $(HUB_STAMP) ## The whole platform: a real JupyterHub, real JupyterLabs (ARGS="--port 0" for any port)
	@$(HUB_BIN)/nublado hub $(ARGS)

test-hub: $(HUB_STAMP) browser ## The whole platform in a browser
	$(HUB_BIN)/pytest tests/hub $(ARGS)

clean: ## Remove the virtual environments and caches
	rm -rf $(VENV) $(HUB_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
