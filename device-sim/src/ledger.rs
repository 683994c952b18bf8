//! The ledger: one line for each acknowledged message, written after its acknowledgement came.
//!
//! ```text
//! device \t running number from 1 \t SHA-256 of the body in lower-case hexadecimal \n
//! ```
//!
//! One task owns the file and the acknowledgement times; devices send it what was acknowledged.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use model::DeviceId;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::latency::Latencies;

/// Acknowledgements on their way to the ledger. Full, it holds the devices back.
const QUEUE_LENGTH: usize = 4096;
/// Lines written before they are flushed together.
const BATCH_LENGTH: usize = 512;

/// SHA-256 of a body.
pub(crate) type BodyHash = [u8; 32];

/// The SHA-256 of `body`.
pub(crate) fn hash(body: &[u8]) -> BodyHash {
    let mut hash = BodyHash::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    hash
}

/// A message that the hub has acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) device: DeviceId,
    pub(crate) number: u64,
    pub(crate) body: BodyHash,
    /// From sending it, the last time, to its acknowledgement.
    pub(crate) after: Duration,
}

/// A ledger that cannot be written.
#[derive(Debug, Error)]
#[error("the ledger {} cannot be written", path.display())]
pub(crate) struct LedgerError {
    path: PathBuf,
    source: io::Error,
}

/// The task that keeps the ledger.
#[derive(Debug)]
pub(crate) struct LedgerKeeper {
    path: Option<PathBuf>,
    file: Option<io::BufWriter<std::fs::File>>,
    queue: mpsc::Receiver<Acknowledged>,
}

impl LedgerKeeper {
    /// Opens the ledger to append to, if one is wanted.
    pub(crate) fn open(path: Option<&Path>) -> Result<(Self, mpsc::Sender<Acknowledged>), LedgerError> {
        let file = match path {
            None => None,
            Some(path) => {
                let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
                Some(io::BufWriter::new(opened.map_err(|source| LedgerError { path: path.to_owned(), source })?))
            }
        };
        let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
        Ok((Self { path: path.map(Path::to_owned), file, queue }, sender))
    }

    /// Writes what arrives until every device has ended, flushing after each batch; syncs at the
    /// end and gives back the acknowledgement times.
    pub(crate) async fn keep(mut self) -> Result<Latencies, LedgerError> {
        let mut latencies = Latencies::default();
        let mut batch = Vec::with_capacity(BATCH_LENGTH);
        while self.queue.recv_many(&mut batch, BATCH_LENGTH).await > 0 {
            for acknowledged in &batch {
                latencies.record(acknowledged.after);
            }
            self.write(&batch)?;
            batch.clear();
        }
        self.sync()?;
        Ok(latencies)
    }

    fn write(&mut self, batch: &[Acknowledged]) -> Result<(), LedgerError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let lines: String = batch.iter().map(line).collect();
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.flush());
        written.map_err(|source| self.failed(source))
    }

    fn sync(&self) -> Result<(), LedgerError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.get_ref().sync_all().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError { path: self.path.clone().unwrap_or_default(), source }
    }
}

fn line(acknowledged: &Acknowledged) -> String {
    format!("{}\t{}\t{}\n", acknowledged.device, acknowledged.number, hexadecimal(&acknowledged.body))
}

fn hexadecimal(hash: &BodyHash) -> String {
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerLine {
    pub(crate) device: String,
    pub(crate) number: u64,
    pub(crate) body: BodyHash,
}

/// A ledger that cannot be read.
#[derive(Debug, Error)]
pub(crate) enum UnreadableLedger {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {0} is not device, number and SHA-256 separated by tabs")]
    Line(usize),
}

/// Reads a ledger. A last line without its end was being written when the writer was killed and
/// does not count.
pub(crate) fn read(mut reader: impl BufRead) -> Result<Vec<LedgerLine>, UnreadableLedger> {
    let mut lines = Vec::new();
    let mut text = String::new();
    while reader.read_line(&mut text)? > 0 {
        if let Some(line) = text.strip_suffix('\n') {
            lines.push(parse(line).ok_or(UnreadableLedger::Line(lines.len() + 1))?);
        }
        text.clear();
    }
    Ok(lines)
}

fn parse(line: &str) -> Option<LedgerLine> {
    let mut fields = line.split('\t');
    let (device, number, hash) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || device.is_empty() {
        return None;
    }
    Some(LedgerLine { device: device.to_owned(), number: number.parse().ok()?, body: parse_hash(hash)? })
}

fn parse_hash(text: &str) -> Option<BodyHash> {
    match text.parse::<model::Thumbprint>() {
        Ok(model::Thumbprint::Sha256(hash)) => Some(hash),
        Ok(model::Thumbprint::Sha1(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn acknowledged(number: u64, body: &[u8]) -> Acknowledged {
        Acknowledged { device: "d1".parse().expect("an id"), number, body: hash(body), after: Duration::from_millis(3) }
    }

    #[test]
    fn a_line_is_device_number_and_hash() {
        assert_eq!(line(&acknowledged(7, b"")), format!("d1\t7\t{EMPTY_SHA256}\n"));
    }

    #[tokio::test]
    async fn a_ledger_reads_back_as_it_was_written_and_is_appended_to() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger");
        for number in 1..=2 {
            let (keeper, sender) = LedgerKeeper::open(Some(&path)).expect("opened");
            sender.send(acknowledged(number, b"body")).await.expect("taken");
            drop(sender);
            let latencies = keeper.keep().await.expect("kept");
            assert!(latencies.quantile(0.5).is_some());
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let lines = read(text.as_bytes()).expect("a ledger");
        let expected = |number| LedgerLine { device: "d1".into(), number, body: hash(b"body") };
        assert_eq!(lines, [expected(1), expected(2)]);
    }

    #[test]
    fn a_torn_last_line_does_not_count_and_a_broken_one_is_named() {
        let whole = format!("d1\t1\t{EMPTY_SHA256}\n");
        assert_eq!(read(format!("{whole}d1\t2\te3b0").as_bytes()).expect("a ledger").len(), 1);
        for broken in ["d1\tx\tab\n", "d1\t1\n", "\n", &format!("d1\t1\t{EMPTY_SHA256}\tx\n")] {
            let error = read(format!("{whole}{broken}").as_bytes()).expect_err(broken);
            assert!(matches!(error, UnreadableLedger::Line(2)), "{error}");
        }
    }
}
