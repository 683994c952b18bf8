//! The process: reads its arguments, starts the runtime, and alone decides when to exit.
//!
//! The map of this crate: [`serve`] starts and stops the hub, [`listener`] accepts, [`mqtt`] and
//! [`https`] drive one connection each, [`auth`] admits, [`telemetry`], [`methods`],
//! [`twin_sync`] and [`commands`] are what a device and its operator do, [`operator`] is the
//! service API. Wire codes live in each protocol's folder only; domain crates never see a packet.

mod args;
mod auth;
mod commands;
mod config;
mod dev;
mod drain;
mod event_codec;
mod https;
mod hub;
mod listener;
mod methods;
mod mqtt;
mod observe;
mod operator;
mod ports;
mod presence;
mod serve;
mod telemetry;
mod twin_sync;

fn main() {}
