//! `hubctl`, the operator's command line: parse, ask the hub, print.

mod args;
mod command;
mod exit;
mod output;

use std::io::Write;
use std::process::ExitCode;

use args::Arguments;
use clap::Parser;
use exit::Failure;
use model::Clock;
use output::Output;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::standard(arguments.global.output);
    let listing = arguments.noun.listing();
    match command::run(arguments, output, Clock::system()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_output() => ExitCode::SUCCESS,
        Err(failure) => {
            explain(&failure, listing);
            failure.exit_code()
        }
    }
}

/// With the standard error output gone there is nobody left to tell.
fn explain(failure: &Failure, listing: Option<&'static str>) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "hubctl: {}", output::without_controls(&failure.to_string()));
    if let Some(hint) = failure.hint(listing) {
        let _ = writeln!(stderr, "  {hint}");
    }
}
