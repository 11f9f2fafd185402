# Leat: the commands that one types; `make help` lists them. All work is done by CMake and by scripts/.
# BUILD=dir  where builds go (default build)        JOBS=n  how many jobs at once (default: the cores)
# PREFIX=dir where `make install` puts things       ARGS=.. names of benchmarks
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
SECONDS_EACH ?= 60
N ?= 1000
PLANS ?= 50000
SEED ?= 1
export BUILD JOBS

configure = cmake --preset $(1) -B $(BUILD)/$(1) $(2) >/dev/null
build = $(call configure,$(1)) && cmake --build $(BUILD)/$(1) -j$(JOBS) $(2)

.DEFAULT_GOAL := help
.PHONY: help demo test check crash differential test-kafka model bench bench-peers fuzz asan tsan format lint docs install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: ## builds the release and shows a running topology
	@scripts/setup build
	@$(call build,release)
	@test -x scripts/demo || { echo 'demo: scripts/demo is not there'; exit 1; }
	@scripts/demo $(BUILD)/release

test: ## the whole test suite (gcc, checks on)
	@scripts/setup
	@$(call build,dev)
	@scripts/run-tests $(BUILD)/dev

check: ## the quick part of it: unit tests and checks
	@$(call build,dev)
	@scripts/run-tests $(BUILD)/dev '^(unit|checks)/'

asan: ## the suite under the address and undefined-behaviour sanitizers
	@$(call build,asan)
	@scripts/run-tests $(BUILD)/asan

tsan: ## tests with threads under the thread sanitizer
	@$(call build,tsan,--target tests_threads)
	@scripts/run-tests --label threads $(BUILD)/tsan

fuzz: ## searches for inputs that break a decoder (SECONDS_EACH=60)
	@scripts/fuzz $(SECONDS_EACH)

crash: ## every kill point, every failing call, N=1000 random kills; compares each time
	@scripts/setup
	@$(call configure,release,-DLEAT_TESTS=ON)
	@cmake --build $(BUILD)/release -j$(JOBS) --target tests_crash
	@tests/crash/test-kill-points --full $(BUILD)/release
	@tests/crash/test-faults --full $(BUILD)/release
	@tests/crash/test-rescale --full $(BUILD)/release
	@scripts/crash -n $(N) $(BUILD)/release

differential: ## PLANS=50000 random plans against the batch oracle, from SEED=1 on
	@scripts/setup
	@$(call configure,release,-DLEAT_TESTS=ON)
	@cmake --build $(BUILD)/release -j$(JOBS) --target tests_differential
	@LEAT_SEED=$(SEED) LEAT_ROUNDS=$(PLANS) $(BUILD)/release/tests/test_differential

test-kafka: ## the tests of Kafka against a real broker (Java 17, Maven); KILLS=50 of jobs
	@scripts/setup
	@$(call build,dev)
	@scripts/test-kafka $(BUILD)/dev

model: ## checks the models of the checkpoint protocol, with large bounds
	@scripts/setup
	@scripts/model --large

bench: ## builds the release and measures the scoreboard (docs/scoreboard.md); ARGS: S1 S2 ..., q0 q1 ..., or benchmarks
	@scripts/setup build
	@$(call build,release,--target bench)
	@$(call build,release,--target leat_tool)
	@$(if $(filter-out S% q% PEERS,$(ARGS)),scripts/bench,bench/scoreboard/run) $(BUILD)/release $(ARGS)

bench-peers: ## the same beside other stream processors (needs Java and Maven)
	@$(MAKE) --no-print-directory bench ARGS=PEERS

format: ## rewrites the C files as .clang-format says
	@tools/check-format --fix

lint: ## the checks of layers, style, format, headers and symbols
	@$(call build,dev)
	@scripts/run-tests $(BUILD)/dev '^checks/'

docs: ## the API reference, into $(BUILD)/docs
	@scripts/docs $(BUILD)/docs

install: ## library, headers and tool (PREFIX=/usr/local, DESTDIR=)
	@scripts/setup build
	@$(call configure,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@cmake --build $(BUILD)/release -j$(JOBS) --target install_parts
	@cmake --install $(BUILD)/release
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean: ## removes all builds
	@rm -rf $(BUILD)/dev $(BUILD)/clang $(BUILD)/asan $(BUILD)/tsan $(BUILD)/fuzz $(BUILD)/release $(BUILD)/docs
