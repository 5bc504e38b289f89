# The two commands of the README, those that CI adds, and the deployment's. All set-up is in .venv.
PYTHON ?= python3
FUNCTION ?= cloudwatch-janitor
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo screenshots test proof bench check docs format package-check package up down invoke invoke-apply logs clean
.DEFAULT_GOAL := help

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(STAMP) ## Report, clean and report again, on the embedded sandbox account.
	@$(BIN)/python -m janitor.sandbox

screenshots: $(STAMP) ## Draw docs/images/ anew from the sandbox (needs chromium).
	@PYTHONPATH=. $(BIN)/python docs/screenshots.py

test: $(STAMP) ## Run the whole test suite.
	$(BIN)/python -m pytest -n auto

proof: $(STAMP) ## Try the properties on 10,000 random accounts; takes up to an hour.
	$(BIN)/python -m tests.proof --accounts 10000 --minutes 60 --write docs/proof.md --readme README.md

bench: $(STAMP) ## Measure beside other tools (half an hour; QUICK=1: 5 minutes, into build/bench/).
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick,--readme README.md)

check: $(STAMP) ## Lint, formatting, types, documentation.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs: $(STAMP) ## Build the documentation into build/site.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

package: $(STAMP) ## Build the three functions' packages into build/; print sizes and cold starts.
	@$(BIN)/python -m deploy.packaging

up: $(STAMP) ## Deploy to AWS (needs the pulumi command and credentials).
	cd deploy && pulumi up

down: ## Remove the deployment.
	cd deploy && pulumi destroy

invoke: ## Dry run of the deployed janitor; prints its answer.
	@mkdir -p build
	aws lambda invoke --function-name $(FUNCTION) --cli-read-timeout 900 build/answer.json
	@cat build/answer.json

invoke-apply: ## Let the deployed janitor act, now.
	@mkdir -p build
	aws lambda invoke --function-name $(FUNCTION) --cli-read-timeout 900 --cli-binary-format raw-in-base64-out --payload '{"dry_run": false}' build/answer.json
	@cat build/answer.json

logs: ## Follow the deployed janitor's logs.
	aws logs tail /aws/lambda/$(FUNCTION) --since 1d --follow

package-check: $(STAMP) ## Build the wheel, install it elsewhere, and use it from there.
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/pip install --quiet --constraint requirements-dev.txt build/wheel/*.whl
	cd build/wheel && venv/bin/janitor --help > /dev/null
	cd build/wheel && venv/bin/janitor run --apply --yes --sandbox --quiet --format json > run.json || [ $$? -eq 3 ]  # one odd group is unknown
	build/wheel/venv/bin/python -c "import json; s = json.load(open('build/wheel/run.json'))['summary']; assert s['groups_deleted'] and s['complete'], s; print('wheel:', s['groups_deleted'], 'groups deleted in the sandbox')"
	cd build/wheel && venv/bin/janitor report --sandbox --quiet --format html -o report.html || [ $$? -eq 3 ]
	build/wheel/venv/bin/python -c "t = open('build/wheel/report.html', encoding='utf-8').read(); assert t.startswith('<!doctype html>') and t.endswith('</html>\n') and 'data-kind=\"rows\"' in t and 'd3js.org' in t, len(t); print('wheel: report.html of', len(t) // 1000, 'kB')"

format: $(STAMP) ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets made.
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(STAMP): pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || { echo "python venv is missing: on Debian, apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt --editable '.[dev]'
	@touch $@
