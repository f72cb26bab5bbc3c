#!/usr/bin/env bash
# How often do the 95 % intervals of `detente eval` hold the truth? 1,000 draws of 300 clusters from a made-up world whose
# figures are known; fails unless every figure is held in 92 to 98 % of them.
# Inputs: none (seeded). Output: one line a figure, with the coverage of its interval and of a paired difference.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec cargo test --lib eval::tests::intervals_cover_the_truth "$@" -- --ignored --nocapture
