# `make up` and `make test` do all the set-up; the other targets are what they are made of.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help setup build test check

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install what is missing, where that is allowed
	@scripts/setup.sh

build: ## Build the binary
	cargo build --release

check: ## Formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test: setup check ## Everything that must hold before a change lands
	cargo test --workspace
