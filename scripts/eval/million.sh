#!/usr/bin/env bash
# How long do 1,000,000 gold rows with 1,000 replicates of every figure take?
# Inputs: none (seeded). Output: the time to tally and the time in all, for clusters of one to three and for single items.
# RAYON_NUM_THREADS=2 measures two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo test --release --lib eval::tests::a_million_rows "$@" -- --ignored --nocapture
