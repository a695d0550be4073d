PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The versions that the tests are known to pass with; a user's installation is not held to them.
CONSTRAINTS := .ci/constraints.txt
# Twice the cores of the smallest machine: most tests of the slow rooms wait for servers, which also need cores.
WORKERS ?= 4

# What people read, for the spelling.
PROSE := README.md CHANGELOG.md CONTRIBUTING.md docs examples policycompiler templates tests/data/words

# Rooms of tests that need no server, no other program, and little time.
QUICK := tests/docs/test_docs.py tests/findings tests/model tests/plan tests/policies/delivery tests/policies/limits \
  tests/policies/test_manuals.py tests/records tests/report

.DEFAULT_GOAL := help
.PHONY: help demo test try quick brokers test-brokers test-newest constraints lint install fix golden docs schema \
  celery-versions knowledge scrapes bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/product ## compile examples/shop into build/, show the result, and rehearse it
	$(BIN)/policycompiler compile examples/shop --output build
	@find build -type f | LC_ALL=C sort
	$(BIN)/policycompiler explain examples/shop
	$(BIN)/policycompiler rehearse examples/shop

test: lint install ## everything that CI runs, on the installed wheel with the recorded versions
	rm -f .pytest_cache/v/cache/lastfailed
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder || .ci/alone $(BIN)/pytest

quick: lint ## lint, and the tests that start no process, on the checkout: under a minute
	PYTHONPATH=. $(BIN)/pytest -q -n auto $(QUICK)

try: $(VENV)/dev ## one file or folder of tests on the checkout: make try T=tests/plan
	PYTHONPATH=. $(BIN)/pytest -q $(T)

brokers: ## RabbitMQ 4, Redis 8 and Valkey 8 of Debian 13, a local SQS, exporters, for the tests; needs root and debootstrap
	.ci/brokers
	.ci/sqs
	.ci/exporters

scrapes: $(VENV)/dev brokers ## record what the exporters of today say, for the tests; then read `git diff`
	$(BIN)/python .ci/scrapes.py

test-brokers: brokers install ## the tests on these brokers
	$(BIN)/pytest -q -k "4.0 or newer or local_sqs"

test-newest: ## `make test` with the newest versions, in a separate environment
	rm -rf .venv-newest
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=/dev/null

constraints: ## record the newest versions in .ci/constraints.txt; run `make test` before you commit it
	rm -rf .venv-newest
	$(MAKE) .venv-newest/dev VENV=.venv-newest CONSTRAINTS=/dev/null
	{ echo '# What the tests pass with; made by `make constraints`.'; \
	  .venv-newest/bin/pip freeze --all --exclude policycompiler; } > .ci/constraints.txt

lint: $(VENV)/dev ## formatting, lint, types, import contracts, spelling, prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(PROSE)
	$(BIN)/python .ci/prose.py

install: $(VENV)/dev ## build the wheel and install it over the old one
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/pip install --quiet --force-reinstall --no-deps dist/*.whl

fix: $(VENV)/dev ## fix formatting, and what lint can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: install ## accept the output of the examples, and the recorded sentences and data; then read `git diff`
	$(BIN)/pytest --update-golden tests/acceptance/test_examples.py \
	  tests/acceptance/test_words_apart.py tests/docs/test_words.py

docs: install ## write the pages made from code, the picture of the README, and the output that pages show
	$(BIN)/python .ci/docs.py
	$(BIN)/python .ci/first_minute.py
	$(BIN)/pytest --update-golden tests/docs -k "review_page or page_of_commands_is or picture_of_sizes"

schema: install ## write the schemas of workload, policy file and plan from the model and the vocabulary
	$(BIN)/python -c 'from policycompiler.model import workload_schema as s; print(s(), end="")' \
	  > schemas/workload.schema.json
	$(BIN)/python -c 'from policycompiler.policies import policy_schema as s; print(s(), end="")' \
	  > schemas/policy.schema.json
	$(BIN)/python -c 'from policycompiler.manual.plans import plan_schema as s; print(s(), end="")' \
	  > schemas/plan.schema.json

celery-versions: ## read the settings and options of each Celery from its package; then read `git diff`
	$(PYTHON) .ci/celery_versions.py

knowledge: ## run tests/knowledge on each of the last Celery versions; needs Redis and RabbitMQ
	$(PYTHON) .ci/knowledge_by_version.py

bench: install ## speed, memory, telemetry, guards, sizes; waits and throughput of real workers: 90 minutes on an idle machine
	$(BIN)/python tests/speed/bench.py
	$(BIN)/python tests/speed/telemetry.py
	$(BIN)/python tests/speed/guards.py
	$(BIN)/python tests/speed/sizes.py
	$(BIN)/python tests/speed/waits.py
	$(BIN)/python tests/speed/pools.py

clean: ## remove everything that can be generated again
	rm -rf $(VENV) .venv-newest build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/dev: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --constraint $(CONSTRAINTS) 'pip>=25.1'
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --group dev
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --no-build-isolation .
	touch $@

$(VENV)/product: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet '.[redis]'
	touch $@
