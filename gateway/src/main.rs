//! The process: reads its arguments, starts the runtime, and alone decides when to exit.
//!
//! The map of this crate: [`serve`] starts and stops the hub, [`server_certificate`] and [`policies`]
//! keep it at what its operator wrote, [`listener`] accepts, [`mqtt`],
//! [`https`] and [`kafka`] drive one connection each, [`auth`] admits, [`telemetry`], [`methods`],
//! [`twin_sync`], [`commands`] and [`command_sweep`] are what a device and its operator do,
//! [`device_https`] is what devices ask over HTTPS, [`event_hubs`] is where events go,
//! [`operator`] is the service API, [`files`] is what devices upload and [`blob_service`] the
//! protocol they do it by. Wire codes live in each protocol's folder only; domain crates never see
//! a packet.

mod args;
mod auth;
mod blob_service;
mod command_sweep;
mod commands;
mod config;
mod data_dir;
mod dev;
mod device_https;
mod drain;
mod event_codec;
mod event_hubs;
mod files;
mod groups;
mod https;
mod hub;
mod kafka;
mod listener;
mod log_files;
mod methods;
mod mqtt;
mod observe;
mod operator;
mod policies;
mod ports;
mod presence;
mod serve;
mod server_certificate;
mod signals;
mod telemetry;
mod twin_sync;

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use event_log::InspectError;
use model::Clock;

use crate::args::{Arguments, CheckArguments, Command, LogCommand, LogFormat};
use crate::config::ConfigError;
use crate::log_files::{LookError, Verdict};
use crate::serve::{StartError, Stop};

/// A wrong command line, or a configuration with faults (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// The hub could not start, or failed.
const EXIT_FAILURE: u8 = 1;
/// SIGTERM or SIGINT ended the hub while it was still stopping.
const EXIT_HURRIED: u8 = 130;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    match &arguments.command {
        Command::Check(check) => check_configuration(check),
        Command::Log(command) => look_into_log(command),
        Command::Dev(dev) => run(dev.start.log_format, serve::dev(dev, Clock::system())),
        Command::Serve(serve) => run(serve.start.log_format, serve::serve(serve, Clock::system())),
    }
}

/// Prints help, or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    // There is nobody left to tell when this cannot be printed.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the report is what this command is for")]
fn check_configuration(arguments: &CheckArguments) -> ExitCode {
    match config::load(&arguments.config, &[], Clock::system().now()) {
        Ok(_) => {
            println!("{} has no fault", arguments.config.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", with_causes(&error));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Looks into a log's files.
#[expect(clippy::print_stderr, reason = "the answer is what this command is for")]
fn look_into_log(command: &LogCommand) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match log_files::run(command, &mut out, &mut std::io::stderr()) {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged) => ExitCode::from(EXIT_FAILURE),
        Err(error) => {
            eprintln!("isthmus: {}", with_causes(&error));
            match error {
                LookError::Inspect(InspectError::InUse { .. } | InspectError::NoLog { .. })
                | LookError::UnknownHub { .. }
                | LookError::UnknownNumber { .. }
                | LookError::UnknownPartition { .. }
                | LookError::NoNames { .. } => ExitCode::from(EXIT_USAGE),
                LookError::Inspect(InspectError::File(_)) => ExitCode::from(EXIT_FAILURE),
            }
        }
    }
}

/// Runs a hub to its end.
#[expect(clippy::print_stderr, reason = "logging is not for the answer to a command")]
fn run(format: LogFormat, hub: impl Future<Output = Result<Stop, StartError>>) -> ExitCode {
    observe::log_to_stderr(format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("isthmus: cannot start the runtime: {error}");
            return ExitCode::from(EXIT_FAILURE);
        }
    };
    let outcome = runtime.block_on(hub);
    // What was to be waited for has been.
    runtime.shutdown_background();
    match outcome {
        Ok(Stop::Drained) => ExitCode::SUCCESS,
        Ok(Stop::Hurried) => ExitCode::from(EXIT_HURRIED),
        Err(error) => {
            eprintln!("isthmus: {}", with_causes(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

fn exit_code(error: &StartError) -> u8 {
    match error {
        StartError::Config(ConfigError::Read { .. } | ConfigError::Faulty { .. }) => EXIT_USAGE,
        StartError::DataDir(_)
        | StartError::Dev(_)
        | StartError::Bind(_)
        | StartError::System(_)
        | StartError::ServerIdentity(_)
        | StartError::Tls(_)
        | StartError::Hub(_)
        | StartError::Policies(_)
        | StartError::EventHub { .. }
        | StartError::Ports(_) => EXIT_FAILURE,
    }
}

/// The error and everything that caused it, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
