//! Tests of the output format: what every format writes of the same predictions is frozen here.

mod explained;
pub(crate) mod fixture;
mod frozen;
mod noise;
mod page;
mod pictures;
