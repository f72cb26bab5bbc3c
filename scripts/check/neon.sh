#!/usr/bin/env bash
# The suite of the kernels on 64-bit ARM, in an emulator.
#
# Command: scripts/check/neon.sh
# In:      src/kernels
# Out:     the output of the tests; "skipped:" and exit code 0 where the target, the linker or the emulator is missing
# Needs:   rustup target add aarch64-unknown-linux-gnu; apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/check/kernels_alone.sh

triple=aarch64-unknown-linux-gnu
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple" ] || { echo "skipped: rustc has no standard library for $triple"; exit 0; }
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 0; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
kernels_alone "$folder" '["neon-dot", "scalar"]'
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
CARGO_TARGET_DIR=$folder/target cargo test --quiet --offline --manifest-path "$folder/Cargo.toml" --target $triple
