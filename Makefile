# All commands for users and developers; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
# From the environment, else from .env, where segstudio looks too.
LABEL_STUDIO_VENV ?= $(or $(shell sed -n 's/^LABEL_STUDIO_VENV=//p' .env 2> /dev/null),.venv-label-studio)
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --require-hashes
# Half of what tests take to begin is compiling them, so what is compiled is kept.
unexport PYTHONDONTWRITEBYTECODE
# Two test processes; tests that share a server stay in one of them (tests/conftest.py).
PROCESSES := -n 2 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: up
up: $(VENV)/.runtime $(LABEL_STUDIO_VENV)/.installed  ## Start Label Studio and both backends, connected in a project (IMAGES=folder: your images)
	@LABEL_STUDIO_VENV=$(LABEL_STUDIO_VENV) exec $(BIN)/segstudio up

.PHONY: backends
backends: $(VENV)/.runtime  ## Start both backends alone, for an existing Label Studio
	@exec $(BIN)/segstudio serve

.PHONY: bulk
bulk: $(VENV)/.runtime  ## Install Ray, which `segstudio predict` needs
	@$(INSTALL) --no-deps --python $(BIN)/python -r requirements/bulk.txt

.PHONY: test
test: lint docs $(LABEL_STUDIO_VENV)/.installed emulators chromium redis-server  ## Run all checks and tests except bulk and containers, with a real Label Studio and browser (ARGS=)
	$(BIN)/pytest $(PROCESSES) $(ARGS)

.PHONY: test-fast
test-fast: lint  ## Run the checks and the unit tests (ARGS=)
	$(BIN)/pytest $(PROCESSES) tests/unit $(ARGS)

.PHONY: test-bulk
test-bulk: $(VENV)/.dev  ## Test `segstudio predict` on a real Ray: killed workers, a killed driver (ARGS=)
	$(BIN)/pytest -m ray tests/integration/predict $(ARGS)

.PHONY: test-containers
test-containers: docker $(VENV)/.dev chromium  ## Build the images and test docker compose in all variants (ARGS=)
	$(BIN)/pytest -v -o log_cli=true -o log_cli_level=INFO $(if $(filter tests/%,$(ARGS)),,tests/containers) $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev audit  ## Check style, format, types and security
	@$(MAKE) --no-print-directory --jobs 2 --output-sync mypy ruff lint-imports codespell bandit

# mypy takes as long as all others; each prints as a whole when it ends.
.PHONY: mypy ruff lint-imports codespell bandit
mypy:
	$(BIN)/mypy
ruff:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
lint-imports:
	$(BIN)/lint-imports
codespell:
	$(BIN)/codespell --dictionary - --dictionary .codespell-words.txt $$(git ls-files)
bandit:
	$(BIN)/bandit -q -ll -r .ci ml_backend sam_backend segmentation_backend segstudio synthetic training

.PHONY: docs
docs: $(VENV)/.dev  ## Build the documentation site in build/site; fail on a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

.PHONY: docs-serve
docs-serve: $(VENV)/.dev  ## Show the documentation site on http://localhost:8000 and rebuild it on changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

.PHONY: bench
bench: $(VENV)/.dev  ## Measure speed and memory, compared with the models alone and the SDK (MINUTES=10; ARGS=)
	$(BIN)/python -m benchmarks $(MINUTES:%=--minutes %) $(ARGS)

.PHONY: bench-learn
bench-learn: $(VENV)/.dev  ## Measure learning of new labels (DATA_MSRC=folder DATA_CCP=folder; ARGS=)
	$(BIN)/python -m benchmarks.learning $(DATA_MSRC:%=--msrc %) $(DATA_CCP:%=--ccp %) $(ARGS)

.PHONY: audit
audit: $(VENV)/.dev  ## Look up known vulnerabilities of the locked requirements
	$(BIN)/python .ci/audit.py requirements/runtime.txt requirements/dev.txt requirements/uv.txt

.PHONY: format
format: $(VENV)/.dev  ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: screenshot
screenshot: $(VENV)/.dev $(LABEL_STUDIO_VENV)/.installed chromium  ## Take the pictures of the documentation again
	PICTURES=docs/images $(BIN)/pytest tests/e2e/test_pictures.py
	REPORT_SCREENSHOT=docs/images/report.png $(BIN)/pytest tests/integration/test_report_page.py

.PHONY: train-segmentation train-interactive evaluate evaluate-clicks
train-segmentation: data $(VENV)/.dev  ## Train the embedded garment network (DATA=folder of photographs with masks; ARGS=)
	$(BIN)/python -m training.segmentation --data '$(DATA)' $(ARGS)

train-interactive: data $(VENV)/.dev  ## Train the embedded promptable network (DATA=folder; ARGS=)
	$(BIN)/python -m training.interactive --data '$(DATA)' $(ARGS)

evaluate: data $(VENV)/.dev  ## Measure the embedded networks (DATA=folder; ARGS=--whole for a folder that none was trained on)
	$(BIN)/python -m training.evaluate --data '$(DATA)' $(ARGS)

evaluate-clicks: data $(VENV)/.dev  ## Count the clicks that the promptable network needs (DATA=folder with photos/ and masks/; ARGS=)
	$(BIN)/python -m training.evaluate_clicks --data '$(DATA)' $(ARGS)

COMPILE := $(UV) pip compile -q --python-version 3.11 --generate-hashes
WITHOUT_CUDA := --excludes requirements/cuda.in --no-emit-package torch --no-emit-package torchvision
SERVING := pyproject.toml --extra server --extra big-models

.PHONY: lock
lock: $(VENV)/.dev  ## Resolve the requirements again, keeping versions where possible
	$(COMPILE) requirements/label-studio.in -o requirements/label-studio.txt
	$(COMPILE) pyproject.toml --extra dev -o requirements/dev.txt
	$(COMPILE) requirements/uv.in -c requirements/dev.txt -o requirements/uv.txt
	$(COMPILE) requirements/emulators.in -o requirements/emulators.txt
	$(COMPILE) pyproject.toml -o requirements/client.txt
	$(COMPILE) $(SERVING) --extra analysis -o requirements/runtime.txt
	$(COMPILE) $(SERVING) $(WITHOUT_CUDA) -o requirements/serving.txt
	$(COMPILE) $(SERVING) requirements/bulk.in --extra bulk $(WITHOUT_CUDA) -o requirements/bulk.txt

.PHONY: dist
dist: $(UV)  ## Build the wheel and the source distribution in dist/
	$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .

.PHONY: help
help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The environments: a stamp is as new as the requirements that were installed.

define CHECK_PYTHON
@command -v $(PYTHON) > /dev/null || \
	{ echo "error: no $(PYTHON) here; install Python 3.11 or newer, or name one with PYTHON=" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "error: $(PYTHON) is older than Python 3.11; name a newer one with PYTHON=" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	{ echo "error: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
endef

$(UV): requirements/uv.txt
	$(CHECK_PYTHON)
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml $(UV)
	@$(INSTALL) --python $(BIN)/python -r $<
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@$(INSTALL) --python $(BIN)/python -r $<
	@touch $@

$(LABEL_STUDIO_VENV)/.installed: requirements/label-studio.txt $(UV)
	@echo "Making $(LABEL_STUDIO_VENV)"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python $(LABEL_STUDIO_VENV)
	@$(INSTALL) --python $(LABEL_STUDIO_VENV)/bin/python -r $<
	@touch $@

# What stands in for clouds in tests: moto's S3 and Azurite, each with requirements that fit nothing else.
.PHONY: emulators
emulators: .emulators/.installed npm

.emulators/.installed: requirements/emulators.txt $(UV) | npm
	@echo "Making .emulators"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .emulators
	@$(INSTALL) --python .emulators/bin/python -r $<
	@npm install --silent --no-package-lock --no-save --no-audit --no-fund --omit=dev --omit=optional --prefix .emulators azurite@3.35.0
	@touch $@

.PHONY: docker
docker:
	@docker version > /dev/null 2>&1 || \
		{ echo "error: no Docker engine answers here; install Docker, or name one with DOCKER_HOST" >&2; exit 1; }
	@docker compose version > /dev/null 2>&1 || \
		{ echo "error: docker has no compose here; install the plugin docker-compose 2.26 or newer" >&2; exit 1; }

.PHONY: data
data:
	@test -n '$(DATA)' || \
		{ echo "error: name the folder of photos/, masks/ and labels.json with DATA=folder; docs/models/README.md describes it" >&2; exit 1; }

# $(call DEBIAN_PACKAGE,name) installs a package whose program has the same name. In CI (CI is set) it does not ask.
define DEBIAN_PACKAGE
@command -v $(1) > /dev/null || { \
	test -n "$$CI" || { \
		test -t 0 || { echo "error: the tests need $(1); install it as root: apt-get install $(1) (with CI=1, make does)" >&2; exit 1; }; \
		printf 'The tests need Debian package $(1). Install it now with apt-get? [y/N] '; \
		read -r answer; \
		case "$$answer" in [yY]*) ;; *) echo "error: the tests need $(1)" >&2; exit 1 ;; esac; \
	}; \
	test "$$(id -u)" = 0 && run= || run="sudo -n"; \
	echo "Installing Debian's $(1) for the tests"; \
	{ $$run apt-get update -qq && $$run apt-get install -y -qq --no-install-recommends $(1); } || \
		{ echo "error: the tests need $(1); install it as root: apt-get install $(1)" >&2; exit 1; }; \
}
endef

.PHONY: chromium npm redis-server
chromium npm redis-server:
	$(call DEBIAN_PACKAGE,$@)
