# Two commands are all that a fresh machine needs: `make demo` and `make test`. Neither needs root; both need Python 3.11 or newer,
# and Java 17 for a real Kafka broker (without it a mock takes its place, and the run says so).

PYTHON ?= python3
VENV := .venv
MEMBER_EVAL ?= $(HOME)/.cache/oopswatch/member-eval
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNNABLE := $(VENV)/.runnable
LOCKS := requirements.lock requirements-demo.lock requirements-dev.lock requirements-build.lock
# The address of an index has no place in a lock: whoever installs brings their own.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: help site deb demo test test-fast validate first-minutes bench history-size sizing broker-faults chaos stages fleets known-eval member-eval symbols-fuzz symbols-hostile mutilate truth spark lint format docs screenshots lock clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNNABLE) ## run a simulated fleet through a broker into incidents: about 20 seconds
	$(BIN)/oopswatch demo

test: lint ## run every check and every test
	@echo "== the tests"
	$(BIN)/pytest -n 2

# Parsers, signatures, assembler, crash reports, rules: what most changes touch, without broker, browser or child processes.
FAST := tests/parse tests/assemble tests/crash tests/rules $(addprefix tests/test_,$(addsuffix .py,match scan correlate catalogue families same_boot host_names settings))
test-fast: $(READY) ## the tests of the pure core: a minute, no broker, no browser
	$(BIN)/ruff check .
	$(BIN)/pytest -q -m "not kafka and not debian" $(FAST)

bench: $(READY) ## measure side by side with peers and write docs/performance.md: an hour (BENCH_SIZE=50M for less)
	$(BIN)/python -m bench.install
	@for part in files kafka storm latency growth memory pages; do echo "== $$part"; $(BIN)/python -m bench.$$part || exit 1; done
	$(BIN)/python -m bench.page > docs/performance.md

sizing: $(READY) ## measure both stages with a million hosts and write docs/sizing.md: half an hour, 4 GB (HOSTS=20000 for less)
	$(BIN)/python -m bench.sizing --hosts $(or $(HOSTS),1000000)

history-size: $(READY) ## ask everything of a history of 10,000,000 matches beside a writer, and write docs/history-size.md: 40 minutes, 20 GB (SIZE=0.1 for less)
	$(BIN)/python -m bench.history_size bench/.corpora/history-$(or $(SIZE),1).db --size $(or $(SIZE),1)

truth: $(READY) ## recompute every number and instruction in the explanations of all logs (LOGS="FILE …" for others)
	$(BIN)/python -m tests.explain.truth $(LOGS)

mutilate: $(READY) ## damage reports as logs do, and say how much of each is still read: minutes (LOGS="FILE …" for others)
	$(BIN)/python -m tests.assemble.mutilation $(LOGS)

known-eval: $(READY) ## how well known bugs are named, on cases that are known (CASES=FILE.jsonl for others)
	$(BIN)/python -m bench.known_eval $(CASES)

SITE := .tools/site
site: $(SITE)/.ready ## make the documentation as a site: build/site
	@$(PYTHON) deploy/site/sources.py build/site-sources
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict --config-file deploy/site/mkdocs.yml
	@echo "build/site/index.html"

$(SITE)/.ready: deploy/site/requirements.txt
	@$(PYTHON) -m venv $(SITE)
	@$(SITE)/bin/pip install --quiet --disable-pip-version-check -r deploy/site/requirements.txt
	@touch $@

deb: ## make a package for this release of Debian or Ubuntu: build/oopswatch_….deb (a minute; python3-venv)
	deploy/debian/build.sh

SPARK := .tools/spark
spark: $(SPARK)/.ready ## hold the Spark job against scan over 1 GB: ten minutes (LAKE_MB=100 for less)
	$(SPARK)/bin/python -m bench.spark

$(SPARK)/.ready: requirements.lock
	@$(PYTHON) -m venv $(SPARK)
	@$(SPARK)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(SPARK)/bin/pip install --quiet --disable-pip-version-check pyspark==4.3.0
	@$(SPARK)/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

member-eval: $(READY) ## how often members are named rightly, held against debug information, and the founding case in the same kernels: an hour, 4 GB (KERNELS="RELEASE:ARCH …")
	@for each in $(or $(KERNELS),6.1.0-55:amd64 6.1.0-55:arm64 6.12.115+deb12:amd64); do \
	  release=$${each%:*} arch=$${each#*:}; bench/fetch_kernel.sh $$release $$arch $(MEMBER_EVAL) && \
	  $(BIN)/python -m bench.member_eval $(MEMBER_EVAL)/$$release-$$arch/vmlinuz $(MEMBER_EVAL)/$$release-$$arch/vmlinux $(ACCESSES) $(SEED) && \
	  $(BIN)/python -m bench.member_founding $(MEMBER_EVAL)/$$release-$$arch/vmlinuz || exit 1; done

symbols-fuzz: $(READY) ## damage kernel images, modules, types and packs 100,000 times: ten minutes (ROUNDS=5000, IMAGES="FILE …" of real size)
	$(BIN)/python -m tests.symbols.fuzz $(or $(ROUNDS),100000) $(IMAGES)

symbols-hostile: $(READY) ## images of real size, made to cost time or memory: each is a pack or one line, 5 s, 200 MB: two minutes
	$(BIN)/python -m tests.symbols.hostile

validate: $(READY) ## hold what is in deploy/ against its own programs: hadolint, promtool, amtool, rsyslogd, kustomize, the Debian package and lintian …
	$(BIN)/pytest -q -rs tests/deploy
	@if command -v lintian >/dev/null; then deploy/debian/build.sh && lintian --fail-on error build/oopswatch_*.deb; \
	  else echo "lintian is missing (Debian and Ubuntu: package lintian): the Debian package is not checked"; fi
	@echo "run: hadolint, shellcheck, promtool, amtool, Alertmanager, rsyslogd, systemd-analyze, nginx, kubectl kustomize, kubernetes-validate, check-jsonschema, dpkg-deb, lintian (those that are missing stand above as skipped or missing)"
	@echo "not run here: containers, a cluster, KEDA, Grafana, Fluent Bit, Vector, Filebeat, the OpenTelemetry Collector: their files are held against schemas and keys alone; the Debian package is built, not installed"

first-minutes: $(READY) ## follow the README and docs/zh.md in a fresh clone, and docs/start.md from the wheel alone, in a bare shell, to an incident in Chromium
	tests/first_minutes.sh
	tests/first_minutes.sh wheel

fleets: $(READY) ## tens of thousands of hosts whose clocks, names and dumps go wrong: ten minutes (FLEETS=20)
	OOPSWATCH_FLEETS=$(or $(FLEETS),20) $(BIN)/pytest -q tests/test_boot_histories.py -k many

chaos: $(READY) ## kill the service 200 times while it reads from a real Kafka: twelve minutes (CHAOS_ROUNDS=50 for less)
	$(BIN)/python -m tests.kafka.chaos $(or $(CHAOS_ROUNDS),200) $(SEED)
	OOPSWATCH_FLEET_LINES=1000000 $(BIN)/pytest -q tests/kafka/test_fleet.py

stages: $(READY) ## kill both stages 220 times over a real Kafka, have members sleep at each point, three brokers fail 50 times: half an hour (STAGE_ROUNDS=20 STAGE_FAULTS=5)
	$(BIN)/python -m tests.kafka.stage_chaos $(or $(STAGE_ROUNDS),110) $(SEED)
	OOPSWATCH_STAGES=all $(BIN)/pytest -q tests/kafka/test_stages.py -k "slept or lost or lie or one_name or two_archives or replica"
	$(BIN)/python -m tests.kafka.stage_faults $(or $(STAGE_FAULTS),50) $(or $(STAGE_STORMS),20) $(SEED)

broker-faults: $(READY) ## 60 faults of a real Kafka while the service reads: ten minutes (FAULTS=20 for less, SEED=7)
	$(BIN)/python -m tests.kafka.broker_faults $(or $(FAULTS),60) $(SEED)

lint: $(READY) ## style, formatting, types and floors
	@echo "== style, formatting, types, floors"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write the pages that are made from the code
	$(BIN)/python -m detector.settings > docs/settings.md
	$(BIN)/python -m detector.telemetry_page > docs/metrics.md
	$(BIN)/python -m detector.explain > docs/next-steps.md
	$(BIN)/python -m detector.finding_schema > docs/finding.schema.json
	$(BIN)/python -m tests.trust.envelopes > docs/trust.md

screenshots: $(READY) ## take the pictures of docs/img anew, with the Chromium of this machine
	OOPSWATCH_SCREENSHOTS=1 OOPSWATCH_STRICT=1 $(BIN)/pytest tests/browser -q -k obstacle

lock: $(READY) ## resolve the dependencies again and write the lock files
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml
	$(COMPILE) --upgrade --output-file requirements-demo.lock --extra demo pyproject.toml
	$(COMPILE) --upgrade --output-file requirements-dev.lock --group dev pyproject.toml
	$(COMPILE) --upgrade --output-file requirements-build.lock --group build

clean: ## remove what was set up and made here
	rm -rf $(VENV) .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build

# The environment is made once, and again when what it was made from changes. The demo needs the
# packages of a service and an embedded broker; tests and checks need the rest too.
$(RUNNABLE): requirements-demo.lock requirements-build.lock pyproject.toml
	@test -f $(READY) || $(MAKE) --no-print-directory install LOCK="requirements-demo.lock -r requirements-build.lock"
	@touch $@

$(READY): requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory install LOCK=requirements-dev.lock
	@touch $@ $(RUNNABLE)

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("oopswatch needs Python 3.11 or newer, and $(PYTHON) is %d.%d: say make PYTHON=/path/to/python3" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: its venv module is missing (Debian and Ubuntu: package python3-venv)"; exit 1; }
	@echo "== making $(VENV): $$($(PYTHON) --version), packages by $(firstword $(LOCK))"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
