//! Behaviour: minimal pairs of texts, and whether a system's labels change where they must and stay where they must.
//!
//! In: files of [`BehaviourPairs`] (specified in `eval/README.md`), and each system's word on both members of every pair. Out: a
//! [`BehaviourReport`], which becomes part of a [`crate::eval::Report`].
//!
//! The idea is that of the minimum functionality, invariance and directional expectation tests of CheckList (Ribeiro, Wu, Guestrin and
//! Singh, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020): a set on which every text stands alone does
//! not tell a system that reads from one that knows words.

mod pairs;
mod rates;
mod render;

pub use crate::eval::behaviour::pairs::{BehaviourPair, BehaviourPairs, Expect, read_behaviour, read_behaviour_files};
pub use crate::eval::behaviour::rates::{BehaviourReport, BehaviourSlice, BehaviourSystem, Rate, score_behaviour};
pub(crate) use crate::eval::behaviour::rates::{rate_words, verdicts};
pub(crate) use crate::eval::behaviour::render::blocks;

#[cfg(test)]
mod tests;
