//! A recording as messages: one a row, in file order.
//!
//! The body is compact JSON with every column but the device column, in file order, named by the
//! header. A cell that is a JSON number is copied as it stands, anything else becomes a string.

mod number;
mod play;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use csv::StringRecord;
use model::limits::TELEMETRY_BYTES_MAX;
use model::{DeviceId, Timestamp};
use thiserror::Error;

use crate::units::Speed;
pub(crate) use play::play;

/// Room for the properties of a message beside its body.
const BODY_BYTES_MAX: usize = TELEMETRY_BYTES_MAX - 1024;

/// Which columns mean something, and how fast to play.
#[derive(Debug, Clone)]
pub(crate) struct ReplayOptions {
    pub(crate) path: PathBuf,
    /// The device column; without one every row is of `single_device`.
    pub(crate) device_column: Option<String>,
    pub(crate) single_device: DeviceId,
    pub(crate) time_column: Option<String>,
    pub(crate) speed: Speed,
}

/// Why a recording cannot be played.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    #[error("the recording {} cannot be read", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{} has no column {column:?}; it has {}", path.display(), columns.join(", "))]
    Column { path: PathBuf, column: String, columns: Vec<String> },
    #[error("{} has two columns {column:?}", path.display())]
    ColumnTwice { path: PathBuf, column: String },
    #[error("{} row {row}: {device:?} is not a device id", path.display())]
    Device { path: PathBuf, row: u64, device: String, source: model::InvalidId },
    #[error("{} row {row}: {time:?} is not a time like 2026-01-31 12:00:00 or seconds since 1970", path.display())]
    Time { path: PathBuf, row: u64, time: String },
    #[error("{} row {row}: a message of {bytes} bytes is too large", path.display())]
    TooLarge { path: PathBuf, row: u64, bytes: usize },
    #[error("{} has no rows", path.display())]
    Empty { path: PathBuf },
    #[error("--speed 1x and 60x need --time-column; --speed max does not")]
    NoTimeColumn,
}

/// A recording that was read through once: every row of it can be played.
#[derive(Debug)]
pub(crate) struct Recording {
    options: ReplayOptions,
    columns: Columns,
    /// The devices in the order of their ids.
    pub(crate) devices: Vec<DeviceId>,
}

/// A row as a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Index into [`Recording::devices`].
    pub(crate) device: usize,
    pub(crate) body: Bytes,
    /// None when times do not count.
    pub(crate) time: Option<Timestamp>,
}

impl Recording {
    /// Opens and checks a recording, all of it.
    pub(crate) fn open(options: ReplayOptions) -> Result<Self, ReplayError> {
        if options.time_column.is_none() && options.speed != Speed::Max {
            return Err(ReplayError::NoTimeColumn);
        }
        let mut reader = reader(&options.path)?;
        let headers = reader.headers().map_err(|source| csv_error(&options.path, source))?.clone();
        let columns = Columns::find(&options, &headers)?;
        let mut devices = BTreeSet::new();
        let mut rows = 0;
        for record in reader.records() {
            rows += 1;
            let record = record.map_err(|source| csv_error(&options.path, source))?;
            devices.insert(columns.device(&options, rows, &record)?);
            columns.time(&options, rows, &record)?;
            columns.body(&options.path, rows, &record)?;
        }
        if rows == 0 {
            return Err(ReplayError::Empty { path: options.path });
        }
        Ok(Self { options, columns, devices: devices.into_iter().collect() })
    }

    /// Whether no column says whose a row is.
    pub(crate) fn is_of_one_device(&self) -> bool {
        self.options.device_column.is_none()
    }

    /// Reads it once more, a row at a time.
    fn rows(&self) -> Result<impl Iterator<Item = Result<Row, ReplayError>> + use<'_>, ReplayError> {
        let path = &self.options.path;
        let index: HashMap<&DeviceId, usize> = self.devices.iter().enumerate().map(|(index, device)| (device, index)).collect();
        let records = reader(path)?.into_records().zip(1..);
        Ok(records.filter_map(move |(record, number)| {
            let read = || {
                let record = record.map_err(|source| csv_error(path, source))?;
                let device = self.columns.device(&self.options, number, &record)?;
                let row = |&device: &usize| {
                    let body = self.columns.body(path, number, &record)?;
                    Ok(Row { device, body, time: self.columns.time(&self.options, number, &record)? })
                };
                // A device that was not there at the first reading is not enrolled.
                index.get(&device).map(row).transpose()
            };
            read().transpose()
        }))
    }
}

fn reader(path: &Path) -> Result<csv::Reader<File>, ReplayError> {
    csv::Reader::from_path(path).map_err(|source| csv_error(path, source))
}

fn csv_error(path: &Path, source: csv::Error) -> ReplayError {
    ReplayError::Csv { path: path.to_owned(), source }
}

/// The header, resolved.
#[derive(Debug)]
struct Columns {
    device: Option<usize>,
    time: Option<usize>,
    /// Index and JSON name of each column of the body.
    body: Vec<(usize, String)>,
}

impl Columns {
    fn find(options: &ReplayOptions, headers: &StringRecord) -> Result<Self, ReplayError> {
        let path = &options.path;
        let mut seen = BTreeSet::new();
        if let Some(column) = headers.iter().find(|column| !seen.insert(*column)) {
            return Err(ReplayError::ColumnTwice { path: path.clone(), column: column.to_owned() });
        }
        let find = |column: &Option<String>| match column {
            None => Ok(None),
            Some(column) => match headers.iter().position(|header| header == column) {
                Some(index) => Ok(Some(index)),
                None => Err(ReplayError::Column {
                    path: path.clone(),
                    column: column.clone(),
                    columns: headers.iter().map(str::to_owned).collect(),
                }),
            },
        };
        let (device, time) = (find(&options.device_column)?, find(&options.time_column)?);
        let names = headers.iter().enumerate().filter(|(index, _)| Some(*index) != device);
        Ok(Self { device, time, body: names.map(|(index, name)| (index, json_string(name))).collect() })
    }

    fn device(&self, options: &ReplayOptions, row: u64, record: &StringRecord) -> Result<DeviceId, ReplayError> {
        let Some(index) = self.device else { return Ok(options.single_device.clone()) };
        let device = record.get(index).unwrap_or_default();
        device.parse().map_err(|source| ReplayError::Device { path: options.path.clone(), row, device: device.to_owned(), source })
    }

    fn time(&self, options: &ReplayOptions, row: u64, record: &StringRecord) -> Result<Option<Timestamp>, ReplayError> {
        let (Some(index), Speed::Times(_)) = (self.time, options.speed) else { return Ok(None) };
        let time = record.get(index).unwrap_or_default();
        match parse_time(time) {
            Some(moment) => Ok(Some(moment)),
            None => Err(ReplayError::Time { path: options.path.clone(), row, time: time.to_owned() }),
        }
    }

    fn body(&self, path: &Path, row: u64, record: &StringRecord) -> Result<Bytes, ReplayError> {
        let cells = self.body.iter().map(|(index, name)| (name.as_str(), record.get(*index).unwrap_or_default()));
        let body = Bytes::from(body(cells));
        if body.len() > BODY_BYTES_MAX {
            return Err(ReplayError::TooLarge { path: path.to_owned(), row, bytes: body.len() });
        }
        Ok(body)
    }
}

/// Compact JSON of cells under names that are JSON strings already.
fn body<'a>(cells: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut body = String::from("{");
    for (name, cell) in cells {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(name);
        body.push(':');
        if number::is_json_number(cell) {
            body.push_str(cell);
        } else {
            body.push_str(&json_string(cell));
        }
    }
    body.push('}');
    body
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `2026-01-31T12:00:00Z`, `2026-01-31 12:00:00` (taken as UTC), or seconds since 1970.
fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = Timestamp::parse_rfc3339(text) {
        return Some(moment);
    }
    if let Ok(moment) = Timestamp::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))) {
        return Some(moment);
    }
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?;
    Some(Timestamp::from_milliseconds((seconds * 1000.0) as i64))
}

#[cfg(test)]
mod tests;
