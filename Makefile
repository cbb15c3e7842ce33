# Everyday commands. Meson and ninja do the work; "make help" lists what there is.

BUILD ?= build
PREFIX ?= /usr
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := build

.PHONY: help
help:
	@echo 'make [build]      compile into $(BUILD)/'
	@echo 'make static       compile the one file that runs on OpenVZ nodes (vz6 commands), into build/static/'
	@echo 'make deps         install what is needed, by name, from tools/packages (root)'
	@echo 'make check        everything that must hold: builds, style, unit, storage, tree and lab tests (root)'
	@echo 'make check-vm     tests on virtual machines, with ZFS: the first call builds a kernel module (root)'
	@echo 'make demo         move a container between two nodes on this machine, and back (root)'
	@echo 'make lab          bring two nodes up to play with; make lab-down removes them (root)'
	@echo 'make check-faults kill, stall and cut at every step of a send (root, long)'
	@echo 'make fuzz         run each fuzzer for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench        measure (root)'
	@echo 'make format       put src and tests into the project style'
	@echo 'make install      install below DESTDIR; PREFIX=$(PREFIX) counts when $(BUILD)/ is first made'

.PHONY: build
build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(PREFIX)

# One file for OpenVZ nodes, against musl. The options are those of tools/check.sh.
STATIC_BUILD ?= build/static
.PHONY: static
static: $(STATIC_BUILD)/build.ninja
	@ninja -C $(STATIC_BUILD)
	@echo '$(STATIC_BUILD)/src/vz6/wherry-vz6'

$(STATIC_BUILD)/build.ninja:
	@CC=musl-gcc meson setup $(STATIC_BUILD) -Dstatic=true

.PHONY: root
root:
	@[ "$$(id -u)" = 0 ] || { echo 'This needs root: it makes loop devices, mounts and namespaces.' >&2; exit 1; }

.PHONY: deps
deps:
	@tools/deps

.PHONY: check
check: root
	@tools/deps
	@tools/check.sh

.PHONY: check-vm
check-vm: root
	@tools/deps
	@tools/check.sh vm

.PHONY: demo
demo: root
	@tools/deps
	@$(MAKE) --no-print-directory build
	@BUILD=$(BUILD) tests/lab/demo

.PHONY: lab lab-down
lab: root build
	@BUILD=$(BUILD) tests/lab/lab up
lab-down: root
	@tests/lab/lab down

.PHONY: check-faults bench
check-faults: root
	@tests/fault/run --labs 4 --fs ext4 --fs btrfs
bench: root build
	@BUILD=$(abspath $(BUILD)) tests/bench/run

.PHONY: fuzz
fuzz:
	@tools/fuzz.sh $(FUZZ_SECONDS)

.PHONY: format
format:
	@find src tests -name '*.[ch]' -exec clang-format -i {} +

.PHONY: install
install: build
	@meson install -C $(BUILD) --no-rebuild
