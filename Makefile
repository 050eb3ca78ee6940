# Everything that Heed does, one target each. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
REPOSITORY ?= model_repository
SITE ?= site

# Where torch comes from: PyTorch's own CPU builds. Another index or folder of wheels is one setting:
# make serve TORCH_INDEX=https://download.pytorch.org/whl/cu130   or   PIP_FIND_LINKS=/path/to/wheels make serve
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# Threads that wait spinning beside a busy process slow training many times over.
export OMP_WAIT_POLICY ?= PASSIVE
# As models does: tests and benchmarks, the servers beside Heed included, import onnxruntime by themselves too.
export ORT_DISABLE_TELEMETRY ?= 1

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
FOR_EXPORT := $(VENV)/.installed-export
FOR_DEV := $(VENV)/.installed-dev
LIBRARIES := service/web/libraries/.complete
FOR_DOCS := $(VENV)/.installed-docs
FOR_BROWSER := $(VENV)/.installed-browser

.DEFAULT_GOAL := help
.PHONY: help serve export libraries test test-page test-training check bench soak reloads clients wrk chromium study staging replicas manifests docs docs-links lock clean
.DELETE_ON_ERROR:

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

serve: export libraries ## Train, export and serve: the main job
	@echo "Starting the service"
	@HEED_MODEL_REPOSITORY=$(REPOSITORY) HEED_MODEL_CONTROL=$${HEED_MODEL_CONTROL:-explicit} \
	  exec $(BIN)/python -m service

export: $(FOR_EXPORT) ## Train and publish both models, unless they are there already
	@$(BIN)/python -m export timeseries --unless-published --repository $(REPOSITORY)
	@$(BIN)/python -m export image --unless-published --repository $(REPOSITORY)

libraries: $(LIBRARIES) ## Write what browsers load: Vega for the page, Swagger UI and Redoc for the documentation

# Files are shared out between two processes: many tests wait for a service, or for a time to pass.
test: $(FOR_DEV) libraries ## Run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# The time of the first test is that of training its models too.
test-page: $(FOR_DEV) $(FOR_BROWSER) libraries chromium ## Try the page in headless Chromium; pictures of all it shows go to tests/page/screenshots
	$(BIN)/python -m pytest tests/page --timeout 300

test-training: $(FOR_DEV) ## Train whole: hold `digits` to what the README says, and docs/first_hour.md to what it shows (four minutes)
	$(BIN)/python -m pytest -m training

check: $(FOR_DEV) ## Lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

study: $(FOR_DEV) ## Train twenty attention-LSTMs: where the weight settles, by column and seed (four minutes)
	$(BIN)/python -m benchmarks.column_seeds

bench: $(FOR_DEV) export wrk ## Measure beside the peers, against the targets (half an hour; needs wrk). BENCH=--quick: a look; BENCH_PYTHON=…: what all run on
	$(BIN)/python -m benchmarks --repository $(REPOSITORY) $(BENCH)

soak: $(FOR_DEV) export wrk ## A million requests: memory flat, answers right? (twenty minutes; needs wrk). SOAK="--requests N": fewer
	$(BIN)/python -m benchmarks.soak --repository $(REPOSITORY) $(SOAK)

# Where perf_analyzer's wheel does not fit the system: PERF_ANALYZER="command that starts it" make clients
clients: $(FOR_DEV) export ## Ask the service with Triton's and KServe's own clients, unmodified (three minutes)
	$(BIN)/python -m tests.clients --repository $(REPOSITORY) $(CLIENTS)

chromium:
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-liberation; }

wrk:
	@command -v wrk >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends wrk; }

reloads: $(FOR_DEV) export wrk ## Load a hundred versions under load: what is lost, how long others wait (three minutes)
	$(BIN)/python -m benchmarks.reloads --repository $(REPOSITORY) $(RELOADS)

staging: ## Build the images, bring them up, ask them the README's questions, take them down
	bash deploy/staging.sh

replicas: ## Two replicas behind HAProxy, under load: kill them, replace them, count what is lost (eight minutes; needs Docker)
	bash deploy/replicas.sh

manifests: $(FOR_DEV) ## Hold the Kubernetes manifests against schemas. SCHEMAS="swagger.json kserve-crds.yaml" (docs/kubernetes.md)
	$(BIN)/python deploy/kubernetes/check.py $(SCHEMAS)

docs: $(FOR_DOCS) ## Build the documentation into site/, and check every link within it
	@rm -rf $(SITE)
	@$(BIN)/sphinx-build -q -W --keep-going -b html -c docs . $(SITE)
	@$(BIN)/python docs/check_site.py $(SITE)

docs-links: $(FOR_DOCS) ## Ask the other hosts that the documentation links to whether they are still there
	$(BIN)/sphinx-build -q -b linkcheck -c docs . $(SITE)/links

lock: ## Write the lock files anew (needs uv)
	bash requirements/lock.sh

clean: ## Remove what was installed and made, models included
	rm -rf $(VENV) $(REPOSITORY) $(SITE) $(dir $(LIBRARIES)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Whoever names another Python than the environment was made with gets a new one.
ifneq ($(filter-out file default,$(origin PYTHON)),)
ifneq ($(shell cat $(VENV)/.created 2>/dev/null),$(shell $(PYTHON) --version 2>/dev/null))
.PHONY: $(VENV)/.created
endif
endif

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Heed needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is `$(PYTHON) --version`: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PYTHON) --version > $@

$(VENV)/.installed-torch: $(VENV)/.created requirements/torch.txt
	@PIP="$(PIP)" TORCH_INDEX="$(TORCH_INDEX)" sh requirements/install-torch.sh
	@touch $@

$(LIBRARIES): requirements/browser_libraries.py requirements/browser_libraries.txt requirements/vega.licence.txt \
              models/rendering.py | $(VENV)/.created
	@$(BIN)/python -m requirements.browser_libraries

# The site is words alone: it needs no torch.
$(FOR_DOCS): requirements/docs.txt $(VENV)/.created
	@echo "Installing $<"
	@$(PIP) install --require-hashes -r $<
	@touch $@

$(VENV)/.installed-%: requirements/%.txt $(VENV)/.installed-torch
	@echo "Installing $<"
	@$(PIP) install --require-hashes -r $<
	@touch $@
