//! One test binary: links once.

mod bundles;
mod checkpoints;
mod cli;
mod cli_runs;
mod fitting;
#[cfg(feature = "hub")]
mod hub;
mod invariants;
mod layers;
mod program;
mod sampling;
#[cfg(feature = "serve")]
mod serve;
mod snapshot;
mod zero_shot;
