//! What a hub has acknowledged outlives it, however it ends: killed at a random moment or at any
//! system call, cut off from power, with a failing or a full disk, or told to stop.
//!
//! The judge is what the test itself wrote down after it saw an acknowledgement.

mod dead_letters;
mod every_call;
mod failing_disk;
mod feedback;
mod kill;
mod methods;
mod power_cut;
mod promises;
mod random_moments;
mod redrive;
mod settlements;
mod stopping;
