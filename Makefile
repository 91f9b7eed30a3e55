# Two commands do everything: `make demo` and `make test`. Both set up what they need in .venv first.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
OUTPUT ?= demo-snapshots

.PHONY: help demo test test-browser test-trust mutation lint docs site screenshots bench bench-quick soak smoke sbom audit lock
.PHONY: clean test-benchmarks

help:
	@echo "make demo   set up, crawl the built-in emulator into $(OUTPUT), show what landed"
	@echo "make test   set up, run the tests"
	@echo "make test-browser  set up, install Chromium where there is none, run the tests of the report in it"
	@echo "make test-trust  set up, install what it takes from Debian, run the long tests of what must never go wrong"
	@echo "make mutation  mutants of retry, paging, redaction and commit against their tests; the score by module (an hour)"
	@echo "make lint   ruff, mypy --strict, import-linter"
	@echo "make docs   docs/tables.md and docs/reference.md anew, from schemas/, the commands and the configuration"
	@echo "make site   the documentation as a static site in build/site; a link that leads nowhere fails it"
	@echo "make screenshots  docs/images/ anew, from the program, in Chromium"
	@echo "make bench  crawl, floor, SDK and dlt on the same static cloud, into docs/performance.md (half an hour)"
	@echo "make bench-quick  the same on a small one, once, only shown"
	@echo "make test-benchmarks  set up, run the tests of the benchmarks: what they show, and calls per request"
	@echo "make soak   five million functions through faults of all kinds, every row judged, into docs/reliability.md (an hour)"
	@echo "make smoke  build the wheel, install it in a clean environment, crawl with it"
	@echo "make sbom   build/sbom.cdx.json: what is shipped, from requirements/runtime.txt"
	@echo "make audit  ask PyPI for known vulnerabilities in what is shipped (needs the network)"
	@echo "make lock   resolve requirements/*.txt anew (needs the registry)"
	@echo "make clean  remove the environment and everything made by the above"

$(VENV)/.runtime: requirements/runtime.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes --only-binary :all: -r requirements/runtime.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.browser: $(VENV)/.dev requirements/browser.txt
	test -x /usr/bin/chromium || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }
	$(PIP) install --require-hashes -r requirements/browser.txt
	@touch $@

$(VENV)/.trust: $(VENV)/.dev requirements/trust.txt
	$(PIP) install --require-hashes --only-binary :all: -r requirements/trust.txt
	@touch $@

demo: $(VENV)/.runtime
	$(PY) -m crawler demo --output $(OUTPUT)

# Where the environment says that no bytecode is written, every worker and every command that a test starts would
# compile all of it anew.
test test-trust: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.dev
	$(PY) -m pytest -n auto --dist worksteal

# Chromium is Debian's: as root, or install the package chromium first.
test-browser: $(VENV)/.browser
	$(PY) -m pytest -m browser tests

# As root, or install the package first. Nothing is skipped: what can't be had fails.
TRUST_TOOLS := strace=strace soffice=libreoffice-calc-nogui

test-trust: $(VENV)/.trust
	for tool in $(TRUST_TOOLS); do command -v $${tool%=*} >/dev/null || missing="$$missing $${tool#*=}"; done; \
	  test -z "$$missing" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; }
	WHOLE_EXAMPLES=1 $(PY) -m pytest -n auto --dist worksteal -m "trust or hypothesis"

# Which modules and which tests: [tool.mutmut] in pyproject.toml. In memory where that can be had: a commit flushes often.
MUTANTS_AT_ONCE ?= 1
mutation: $(VENV)/.trust
	rm -rf mutants
	TMPDIR=$$(test -w /dev/shm && echo /dev/shm || echo /tmp) $(VENV)/bin/mutmut run --max-children $(MUTANTS_AT_ONCE)
	$(PY) tests/mutation/score.py

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.runtime
	$(PY) -m crawler tables --markdown > $(VENV)/tables.md
	mv $(VENV)/tables.md docs/tables.md
	$(PY) -m crawler.cli.reference > $(VENV)/reference.md
	mv $(VENV)/reference.md docs/reference.md

# Not with --quiet: then ProperDocs doesn't count its warnings, and a broken link would pass.
site: $(VENV)/.dev
	$(VENV)/bin/properdocs build --strict

screenshots: $(VENV)/.browser
	$(PY) docs/images/make_screenshots.py

# nginx is Debian's: as root, or install the package nginx-light first. dlt gets an environment of its own in .bench.
.bench/.nginx:
	test -x /usr/sbin/nginx || { apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; }
	@mkdir -p .bench
	@touch $@

bench: $(VENV)/.dev .bench/.nginx
	$(PY) -m benchmarks --write

# The benchmarks' own tests, and bounds on work that are counted and not timed. No part of `make test`.
test-benchmarks: $(VENV)/.dev
	$(PY) -m pytest -q benchmarks

bench-quick: $(VENV)/.dev .bench/.nginx test-benchmarks
	$(PY) -m benchmarks --quick --rounds 1

soak: $(VENV)/.dev
	$(PY) -m tests.soak --write

# The wheel in a clean environment, outside of the checkout.
smoke: $(VENV)/.dev
	.ci/smoke $(PY)

SBOM ?= build/sbom.cdx.json
sbom: $(VENV)/.trust
	@mkdir -p $(dir $(SBOM))
	$(PY) -m cyclonedx_py requirements requirements/runtime.txt --pyproject pyproject.toml --output-reproducible --of JSON -o $(SBOM)

audit: $(VENV)/.trust
	$(PY) -m pip_audit --require-hashes --disable-pip -r requirements/runtime.txt

lock: $(VENV)/.dev
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header pyproject.toml -o requirements/runtime.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --extra dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header -c requirements/dev.txt requirements/browser.in -o requirements/browser.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header -c requirements/dev.txt requirements/trust.in -o requirements/trust.txt

clean:
	rm -rf $(VENV) .bench mutants $(OUTPUT) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
