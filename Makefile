# The verbs of this house; the build itself is meson's (meson.build).
BUILD ?= build
NINJA  = ninja --quiet

.PHONY: build install demo run test unit e2e lint format asan tsan fuzz faults bench clean

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

# The same three programs, staying until Ctrl-C.
run: build
	@tools/deps demo
	@python3 examples/onboarding/walkthrough.py --grapnel $(BUILD)/grapnel --stay

test:
	@tools/deps test
	@BUILD=$(BUILD) tools/test

lint:
	@tools/deps test
	@tools/lint

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format -i

# The whole suite once more under the sanitizers.
asan:
	@tools/deps test
	@BUILD=build-asan MESON_ARGS="-Db_sanitize=address,undefined -Db_lundef=false" tools/test
tsan:
	@tools/deps test
	@CC=clang BUILD=build-tsan MESON_ARGS="-Db_sanitize=thread -Db_lundef=false" tools/test

# FUZZ_SECONDS for each parser.
fuzz:
	@tools/deps test
	@tools/fuzz

clean:
	rm -rf build build-* build*.log
