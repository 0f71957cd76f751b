# Verbs of this house. The build itself is meson's (meson.build).
BUILD ?= build

.PHONY: build demo run test lint format asan tsan fuzz faults bench clean deps

build: deps-build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) --quiet grapnel

deps-build:
	@tools/deps build
deps-test:
	@tools/deps test

clean:
	rm -rf build build-*
