# Every target sets up what it needs; nothing is done twice. Needs Python 3.11+, git and make.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# most tests wait for processes: two workers took 30 minutes, and kept 38 % of two cores busy; those that look at seconds
# (`timed`) come by themselves, for among four others they fail
WORKERS ?= 5
TIMED_WORKERS ?= 2
ARGS ?=
MINUTES ?= 10
DJANGOS ?= 5.2 6.0 6.1
REAL_CELERY := .workrow/real-celery
CALLS ?= 10000
TRACERS := celery sentry-sdk opentelemetry-instrumentation-celery opentelemetry-sdk
REAL_VERSIONS := 'celery[redis]==5.7.0' kombu==5.7.0 redis==8.1.0

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-databases celery-conformance celery-bridge celery-tracers test-django chaos check lint format bench psql schema drop-in lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "workrow needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV) …"
	@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/dev.txt \
		| sed -un 's/^Collecting \([^ ]*\).*/  \1/p'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## people, leads, calls, chats and a report; workers killed and deployed; PEOPLE=path.csv takes yours
	@$(BIN)/python -m examples.demo $(ARGS)

dev: $(READY) ## the service, a worker and a mail sink until Ctrl-C, restarted when code changes
	@$(BIN)/python -m examples.dev $(ARGS)

test: $(READY) ## the whole suite on a real PostgreSQL; ARGS="-k enqueue" narrows it
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not timed"
	@$(BIN)/python -m pytest -n $(TIMED_WORKERS) --dist worksteal -m timed
else
	@$(BIN)/python -m pytest -n $(TIMED_WORKERS) --dist worksteal $(ARGS)
endif

test-databases: $(READY) ## the suite on databases as others have them; VARIANTS="owner latin1 worker habits", SERVERS="15 18"
	@$(BIN)/python -m tests.databases $(VARIANTS) $(SERVERS) -- -n $(TIMED_WORKERS) --dist worksteal $(ARGS)

celery-conformance: $(READY) ## the tables of what Celery does, through our workers; REAL=1: through Celery 5.7 on Redis; ARGS="--only retry"
ifeq ($(filter-out 0,$(REAL)),)
	@$(BIN)/python -m tests.celery.conformance --tries 3 $(ARGS)
else
	@command -v redis-server >/dev/null || { echo "skipped: there is no redis-server here"; exit 0; }; \
	$(MAKE) --silent $(REAL_CELERY)/.ready && \
	CONFORMANCE_SIDE=real $(REAL_CELERY)/bin/python -m tests.celery.conformance --tries 3 $(ARGS)
endif

celery-bridge: $(READY) ## the bridge between Celery 5.7 on Redis and workrow, both fleets at work; CALLS=10000
	@command -v redis-server >/dev/null || { echo "skipped: there is no redis-server here"; exit 0; }; \
	$(MAKE) --silent $(REAL_CELERY)/.bridge && \
	BRIDGE_CALLS=$(CALLS) $(BIN)/python -m pytest -p no:xdist tests/celery/test_bridge_fleets.py $(ARGS)

$(REAL_CELERY)/.bridge: $(REAL_CELERY)/.ready
	@$(REAL_CELERY)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(REAL_CELERY)/.ready:
	@$(PYTHON) -m venv $(REAL_CELERY)
	@$(REAL_CELERY)/bin/python -m pip install --quiet --disable-pip-version-check $(REAL_VERSIONS)
	@touch $@

celery-tracers: $(READY) ## Sentry's and OpenTelemetry's integrations, on calls of the Celery door
	@test -x .workrow/tracers/bin/python || $(PYTHON) -m venv .workrow/tracers
	@.workrow/tracers/bin/python -m pip install --quiet --disable-pip-version-check -e . $(TRACERS)
	@TRACERS_PYTHON=$(CURDIR)/.workrow/tracers/bin/python $(BIN)/python -m pytest tests/celery/test_tracers.py $(ARGS)

test-django: $(READY) ## tests/django on other versions of Django; DJANGOS="5.2 6.0 6.1", which need Python 3.12
	@for version in $(DJANGOS); do \
		venv=.workrow/django-$$version; echo "Django $$version"; \
		test -x $$venv/bin/python || $(BIN)/uv venv --quiet --python 3.12 $$venv \
			|| { echo "skipped: Django 6 needs Python 3.12, and there is none"; continue; }; \
		$(BIN)/uv pip install --quiet --python $$venv/bin/python "django~=$$version.0" pytest -e . \
			|| { echo "skipped: Django $$version cannot be installed"; continue; }; \
		DJANGO_PYTHON=$(CURDIR)/$$venv/bin/python $(BIN)/python -m pytest tests/django $(ARGS) || exit 1; \
	done

chaos: $(READY) ## workers under faults for MINUTES=10, then the judge; SEED=, STANDBY=1, PGBOUNCER=1, APPLICATION=1
	@$(BIN)/python -m tests.chaos.run --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
		$(if $(STANDBY),--standby) $(if $(PGBOUNCER),--pgbouncer) $(if $(APPLICATION),--application) $(ARGS)

lint: $(READY) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test ## lint, then test: what CI runs

format: $(READY) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## our figures beside raw SQL and the peers, in one run
	@$(BIN)/python -m benchmarks $(ARGS)

psql: $(READY) ## a SQL prompt on the development database
	@$(BIN)/workrow --app app.app psql $(ARGS)

schema: $(READY) ## write workrow/schema/current.sql anew, after a change of the schema
	@$(BIN)/python -m tests.current_schema

drop-in: $(READY) ## write the list of procrastinate's names in docs/drop-in.md anew
	@$(BIN)/python -m tests.drop_in

lock: $(READY) ## resolve requirements/dev.txt anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --group dev --extra embedded --extra django pyproject.toml -o requirements/dev.txt >/dev/null

clean: ## remove .venv, caches and the embedded database
	@rm -rf $(VENV) .workrow .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
