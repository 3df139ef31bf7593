# `make up` and `make test` do all the set-up; the other targets are what they are made of.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help setup setup-tests page build up down check deny test test-documents test-workflows test-infrastructure test-cdk test-page test-rust test-browser test-docker test-fuzz demo-deploy demo-infra bench

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

up: build ## Build everything and bring the whole app up, detached: on Docker where a daemon answers
	@[ -f .env ] || target/release/streamify --quiet init --secrets
	@scripts/image-binary.sh
	STREAMIFY_DOCKERFILE=templates/Dockerfile.binary target/release/streamify dev up --detach --build

down: ## Stop the app; its data stays
	target/release/streamify dev down

test: setup-tests check deny test-documents test-workflows test-infrastructure test-cdk test-page test-rust test-browser test-docker test-fuzz ## Everything that must hold before a change lands

setup: ## Install what the app needs, where that is allowed
	@scripts/setup.sh

setup-tests: ## Install what the tests need as well
	@scripts/setup.sh tests

page: setup ## Build the page
	@scripts/page.sh

build: page ## Build the binary with the page in it
	cargo build --release

check: page ## Formatting, lints, and the queries' committed descriptions
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	app/backend/prepare.sh --check

deny: ## Licences and sources of what is linked
	cargo deny --log-level error check bans licenses sources

test-documents: ## The documents' links: each leads to a file and a heading that is there
	@scripts/documents.py

test-workflows: ## The workflows of continuous integration: syntax, shell, and what could be abused
	@scripts/workflows.sh

test-infrastructure: setup-tests ## Terraform's modules and roots: form, the real provider, their tests, tflint, checkov
	@scripts/infrastructure-checks.sh

test-cdk: setup-tests ## The same production in the CDK, and the functions: types, tests, cdk-nag, cfn-lint
	@scripts/cdk-checks.sh

test-page: page ## The page's own lints, types and tests
	cd app/frontend && npm run --silent lint && npm run --silent typecheck && npm run --silent test

test-rust: page ## Unit and integration tests, on real services
	cargo test --workspace -- --test-threads 3

test-browser: page ## The story in a real browser
	cargo build --quiet
	tests/e2e/run.sh

test-docker: page ## The story in a real browser, on the Docker runtime
	cargo build --quiet
	tests/e2e/docker.sh

test-fuzz: page ## The API fuzzed from its OpenAPI document
	cargo build --quiet
	tests/fuzz/run.sh

demo-deploy: setup-tests page ## Ship from a clean state, the ways it fails, and the way back, on AWS as emulators play it
	STREAMIFY_DEMO=1 cargo test --quiet --test streamify -- --exact --nocapture \
	  deploy::demo::from_a_clean_state_to_a_deploy_that_is_live_and_back

demo-infra: setup-tests page ## staging, then prod: rendered, planned, applied, deployed onto, destroyed, on AWS as emulators play it
	@scripts/terraform-provider.sh >/dev/null
	STREAMIFY_DEMO=1 cargo test --quiet --test streamify -- --nocapture --test-threads 1 infra::demo::

bench: build ## Figures beside their peers, as ratios
	cargo bench --bench figures
