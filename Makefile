# The README's two commands, those of CI, and those of the deployment. Everything is installed into
# .venv: what the program needs (RUN), then what its development needs (ALL).
PYTHON ?= python3
NAME ?= cloudwatch-janitor
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
ALL := $(VENV)/.all
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# From the output of the shell's `times`: its children's CPU in whole seconds.
CPU := awk -F '[ms ]+' 'NR == 2 { printf "%.0f", $$1 * 60 + $$2 + $$3 * 60 + $$4 }'

.PHONY: help demo screenshots test fuzz contract-aws proof bench check docs format requirements package package-check up down invoke invoke-apply logs clean
.DEFAULT_GOAL := help

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(RUN) ## Report, clean and report again, on the embedded sandbox account.
	@$(BIN)/python -m janitor sandbox demo && times > $(VENV)/.demo
	@echo "The demo took $$($(CPU) $(VENV)/.demo) s of CPU; its set-up, once: $$(cat $(RUN))"

screenshots: $(ALL) ## Redraw docs/images/ from the sandbox (needs chromium).
	@PYTHONPATH=. $(BIN)/python docs/screenshots.py

test: $(ALL) ## Run the whole test suite.
	$(BIN)/python -m pytest -n auto

fuzz: $(ALL) ## Fuzz the loaders of policy, plan, journal, event and state (MINUTES=5 each).
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),5)

contract-aws: $(ALL) ## Check the sandbox's assumptions against an AWS account of your own.
	$(BIN)/python -m tests.sandbox.contract

proof: $(ALL) ## Run all broken engines, and the properties on 10,000 accounts (up to an hour).
	TEST_SEED=all $(BIN)/python -m pytest -q -n auto tests/proof/test_mutants.py tests/function/test_handler.py
	$(BIN)/python -m tests.proof --accounts 10000 --minutes 60 --write docs/proof.md

bench: $(ALL) ## Benchmark against other tools (50 minutes; QUICK=1: 5 minutes, into build/bench/).
	$(BIN)/python -m tests.bench $(if $(QUICK),--quick,--readme README.md)

check: $(ALL) ## Lint, formatting, types, documentation.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs: $(ALL) ## Build the documentation into build/site.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

package: $(ALL) ## Build the three functions' packages into build/; print sizes and cold starts.
	@$(BIN)/python -m deploy.packaging

up: $(ALL) ## Deploy to AWS (needs the pulumi command and credentials).
	cd deploy && pulumi up

down: ## Remove the deployment.
	cd deploy && pulumi destroy --continue-on-error

# One attempt: the aws command would take a connection lost in 15 minutes of silence for a failure,
# and start another run.
invoke: ## Dry run of the deployed janitor; prints its answer.
	@mkdir -p build
	AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name $(NAME) --cli-read-timeout 900 build/answer.json
	@cat build/answer.json

invoke-apply: ## Let the deployed janitor act now.
	@mkdir -p build
	AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name $(NAME) --cli-read-timeout 900 --cli-binary-format raw-in-base64-out --payload '{"dry_run": false}' build/answer.json
	@cat build/answer.json

logs: ## Follow the deployed janitor's logs.
	aws logs tail /$(NAME)/janitor --since 1d --follow

package-check: $(ALL) ## Build the wheel, install it into a venv of its own, and use it.
	@$(BIN)/python .ci/package.py

format: $(ALL) ## Format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what the other targets create.
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

requirements: ## Pin pyproject.toml's requirements with hashes (UPGRADE=1: the newest versions).
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip --quiet --disable-pip-version-check install uv==0.13.9
	.ci/requirements build/uv/bin/uv $(if $(UPGRADE),--upgrade)

$(RUN): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || { echo "python venv is missing: on Debian, apt-get install python3-venv"; exit 1; }; \
	$(PIP) install --require-hashes --requirement requirements.txt && \
	$(PIP) install --no-deps --no-build-isolation --editable . && \
	times > $@.cpu
	@echo "$$(du -sm $(VENV) | cut -f 1) MB in $(VENV), $$($(CPU) $@.cpu) s of CPU" > $@

$(ALL): $(RUN) requirements-dev.txt
	@echo "setting up the rest of $(VENV) (once)"
	@$(PIP) install --require-hashes --requirement requirements-dev.txt
	@touch $@
