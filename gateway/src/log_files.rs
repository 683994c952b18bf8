//! `isthmus log`: looks into the files of an event log that no hub has open, and changes nothing.
//! Event hubs have their names where the database lies beside the log, and no hub has that open either.

mod dump;
mod names;
mod selected;
mod verify;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use event_log::{InspectError, InspectedBatch, LogReport, ReadOnlyDisk, Selection, inspect};
use model::{EventHubId, EventHubName, PartitionId};
use thiserror::Error;

use self::names::HubNames;
use crate::args::{LogCommand, OutputFormat};

/// Where in a data directory the log is.
const LOG_IN_DATA_DIR: &str = "log";

/// What a look into a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything verifies and nothing is lost.
    Sound,
    /// Something does not verify, or is lost.
    Damaged,
}

/// Why a log is not looked into.
#[derive(Debug, Error)]
pub(crate) enum LookError {
    /// There is none, a hub has it open, or a file cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// No event hub has the name that was given.
    #[error("there is no event hub {name} in {}; it has {known}", database.display())]
    UnknownHub {
        /// The name.
        name: EventHubName,
        /// Where it was looked for.
        database: PathBuf,
        /// Those there are.
        known: String,
    },
    /// No event hub has the number that was given.
    #[error("there is no event hub {} in {}; it has {known}", hub.0, log.display())]
    UnknownNumber {
        /// The number.
        hub: EventHubId,
        /// The log.
        log: PathBuf,
        /// Those there are.
        known: String,
    },
    /// Neither the partition nor one with a higher number has left a trace. The log alone does not tell
    /// one that is not there from one that never had an event.
    #[error("nothing in {} is of partition {partition}, only of {known}", log.display())]
    UnknownPartition {
        /// The partition.
        partition: PartitionId,
        /// The log.
        log: PathBuf,
        /// Those that have.
        known: String,
    },
    /// A name was given where there are numbers alone.
    #[error("without a database beside the log nobody knows which event hub is {name}; give its number, which `isthmus log verify` shows")]
    NoNames {
        /// The name.
        name: EventHubName,
    },
}

/// Runs the command; what was asked for goes to `out`, what is wrong with it to `faults`.
///
/// # Errors
/// [`LookError`]
pub(crate) fn run(command: &LogCommand, out: &mut dyn io::Write, faults: &mut dyn io::Write) -> Result<Verdict, LookError> {
    match command {
        LogCommand::Verify(verify) => {
            let names = HubNames::beside(&verify.log.directory, faults)?;
            let report = look(&verify.log.directory, Selection::default(), &mut |_| ControlFlow::Continue(()))?;
            // Nobody is left to tell when the report cannot be printed; the exit code still does.
            let _ = match verify.log.output {
                OutputFormat::Text => verify::write_text(&report, &names, out),
                OutputFormat::Json => verify::write_json(&report, &names, out),
            };
            Ok(verdict(&report))
        }
        LogCommand::Dump(dump) => {
            let names = HubNames::beside(&dump.log.directory, faults)?;
            let hub = dump.hub.as_ref().map(|which| names.number(which)).transpose()?;
            let mut dumper = dump::Dumper::new(dump.log.output, &names, out);
            let selection = dump.selection(hub);
            let report = look(&dump.log.directory, selection, &mut |found| dumper.show(&found))?;
            let is_decoded = dumper.finish(&report, faults);
            if report.is_sound() && report.partitions.is_empty() {
                selected::check(&dump.log.directory, selection, &names)?;
            }
            Ok(if is_decoded { verdict(&report) } else { Verdict::Damaged })
        }
    }
}

fn verdict(report: &LogReport) -> Verdict {
    if report.is_sound() { Verdict::Sound } else { Verdict::Damaged }
}

/// Looks into the log in `directory`, or in the data directory that this is.
fn look(
    directory: &Path,
    selection: Selection,
    show: &mut dyn FnMut(InspectedBatch<'_>) -> ControlFlow<()>,
) -> Result<LogReport, InspectError> {
    match inspect(directory, &ReadOnlyDisk, selection, show) {
        Err(InspectError::NoLog { directory }) if inner(&directory).is_dir() => inspect(&inner(&directory), &ReadOnlyDisk, selection, show),
        looked => looked,
    }
}

fn inner(data_dir: &Path) -> PathBuf {
    data_dir.join(LOG_IN_DATA_DIR)
}

#[cfg(test)]
mod tests;
