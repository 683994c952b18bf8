//! `isthmus log`: looks into the files of an event log that no hub has open, and changes nothing.
//!
//! Names of event hubs are in the database, which this leaves alone: hubs appear by number.

mod dump;
mod verify;

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use event_log::{InspectError, InspectedBatch, LogReport, ReadOnlyDisk, Selection, inspect};

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

/// Runs the command; what was asked for goes to `out`, what is wrong with it to `faults`.
///
/// # Errors
/// There is no log, a hub has it open, or a file cannot be read.
pub(crate) fn run(command: &LogCommand, out: &mut dyn io::Write, faults: &mut dyn io::Write) -> Result<Verdict, InspectError> {
    match command {
        LogCommand::Verify(verify) => {
            let report = look(&verify.log.directory, Selection::default(), &mut |_| ControlFlow::Continue(()))?;
            // Nobody is left to tell when the report cannot be printed; the exit code still does.
            let _ = match verify.log.output {
                OutputFormat::Text => verify::write_text(&report, out),
                OutputFormat::Json => verify::write_json(&report, out),
            };
            Ok(verdict(&report))
        }
        LogCommand::Dump(dump) => {
            let mut dumper = dump::Dumper::new(dump.log.output, out);
            let report = look(&dump.log.directory, dump.selection(), &mut |found| dumper.show(&found))?;
            let is_decoded = dumper.finish(&report, faults);
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
