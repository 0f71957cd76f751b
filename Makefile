# The verbs of this house; the build itself is meson's (meson.build).
BUILD ?= build
NINJA  = ninja --quiet

.PHONY: build install demo demo-database run test unit e2e lint format asan tsan fuzz faults interop bench clean

build:
	@tools/deps build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@$(NINJA) -C $(BUILD) grapnel

install: build
	@meson install -C $(BUILD) --no-rebuild

# The main job, walked through with two real applications beside Grapnel.
demo: build
	@tools/deps demo
	@python3 examples/onboarding/walkthrough.py --grapnel $(BUILD)/grapnel

# The identity service sends no webhook: its database alone says what changed.
demo-database: build
	@tools/deps demo
	@python3 examples/database/database_walkthrough.py --grapnel $(BUILD)/grapnel

# The same three programs, staying until Ctrl-C.
run: build
	@tools/deps demo
	@python3 examples/onboarding/walkthrough.py --grapnel $(BUILD)/grapnel --stay

# INTEROP=1 runs `make interop` too and counts it with the others; it needs the npm registry once.
test:
	@tools/deps test
	@$(if $(INTEROP),tools/deps interop)
	@BUILD=$(BUILD) tools/test $(if $(INTEROP),--interop)

lint:
	@tools/deps test
	@tools/lint

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'examples/*.[ch]' | xargs clang-format -i

# The whole suite once more under the sanitizers.
asan:
	@tools/deps test
	@BUILD=build-asan MESON_ARGS="-Db_sanitize=address,undefined -Db_lundef=false" tools/test
tsan:
	@tools/deps test
	@CC=clang BUILD=build-tsan MESON_ARGS="-Db_sanitize=thread -Db_lundef=false" tools/test

# The vendors' libraries verify what is signed and sent, Svix's client uses the API; needs the npm
# registry once.
interop: build
	@tools/deps interop
	@tools/interop

# FUZZ_SECONDS for each parser.
fuzz:
	@tools/deps test
	@tools/fuzz

# Kills the daemon 200 times under load and judges what is left, once with webhooks through a flow
# and once with messages to endpoints; the same with triggers, where PostgreSQL is killed too; then
# shows that the judges notice a commit that was skipped on purpose; then lets a million deliveries
# wait for their retry, and looks whether those of others leave on time; then hands in a table of ten
# million rows while it is changed, and compares what arrived.
faults: build
	@tools/deps test
	@/usr/bin/python3 tests/faults/kill.py --binary $(BUILD)/grapnel --kills 200
	@/usr/bin/python3 tests/faults/kill_deliveries.py --binary $(BUILD)/grapnel --kills 200
	@for trigger in outbox replication; do \
		/usr/bin/python3 tests/faults/kill_triggers.py --binary $(BUILD)/grapnel --trigger $$trigger --kills 60 || exit 1; \
	done
	@test -f build-hooks/build.ninja || meson setup build-hooks -Dtest_hooks=true >build-hooks.log 2>&1
	@$(NINJA) -C build-hooks grapnel
	@for judge in kill kill_deliveries; do \
		if GRAPNEL_TEST_SKIP_COMMIT=20 python3 tests/faults/$$judge.py --binary build-hooks/grapnel --kills 10; \
		then echo "the judge did not notice the skipped commit"; exit 1; \
		else echo "the skipped commit was noticed, as it must be"; fi; done
	@$(NINJA) -C $(BUILD) tests/bench/bench_target
	@/usr/bin/python3 tests/faults/waiting.py --binary $(BUILD)/grapnel
	@/usr/bin/python3 tests/faults/many_rows.py --binary $(BUILD)/grapnel

# What Grapnel costs, beside the same job done by other means; BENCH_ARGS=--quick for a short look.
bench:
	@tools/deps bench
	@test -f build-bench/build.ninja || meson setup build-bench >build-bench.log 2>&1 || { cat build-bench.log; exit 1; }
	@$(NINJA) -C build-bench grapnel tests/bench/bench_load tests/bench/bench_target
	@/usr/bin/python3 tests/bench/bench.py --build build-bench $(BENCH_ARGS)

clean:
	rm -rf build build-* build*.log
