# Everything this project can do. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv/.installed
EMULATOR := .venv-emulator/.installed
BIN := .venv/bin
export PORT ?= 8080
SETTINGS ?=
SPEED ?= 6
STORIES ?=
TARGET ?=
OWN_HOST ?=
TESTS ?= tests/e2e tests/integration tests/stacks tests/unit
CLIPS ?=
# The environment's own Node.js comes first; the CLI shall neither nag nor report
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export CDK_DISABLE_CLI_TELEMETRY := true
# Containers often set it; what starts Python hundreds of times takes half the time with the bytecode that it keeps
unexport PYTHONDONTWRITEBYTECODE
NODE := node_modules/.installed

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

.PHONY: run
run: setup ## run the whole system on this machine at http://127.0.0.1:$PORT (8080) until Ctrl-C
	@exec $(BIN)/python -m local run

.PHONY: demo
demo: setup ## drive the whole journey with sample videos and put the results in build/demo
	@exec $(BIN)/python -m demo

.PHONY: check
check: lint ## format, lint, types and unit tests: before each commit
	$(BIN)/pytest -q --numprocesses 2 tests/unit

.PHONY: lint
lint: $(VENV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV) ## let the formatter and the linter mend what they can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: test
test: setup lint $(NODE) ## lint, types, unit, template, integration and end-to-end tests; TESTS=tests/unit chooses
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder --junitxml=build/tests.xml $(TESTS)

.PHONY: coverage
coverage: setup ## say which lines of services and ops the unit and integration tests run; nothing is enforced
	$(BIN)/pytest -q --numprocesses 3 --dist loadfile --cov --cov-report=term tests/unit tests/integration --deselect tests/unit/mp4/test_cost.py

.PHONY: test-deploy
test-deploy: setup $(NODE) ## deploy everything to an emulated AWS with the real command line, and destroy it
	$(BIN)/pytest tests/deploy --ignore tests/deploy/test_ops.py

.PHONY: test-ops
test-ops: setup $(NODE) ## operate what is deployed to an emulated AWS
	$(BIN)/pytest tests/deploy/test_ops.py

.PHONY: test-boot
test-boot: artefacts $(NODE) ## boot instances from the user data that an emulated deployment leaves: needs root
	$(BIN)/pytest tests/boot

.PHONY: test-fresh
test-fresh: ## both commands of the README on a bare Debian 12 and 13; RELEASE=12 and TESTS=… choose: needs root
	@TESTS="$(TESTS)" $(PYTHON) -m scripts.fresh_machine $(RELEASE)

.PHONY: test-faults
test-faults: setup ## the short form of `make faults`: some two minutes
	$(BIN)/pytest tests/faults

.PHONY: faults
faults: setup ## kill, cut, freeze and repeat everything, and count what was lost: long
	$(BIN)/python -m tests.faults

.PHONY: faults-mutations
faults-mutations: setup ## show that the faults would notice: break the code in six ways
	$(BIN)/python -m tests.faults --mutations

.PHONY: test-accepted
test-accepted: setup ## process what uploads accept, hundreds of arrangements of it: long
	$(BIN)/pytest --hypothesis-profile thorough tests/integration/test_accepted_is_processed.py

.PHONY: fuzz-mp4
fuzz-mp4: $(VENV) ## let the parser look at mutated files for ten minutes
	$(BIN)/python -m tests.mutations 600

.PHONY: test-elastic
test-elastic: setup ## play a short burst on the twin of AWS, over real processes: a minute
	$(BIN)/pytest tests/twin

.PHONY: elastic
elastic: synth ## watch the templates scale, over real processes; SPEED=6 times as fast as AWS, STORIES="burst readers" chooses
	@$(BIN)/python -m twin elastic --speed $(SPEED) $(STORIES)

.PHONY: preflight
preflight: artefacts $(NODE) ## say what would be in the way of a deployment
	@$(BIN)/python -m deploy preflight $(SETTINGS)

.PHONY: bootstrap
bootstrap: $(VENV) $(NODE) ## prepare an AWS account: once for each account and region
	@$(BIN)/python -m deploy bootstrap $(SETTINGS)

.PHONY: deploy
deploy: artefacts $(NODE) ## deploy to AWS; SETTINGS="profile=production owner=ana" overrides
	@$(BIN)/python -m deploy up $(SETTINGS)

.PHONY: destroy
destroy: $(VENV) ## destroy everything in AWS and say what is left
	@$(BIN)/python -m deploy down $(SETTINGS)

.PHONY: destroy-database
destroy-database: $(VENV) ## destroy the database alone
	@$(BIN)/python -m deploy database-down $(SETTINGS)

.PHONY: postman
postman: setup $(NODE) ## run the Postman collection with newman against a system of its own
	$(BIN)/python -m scripts.run_postman

.PHONY: fuzz
fuzz: setup ## send the API what its description allows and what it does not, for ten minutes
	$(BIN)/python -m scripts.fuzz.run

.PHONY: artefacts
artefacts: setup ## build what instances start from: build/web.zip, build/worker.zip, build/ffmpeg.zip, build/load.zip
	$(BIN)/python -m scripts.build_artefacts

.PHONY: synth
synth: artefacts $(NODE) ## write both profiles' CloudFormation templates to build/cdk
	for profile in academy production; do \
		npx cdk synth --quiet --no-notices -c profile=$$profile -o build/cdk/$$profile || exit 1; \
	done

.PHONY: snapshots
snapshots: setup ## write both profiles' templates to docs/templates, to be read and reviewed
	$(BIN)/pytest -q --write-snapshots tests/stacks/test_snapshots.py

.PHONY: trace
trace: setup ## write the table of requirements and templates again
	$(BIN)/python -m scripts.trace_requirements

.PHONY: release
release: synth ## put source, templates, artefacts, checksums and bills of materials into build/release
	$(BIN)/python -m scripts.release

.PHONY: figures
figures: setup $(NODE) ## draw the pictures of the documents again
	$(BIN)/python -m scripts.draw

.PHONY: grade
grade: setup ## say, in Spanish, what of the course's statement is met, and by which evidence: after `make test`
	@$(BIN)/python -m scripts.grade

.PHONY: bench-worker
bench-worker: setup ## measure the worker's CPU and memory against bare ffmpeg
	$(BIN)/python -m bench worker-cost

.PHONY: bench-throughput
bench-throughput: setup ## measure what never losing anything costs the workers
	$(BIN)/python -m bench throughput

.PHONY: bench-quality
bench-quality: setup ## compare settings of the encoder on drawn clips, or on those of a folder: CLIPS=folder
	$(BIN)/python -m bench quality $(CLIPS)

.PHONY: bench-api
bench-api: setup ## measure what the API's requests cost against the least that they could
	$(BIN)/python -m bench api-cost

.PHONY: bench-scaling
bench-scaling: synth ## compare ways to scale on the simulated clock: some five minutes
	$(BIN)/python -m bench scaling

.PHONY: slow-clients
slow-clients: setup ## have 200 clients send a byte a second for a minute, and measure what others notice
	$(BIN)/python -m bench slow-clients

.PHONY: abuse
abuse: setup ## flood the system with logins and more, and measure what others notice: some four minutes
	$(BIN)/python -m bench abuse

.PHONY: capacity-web
capacity-web: setup ## measure how many users the web layer takes: some 80 minutes on an idle machine; goes on where it was
	$(BIN)/python -m capacity web $(if $(TARGET),--target $(TARGET) --own-host "$(OWN_HOST)")
	$(if $(TARGET),,$(MAKE) capacity-fleets && $(BIN)/python -m capacity report --write)

.PHONY: capacity-fleets
capacity-fleets: synth ## simulate fleets of web servers with what capacity-web has measured
	$(BIN)/python -m capacity fleets

.PHONY: capacity-short
capacity-short: setup ## see that the load tests and their report work: a minute or two, and no measurement
	rm -rf build/capacity/short
	$(BIN)/python -m capacity web --form short --output build/capacity/short/web
	$(BIN)/python -m capacity worker --short
	$(BIN)/python -m capacity report

.PHONY: capacity-worker
capacity-worker: setup ## measure what a worker's machine takes, and simulate fleets of it: some 80 minutes; goes on where it was
	$(BIN)/python -m capacity worker
	$(MAKE) capacity-growth

.PHONY: capacity-growth
capacity-growth: synth ## simulate fleets of workers with what was measured last, and tell it: some minutes
	$(BIN)/python -m capacity growth
	$(BIN)/python -m capacity report --write

.PHONY: capacity-report
capacity-report: $(VENV) ## make the load tests' tables and figures again, and check each number of the documents
	$(BIN)/python -m capacity report

.PHONY: branding
branding: $(VENV) ## draw the logo and the bumpers again
	$(BIN)/python -m branding

.PHONY: lock
lock: $(VENV) ## resolve the dependencies again into the hash-locked requirements
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-package anb --output-file requirements.txt \
		services/*/pyproject.toml --group pyproject.toml:dev --group pyproject.toml:infrastructure
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--constraints requirements.txt --output-file requirements-infrastructure.txt --group pyproject.toml:infrastructure

.PHONY: clean
clean: ## remove environments, build results and the state of local runs
	rm -rf .venv .venv-emulator node_modules .local build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

.PHONY: setup
setup: $(VENV) $(EMULATOR)

$(VENV): requirements.txt local/uv.txt $(wildcard services/*/pyproject.toml)
	@command -v $(PYTHON) >/dev/null || { echo "setup: there is no $(PYTHON); install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m local.venv .venv requirements.txt services/anb services/web services/worker
	@touch $@

$(NODE): package-lock.json $(VENV)
	@npm ci --silent
	@touch $@

# The emulator pins its own botocore, so it lives apart
$(EMULATOR): local/emulator.txt | $(VENV)
	@$(PYTHON) -m local.venv .venv-emulator local/emulator.txt
	@touch $@
