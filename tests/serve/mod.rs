//! The server over real sockets, on the tiny bundles: what it answers, what it refuses, and what it survives.

mod client;
mod explained;
mod faults;
mod operation;
mod protocols;
mod routes;
mod schemes;
