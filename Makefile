# `make demo` shows the program and `make test` tests it. Each target first installs what it needs into $(VENV), and only that.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
OUTPUT ?= demo-snapshots

.PHONY: help demo test coverage test-browser test-trust mutation lint docs site screenshots bench bench-quick bench-wide bench-audit bench-workers soak smoke
.PHONY: wheel image sbom audit lock clean test-benchmarks test-tutorial

help:
	@echo "make demo   set up, crawl the built-in emulator into $(OUTPUT), show what landed"
	@echo "make test   set up, run the tests"
	@echo "make coverage  run the tests with coverage; fail below the floor in pyproject.toml"
	@echo "make test-browser  set up, install Chromium if it is missing, run the tests of the report in Chromium"
	@echo "make test-trust  set up, install the Debian packages that are needed, run the long tests of reliability"
	@echo "make mutation  run mutants of retry, paging, redaction and commit against their tests; print scores (an hour)"
	@echo "make lint   run ruff, mypy --strict, import-linter"
	@echo "make docs   write docs/tables.md and docs/reference.md from schemas/, the commands and the configuration"
	@echo "make site   build the documentation as a static site in build/site; fail on a broken link"
	@echo "make screenshots  write docs/images/ from the program, in Chromium"
	@echo "make bench  compare crawl, floor, SDK and dlt on one static cloud; write docs/performance.md (half an hour)"
	@echo "make bench-quick  run the same benchmark once on a small cloud; print the result"
	@echo "make bench-wide  crawl 200 accounts × 20 regions with few rows each; write docs/performance.md (half an hour)"
	@echo "make bench-audit  measure diff, report, verify, query and export beside DuckDB; write docs/performance.md (five minutes)"
	@echo "make bench-workers  compare two processes with one on two clouds; write docs/performance.md (half an hour)"
	@echo "make test-tutorial  run every command of docs/tutorial.md and compare its output with the page"
	@echo "make test-benchmarks  run the tests of the benchmarks, and bounds on the number of calls per request"
	@echo "make soak   crawl five million functions through faults, check each row; write docs/reliability.md (an hour)"
	@echo "make wheel  build the wheel in dist/, and print its SHA-256"
	@echo "make image  build the container image IMAGE from PYTHON_IMAGE=name@sha256:…, with EXTRAS=\"xlsx iceberg\" if they are set"
	@echo "make smoke  build the wheel, install it in clean environments by pip and by uv, crawl with it"
	@echo "make sbom   write build/sbom.cdx.json, the bill of materials of requirements/runtime.txt"
	@echo "make audit  ask PyPI for known vulnerabilities in requirements/runtime.txt; fail if it can't tell (needs the network)"
	@echo "make lock   resolve requirements/*.txt (needs the registry)"
	@echo "make clean  remove the environment and all files that these targets made"

# One stamp for each lock in requirements/: what it installs is in $(VENV).
$(VENV)/.created:
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/.created
	$(PIP) install --require-hashes --only-binary :all: -r requirements/runtime.txt
	@touch $@

# Some of the SDK's packages have no wheel.
$(VENV)/.test: requirements/test.txt | $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.lint: requirements/lint.txt | $(VENV)/.runtime
	$(PIP) install --require-hashes --only-binary :all: -r requirements/lint.txt
	@touch $@

$(VENV)/.docs: requirements/docs.txt | $(VENV)/.created
	$(PIP) install --require-hashes --only-binary :all: -r requirements/docs.txt
	@touch $@

$(VENV)/.build: requirements/build.txt | $(VENV)/.created
	$(PIP) install --require-hashes --only-binary :all: -r requirements/build.txt
	@touch $@

$(VENV)/.browser: requirements/browser.txt | $(VENV)/.test
	test -x /usr/bin/chromium || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }
	$(PIP) install --require-hashes --only-binary :all: -r requirements/browser.txt
	@touch $@

$(VENV)/.trust: requirements/trust.txt | $(VENV)/.test
	$(PIP) install --require-hashes --only-binary :all: -r requirements/trust.txt
	@touch $@

demo: $(VENV)/.runtime
	$(PY) -m crawler demo --output $(OUTPUT)

# With this variable set, each worker and each command of a test would compile all modules again.
test coverage test-trust test-tutorial test-benchmarks: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.test
	$(PY) -m pytest -n auto --dist worksteal

# Which processes are measured, and the floor: [tool.coverage] in pyproject.toml.
coverage: $(VENV)/.test
	rm -f .coverage .coverage.*
	$(PY) -m coverage run -m pytest -n auto --dist worksteal
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

# Chromium comes from Debian: run this as root, or install the package chromium first.
test-browser: $(VENV)/.browser
	$(PY) -m pytest -m browser tests

# Run this as root, or install the packages first. A missing tool fails the target; no test is skipped.
TRUST_TOOLS := strace=strace soffice=libreoffice-calc-nogui promtool=prometheus logrotate=logrotate

test-trust: $(VENV)/.trust
	for tool in $(TRUST_TOOLS); do command -v $${tool%=*} >/dev/null || missing="$$missing $${tool#*=}"; done; \
	  test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; }
	WHOLE_EXAMPLES=1 $(PY) -m pytest -n auto --dist worksteal -m "trust or hypothesis"

# Which modules and which tests: [tool.mutmut] in pyproject.toml. It works in memory if possible, because commits flush often.
MUTANTS_AT_ONCE ?= 1
mutation: $(VENV)/.trust
	rm -rf mutants
	TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo /tmp) $(VENV)/bin/mutmut run --max-children $(MUTANTS_AT_ONCE)
	$(PY) tests/mutation/score.py

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.runtime
	$(PY) -m docs.generate.tables > $(VENV)/tables.md
	mv $(VENV)/tables.md docs/tables.md
	$(PY) -m docs.generate.reference > $(VENV)/reference.md
	mv $(VENV)/reference.md docs/reference.md

# Without --quiet: with it, MkDocs doesn't count its warnings, and a broken link passes.
site: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

screenshots: $(VENV)/.browser
	$(PY) docs/images/make_screenshots.py

# nginx comes from Debian: run this as root, or install the package nginx-light first. dlt gets its own environment in .bench.
.bench/.nginx:
	test -x /usr/sbin/nginx || { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; }
	@mkdir -p .bench
	@touch $@

bench: $(VENV)/.test .bench/.nginx
	$(PY) -m benchmarks --write

test-tutorial: $(VENV)/.test
	$(PY) -m pytest -q -m tutorial tests/docs

# The tests of the benchmarks, and bounds on work that are counted and not timed. `make test` doesn't run them.
test-benchmarks: $(VENV)/.test
	$(PY) -m pytest -q benchmarks

bench-quick: $(VENV)/.test .bench/.nginx test-benchmarks
	$(PY) -m benchmarks --quick --rounds 1

bench-wide: $(VENV)/.test
	$(PY) -m benchmarks.wide --write

bench-workers: $(VENV)/.test .bench/.nginx
	$(PY) -m benchmarks.workers --write

bench-audit: $(VENV)/.test
	$(PY) -m benchmarks.audit --duckdb --rounds 3 --write
	$(PY) -m benchmarks.audit --duckdb --rounds 3 --repeated --write

soak: $(VENV)/.test
	$(PY) -m tests.soak --write

# By the locked build backend, so that the same checkout gives the same bytes.
wheel: $(VENV)/.build
	rm -rf dist
	$(PY) -m hatchling build -t wheel
	cd dist && sha256sum *.whl

# docs/install.md explains it. The base image must have a digest; the Dockerfile checks it.
IMAGE ?= acs-inventory
EXTRAS ?=
image:
	@test -n "$(PYTHON_IMAGE)" || { echo "make image needs PYTHON_IMAGE=NAME@sha256:…; see docs/install.md" >&2; exit 2; }
	docker build -f deploy/Dockerfile -t "$(IMAGE)" --build-arg PYTHON_IMAGE="$(PYTHON_IMAGE)" --build-arg EXTRAS="$(EXTRAS)" .

# The wheel in clean environments, outside of the checkout.
smoke: $(VENV)/.build
	.ci/smoke $(PY)

SBOM ?= build/sbom.cdx.json
sbom: $(VENV)/.trust
	@mkdir -p $(dir $(SBOM))
	$(PY) -m cyclonedx_py requirements requirements/runtime.txt --pyproject pyproject.toml --output-reproducible --of JSON -o $(SBOM)

audit: $(VENV)/.trust
	$(PY) -m pip_audit --strict --require-hashes --disable-pip -r requirements/runtime.txt

# Each lock takes the versions of those before it, so that all of them fit into one environment. The file of an extra has only
# what the extra adds to requirements/runtime.txt.
LOCKED_EXTRAS := dask delta iceberg otel xlsx
COMPILE := $(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: $(VENV)/.build
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra all --group test -c requirements/runtime.txt -o requirements/test.txt
	$(COMPILE) pyproject.toml --extra all --group lint -c requirements/test.txt -o requirements/lint.txt
	for extra in $(LOCKED_EXTRAS); do \
	  $(COMPILE) pyproject.toml --extra $$extra -c requirements/test.txt \
	    $$(sed -nE 's/^([a-z0-9-]+)==.*/--no-emit-package \1/p' requirements/runtime.txt) -o requirements/$$extra.txt || exit 1; done
	for group in docs build browser trust; do \
	  $(COMPILE) --group $$group -c requirements/test.txt -c requirements/lint.txt -o requirements/$$group.txt || exit 1; done

clean:
	rm -rf $(VENV) .bench mutants $(OUTPUT) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f .coverage .coverage.*
