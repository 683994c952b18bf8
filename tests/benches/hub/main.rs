//! The hub as a whole, beside mosquitto, rumqttd and nginx in the same run.
//!
//! ```text
//! cargo build --release -p gateway
//! cargo build --release --manifest-path tests/peers/Cargo.toml     # rumqttd, if it is to be compared
//! cargo bench -p tests --bench hub -- [ROW…] [--seconds N] [--windows N] [--peers mosquitto,rumqttd,nginx|none] [--bin DIR]
//! ```
//!
//! A row is one of `batched` (1), `unbatched` (2), `single` (3), `connect` (4), `idle` (5),
//! `counts`, `consume`, `consumers`, `https`, `commands` and `methods`; all of them unless some are
//! named. `docs/benchmarks.md` says what each measures.
//! Nothing here passes or fails: the machine decides the figures, their ratios are what counts.

#![allow(clippy::print_stdout, reason = "a benchmark reports to the terminal")]

mod arguments;
mod client;
mod consumer;
mod fleet;
mod histogram;
mod http1;
mod http2;
mod links;
mod load;
mod process;
mod raw_sync;
mod report;
mod rows;
mod server;
mod service_load;
mod web_load;
mod workload;

use arguments::Arguments;
use rows::Bench;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    process::raise_descriptor_limit()?;
    let bench = Bench::prepare(&arguments)?;
    for row in &arguments.rows {
        bench.run(*row)?;
    }
    println!("\nRow 7, concurrent twin patches, has a bench of its own: cargo bench -p twins --bench patches");
    println!("Row 6, the event log alone: cargo bench -p event-log --bench append");
    Ok(())
}
