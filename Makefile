# Targets for people; `make` alone prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
GO    ?= go
TOOL   = $(GO) tool -modfile=tools/go.mod
PKGS   = ./...

.PHONY: help
help: ## print the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: up
up: build ## build and run the crawler on the embedded store (needs Go only)
	./bin/limpet up

.PHONY: build
build: ## build bin/limpet
	$(GO) build -o bin/limpet ./cmd/limpet

.PHONY: test
test: test-deps lint ## install what the tests need, then run all of them (at most 15 minutes)
	LIMPET_SEED=$(SEED) $(GO) test -timeout 14m $$($(GO) list $(PKGS) | grep -vxF "$$($(GO) list $(RACE))")
	LIMPET_SEED=$(SEED) $(GO) test -timeout 10m -race $(RACE)
	LIMPET_SEED=$(SEED) scripts/fuzz.sh 2000x

# Random tests are the same each time here, and new each time by hand and in
# `make torture`; they print their seed.
SEED ?= 1

# Everything concurrent runs under the race detector.
RACE = . ./vfs ./clock ./aof ./server ./internal/target ./internal/backup ./internal/hotcopy ./internal/engine ./internal/fetch ./internal/tracking ./internal/crawl ./internal/api ./internal/cli ./internal/tail ./internal/archive ./internal/metrics

# What the tests start for real: redis-server, nginx, promtool (of prometheus), and
# the HTML documentation that is used as a site nobody here wrote.
DEBS = redis-server redis-tools e2fsprogs mount nginx-light python3.11-doc postgresql-doc-15 wget zstd age prometheus

.PHONY: test-deps
test-deps: ## install or name the Debian packages that the tests need
	@scripts/test-deps.sh $(DEBS)
	@echo "building versitygw, an S3 server for the tests (minutes, once)"; $(TOOL) -n versitygw >/dev/null

.PHONY: lint
lint: ## gofmt, vet, staticcheck, errcheck, ineffassign
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:" $$unformatted; exit 1; fi
	$(GO) vet $(PKGS)
	$(TOOL) staticcheck $(PKGS)
	$(TOOL) errcheck $(PKGS)
	$(TOOL) ineffassign $(PKGS)

.PHONY: test-compose
test-compose: test-deps ## infra/ with a real Docker engine: images, compose file, persistence-test (10 minutes)
	@docker info >/dev/null 2>&1 || { echo "no Docker engine answers: docker info says why"; \
	  echo "get one:   apt-get install docker.io docker-compose, or https://docs.docker.com/engine/install/"; exit 1; }
	scripts/compose-images.sh
	$(GO) vet -tags compose ./cmd/limpet
	$(GO) test -count=1 -timeout 20m -tags compose -run '^TestCompose' ./cmd/limpet; \
	  code=$$?; scripts/compose-images.sh --remove; exit $$code

.PHONY: torture
torture: test-deps ## the long runs: kills, crashes, random models (about an hour)
	LIMPET_TORTURE=1 $(GO) test -count=1 -timeout 3h $(PKGS)

.PHONY: fuzz
fuzz: ## each fuzz target for a minute, guided by coverage
	scripts/fuzz.sh 60s

.PHONY: bench
bench: test-deps ## the store beside redis-server, in the same run (BENCH_KEYS=100000 for a short one)
	cd bench/store && $(GO) run .

.PHONY: bench-crawl
bench-crawl: test-deps ## pages a second beside colly, on the same site in the same run
	cd bench/crawl && $(GO) run .

.PHONY: bench-backup
bench-backup: test-deps ## what hot backups cost the server that is copied (BACKUP_MB=64 for a short one)
	cd bench/backup && $(GO) run .

.PHONY: bench-check
bench-check: test-deps ## limpet check beside redis-check-aof, on the same log of 2 GB
	cd bench/check && $(GO) run .
