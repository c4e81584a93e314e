# Everything a developer types. `make help` lists it.
#
# OBJMOUNT_TOOLS  where servers and linters are built to, once (default ~/.cache/objmount-tools)
# DESTDIR PREFIX  where `make install` puts things; also SBINDIR and SYSTEMD
# BENCH_SCALE     1 is the full benchmark, 0.05 a quick look

SHELL   := /bin/bash
GO      ?= go
PREFIX  ?= /usr/local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

export OBJMOUNT_TOOLS ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/objmount-tools
export GOFLAGS ?=
export GOWORK := off
# Else each process with the race detector, also every `objmount ctl`, sleeps a second at its end.
export GORACE ?= atexit_sleep_ms=0

# The binary is static, so that it runs on any distribution; the version is ours, not the VCS stamp.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false

.PHONY: help demo test e2e build install lint bench docs soak ceph conformance clean tools

help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9 ]*\):.*## */\1\t/p' $(MAKEFILE_LIST) | column -t -s "$$(printf '\t')"

build: ## bin/objmount
	$(BUILD) -ldflags '-s -w -X main.version=$(VERSION)' -o bin/objmount ./cmd/objmount

demo: build ## a first session: S3 server, mount, read, write (data in ./demo-data)
	cd demo && $(BUILD) -ldflags '-s -w' -o ../bin/objmount-demo-server ./objmount-demo-server
	test/tools.sh demo
	demo/demo.sh

# vet has the flags of the tests: on a cold build cache each set of flags compiles all dependencies. What is not for the race
# detector is vetted by `make lint`.
test: tools build ## everything under the race detector: packages, end to end on VersityGW and MinIO, the demo
	$(GO) vet -race ./...
	test/run.sh $(GO) test -race -vet=off -timeout 40m ./test/ $$($(GO) list ./... | grep -v /objmount/test$$)
	cd demo && $(GO) vet -race ./... && ../test/run.sh $(GO) test -race -vet=off -timeout 3m ./...
	test/run.sh bash -c 'OBJMOUNT_DEMO_DATA=$$TMPDIR/demo $(MAKE) demo </dev/null && rm -r "$$TMPDIR/demo"'

e2e: tools build ## the end-to-end tests alone, each with its name
	test/run.sh $(GO) test -race -timeout 30m -v ./test/

# Long tests that cover no capability are left out.
docs: tools build ## write docs/capabilities.md from what the end-to-end tests cover
	OBJMOUNT_DOCS=write test/run.sh $(GO) test -race -count=1 -timeout 30m \
		-skip 'TestWorkloads|TestPosix|Budget|TestKilled|TestCrashRounds|TestTwoWriters|TestLikeAPlainDirectory' ./test/

soak: tools build ## campaigns of random tests side by side for TIME=1h, and one table (ONLY="kill|model", findings in ./soak-findings)
	test/run.sh $(GO) run ./test/soak -time $(or $(TIME),1h) -only '$(ONLY)'

lint: ## formatting, vet, golangci-lint with .golangci.yml
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt -w these:"; echo "$$out"; exit 1; }
	test/tools.sh golangci-lint
	$(GO) vet ./... && $(GO) vet -tags crashpoints ./cache/staging && "$$OBJMOUNT_TOOLS/golangci-lint" run ./...
	cd demo && $(GO) vet ./... && "$$OBJMOUNT_TOOLS/golangci-lint" run --config ../.golangci.yml ./...

bench: tools build ## compare with s3fs, rclone and a bare client (BENCH_SCALE=0.05 for a quick look)
	test/tools.sh s3fs rclone
	test/run.sh $(GO) run ./test/bench -objmount bin/objmount

conformance: ## what backend/s3 claims of VersityGW, MinIO, Ceph and Swift, each started here (STORES="ceph swift")
	GO=$(GO) test/run.sh test/conformance.sh $(STORES)

# What is about one server, or needs what Ceph has not, is left out: test/README.md has the list.
ceph: tools build ## the end-to-end machines on Ceph RGW, started here: calls, crashes, faults, two mounts, workloads (RUN=TestName)
	test/run.sh test/with-store.sh ceph $(GO) test -race -count=1 -timeout 60m -v \
		-run '$(or $(RUN),^Test(LikeAPlainDirectory|LikeMaps|Crash|Killed|Lost|SlowDown|Cut|Refused|Unreachable|Outage|UnlinkOf|Two|Contest|Overtaken|Exclusive|ForeignWriterWins|EditLoses|Reader|OpenFile|Workloads|Posix|ForeignClient|CtlPending|CtlConflicts|CtlFailedUploads|CtlUploads|CtlCache))' ./test/

install: ## binary, mount helpers, units and examples, under DESTDIR and PREFIX (run `make build` first)
	DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' packaging/install.sh bin/objmount

tools: ## what the tests need: servers into OBJMOUNT_TOOLS, programs by apt-get; only what is missing
	test/tools.sh test

clean: ## remove what was built; demo-data stays
	rm -rf bin
