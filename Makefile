# Everything here sets up what it needs first, once: the stamps below say what was installed from which lists.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-postgres demo verify-deployment test test-unit test-contracts test-e2e test-api contracts coverage halmos campaign mutants fuzz chaos gas bench bench-issuer latency abuse lint artifacts check-artifacts clean

# A process that crashes says where: names of functions and lines, no values.
export PYTHONFAULTHANDLER := 1

# The tool chain comes from the checkout; brownie finds the compiler where SOLCX_BINARY_PATH says.
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/.venv/bin:$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/scripts/solcx

PYTHON_READY := .venv/.ready
NODE_READY := node_modules/.ready
READY := $(PYTHON_READY) $(NODE_READY)
HALMOS_READY := .venv-halmos/.ready
FUZZ_READY := .venv-fuzz/.ready
BENCH_READY := .venv-bench/.ready
API_READY := .venv-api/.ready

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## install what is missing into .venv and node_modules

$(PYTHON_READY): requirements/dev.txt pyproject.toml scripts/setup_python.sh
	@scripts/setup_python.sh
	@touch $@

$(NODE_READY): package.json package-lock.json scripts/setup_node.sh
	@scripts/setup_node.sh
	@touch $@

setup-postgres: ## install PostgreSQL from the system's packages, if there is none: for an issuer's tests and figures
	@scripts/setup_postgres.sh

# Halmos pins other versions than the rest needs, so it has an environment of its own; only who asks for it gets it.
$(HALMOS_READY): requirements/halmos.txt $(PYTHON_READY)
	@echo "setup: halmos in .venv-halmos"
	@.venv/bin/python -m venv .venv-halmos
	@.venv-halmos/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/halmos.txt
	@touch $@

# The fuzzer has wheels for few platforms; only who asks for it gets it, or is told what runs everywhere.
$(FUZZ_READY): requirements/fuzz.txt scripts/setup_fuzz.sh $(PYTHON_READY)
	@scripts/setup_fuzz.sh
	@touch $@

demo: $(READY) ## the whole loop on a local chain; FILE=path sends that file, CHAIN=ganache takes that chain; KILL=1 kills a relay
	@mixpay demo $(if $(FILE),--file "$(FILE)") $(if $(CHAIN),--chain "$(CHAIN)") $(if $(KILL),--kill)

verify-deployment: $(READY) ## what stands on a chain against artifacts and deployment file: RPC=url FILE=path
	@python scripts/verify_deployment.py --rpc "$(RPC)" --deployment "$(FILE)"

test: check-artifacts test-contracts test-unit test-e2e ## every test

test-unit: $(READY) ## unit and property tests of the Python parts
	@echo "== unit tests"
	@python -m pytest tests/unit -n 2 --dist loadfile

test-contracts: $(READY) ## contract tests: forge and brownie at the same time, for forge's compiler uses one core only
	@echo "== contract tests: forge, brownie"
	@scripts/at_once.sh "scripts/forge test" scripts/test_contracts.sh

contracts: $(READY) $(HALMOS_READY) ## what an auditor runs: every test and proof of the contracts, with a summary
	@python -m scripts.contracts all

coverage: $(READY) ## forge's tests must reach all of the contracts that can be reached
	@python -m scripts.contracts coverage

halmos: $(READY) $(HALMOS_READY) ## symbolic checks of the contracts' arithmetic
	@python -m scripts.contracts halmos

campaign: $(READY) ## the contracts' invariants for a million random calls (about 20 minutes)
	@python -m scripts.contracts campaign

gas: $(READY) ## gas of whole transactions against their goals and the snapshot; writes reports/gas.json
	@python -m scripts.gas $(if $(WRITE),--write)

mutants: $(READY) ## mutation testing of the contracts, on copies; N=30: so many, drawn at random; SHARE=0.2: a fifth
	@python -m scripts.contracts.run_mutants $(if $(N),--sample $(N)) $(if $(SEED),--seed $(SEED)) $(if $(SHARE),--share $(SHARE))

fuzz: $(READY) $(FUZZ_READY) ## coverage-guided fuzzing of what strangers reach; N=10000000 inputs, SEED=1; writes reports/fuzz.json
	@python -m fuzz $(if $(N),--inputs $(N)) $(if $(SEED),--seed $(SEED))

chaos: $(READY) ## relays killed at random as they carry and settle, then every scenario; N=300 kills, SEED=1, ONLY=name; writes reports/chaos.json
	@python -m chaos $(if $(N),--kills $(N)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

# The picture's library is in an environment of its own; only who writes the page gets it.
$(BENCH_READY): requirements/bench.txt scripts/setup_bench.sh $(PYTHON_READY)
	@scripts/setup_bench.sh
	@touch $@

bench: $(READY) $(if $(WRITE),$(BENCH_READY)) ## what a packet costs, layer by layer; LAYERS="hop book", STRICT=1; writes reports/bench.json, with WRITE=1 docs/bench.md
	@python -m bench $(LAYERS) $(if $(WRITE),--write) $(if $(STRICT),--strict)

latency: $(READY) ## how long a message takes, nine relay processes; SHORT=1; writes reports/latency.json
	@python -m bench.latency $(if $(SHORT),--short)

bench-issuer: $(READY) ## passes an issuer signs a second, beside raw signatures; SHORT=1; writes reports/issuer.json
	@python -m bench.issuer $(if $(SHORT),--short)

abuse: $(READY) $(if $(WRITE),$(BENCH_READY)) ## what farming a sponsor's passes brings; SEED=1, STRICT=1, N=short: a small registry; writes reports/abuse.json, with WRITE=1 docs/abuse.md
	@python -m abuse $(if $(filter short,$(N)),--short) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write) $(if $(STRICT),--strict)

test-e2e: $(READY) ## real processes on a local chain, end to end
	@echo "== end-to-end tests"
	@python -m pytest tests/e2e -n 3 --dist loadfile --no-loadscope-reorder

# Schemathesis needs newer libraries than brownie lets the rest have; only who asks for it gets it.
$(API_READY): requirements/api.txt scripts/setup_api.sh $(PYTHON_READY)
	@scripts/setup_api.sh
	@touch $@

test-api: $(READY) $(API_READY) ## the issuer's HTTP interface against its own description, by schemathesis; LIMIT=75 seconds
	@PYTHONPATH=.:tests/unit python tests/api/run.py

lint: $(READY) ## ruff, mypy, forge fmt, slither, and what docs/audit has of them
	@echo "== ruff"
	@ruff check .
	@echo "== mypy"
	@mypy
	@echo "== forge fmt"
	@scripts/forge fmt --check
	@echo "== slither, who can call what, storage layouts: as in docs/audit"
	@python -m scripts.contracts slither
	@python -m scripts.contracts access
	@python -m scripts.contracts storage

artifacts: $(READY) ## compile the contracts into mixpay/artifacts
	@python scripts/build_artifacts.py

check-artifacts: $(READY) ## fail if mixpay/artifacts differs from the sources
	@python scripts/build_artifacts.py --check

clean: ## remove what was built; the installed tools stay
	@rm -rf build out cache reports dist *.egg-info .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +
