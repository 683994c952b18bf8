//! `device-sim`, a fleet of simulated sensors that speaks to the hub as real devices do.

mod args;
mod claim;
mod device;
mod enrol;
mod fleet;
mod latency;
mod ledger;
mod outbox;
mod replay;
mod report;
mod scenario;
mod sensor;
mod transport;
mod units;
mod verify;

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use args::{Arguments, Format, Run, Verb};
use claim::ClaimError;
use clap::Parser;
use enrol::EnrolError;
use fleet::Plan;
use hubctl::ClientError;
use model::Clock;
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use verify::{Comparison, Verdict};

/// Messages stayed unacknowledged, or were not found; or the hub refused.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_REACHABLE: u8 = 3;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rumqttc=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match Arguments::parse().verb {
        Verb::Run(run) => run_fleet(&run),
        Verb::Verify { ledger, output } => verify(&ledger, output),
    };
    match outcome {
        Ok(code) => code,
        Err((code, error)) => {
            // With the standard error output gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "device-sim: {error:#}");
            ExitCode::from(code)
        }
    }
}

type Outcome = Result<ExitCode, (u8, anyhow::Error)>;

fn run_fleet(run: &Run) -> Outcome {
    let plan = Plan::read(run).map_err(|error| (USAGE, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| (FAILED, error.into()))?;
    let report = runtime.block_on(fleet::run(run, plan, &Clock::system())).map_err(|error| (code(&error), error))?;
    print(run.output, &report).map_err(|error| (FAILED, error))?;
    if report.unacknowledged() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err((FAILED, anyhow::anyhow!("{} messages stayed unacknowledged", report.unacknowledged())))
}

fn code(error: &anyhow::Error) -> u8 {
    if let Some(ClaimError::Taken { .. }) = error.downcast_ref() {
        return USAGE;
    }
    match error.downcast_ref::<EnrolError>() {
        Some(EnrolError::NotRunning { .. } | EnrolError::Client(ClientError::Unreachable { .. } | ClientError::Lost { .. })) => {
            NOT_REACHABLE
        }
        Some(EnrolError::NoHub { .. } | EnrolError::Connect(_) | EnrolError::File { .. }) => USAGE,
        Some(
            EnrolError::Client(ClientError::Refused(_) | ClientError::Unintelligible { .. })
            | EnrolError::Issue(_)
            | EnrolError::Tls(_)
            | EnrolError::Refused { .. }
            | EnrolError::CutOff,
        )
        | None => FAILED,
    }
}

fn verify(ledger: &Path, output: Format) -> Outcome {
    let verdict = compare(ledger).map_err(|error| (USAGE, error))?;
    print(output, &verdict).map_err(|error| (FAILED, error))?;
    Ok(if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn compare(ledger: &Path) -> anyhow::Result<Verdict> {
    let name = || ledger.display().to_string();
    let file = File::open(ledger).with_context(name)?;
    let mut comparison = Comparison::new(ledger::read(BufReader::new(file)).with_context(name)?);
    comparison.read(std::io::stdin().lock())?;
    Ok(comparison.verdict())
}

fn print(format: Format, result: &(impl Serialize + Display)) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match format {
        Format::Json => writeln!(stdout, "{}", serde_json::to_string_pretty(result)?)?,
        Format::Table => write!(stdout, "{result}")?,
    }
    Ok(())
}
