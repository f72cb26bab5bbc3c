#!/usr/bin/env bash
# The suite of the kernels under AddressSanitizer: every read and write outside of memory that is theirs ends it.
#
# Command: scripts/check/sanitizer.sh
# In:      src/kernels
# Out:     the output of the tests with the kernels' names; "skipped:" and exit code 0 where rustc has no sanitizer
# The flag is not stable; RUSTC_BOOTSTRAP lets the stable compiler take it, for this build alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/check/kernels_alone.sh

triple=$(rustc -vV | sed -n 's/^host: //p')
ls "$(rustc --print sysroot)/lib/rustlib/$triple/lib/"*_rt.asan.a >/dev/null 2>&1 || { echo "skipped: rustc has no AddressSanitizer for $triple"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
kernels_alone "$folder" '["scalar"]'
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
# A sanitizer that finds nothing anywhere would prove nothing: this read is beyond its memory.
cat >>"$folder/src/lib.rs" <<'RUST'
#[test]
#[ignore = "must be ended by the sanitizer"]
fn a_read_beyond_the_end() {
    let bytes = std::hint::black_box(vec![1u8; 16]);
    assert_ne!(unsafe { *bytes.as_ptr().add(std::hint::black_box(16)) }, 77);
}
RUST
test() { CARGO_TARGET_DIR=$folder/target cargo test --quiet --offline --manifest-path "$folder/Cargo.toml" --target "$triple" --lib -- "$@"; }
test --nocapture
if test --ignored >"$folder/log" 2>&1 || ! grep -q 'AddressSanitizer: heap-buffer-overflow' "$folder/log"; then
    echo "the sanitizer overlooked a read beyond the end of memory" >&2
    exit 1
fi
echo "and a read beyond the end of memory is found"
