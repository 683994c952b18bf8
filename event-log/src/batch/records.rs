//! Checking records as they come, in little memory: nothing of a record is kept.

use std::io::{self, BufRead};

use thiserror::Error;

use super::varint;
use crate::codec::DecompressError;

/// Kafka's mark for a record without a time.
const NO_TIMESTAMP: i64 = -1;

/// Why records are not what their batch's header says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum RecordsError {
    #[error(transparent)]
    Decompress(DecompressError),
    #[error("record {index} is malformed")]
    Malformed { index: u32 },
    #[error("record {index} has timestamp {timestamp}")]
    Timestamp { index: u32, timestamp: i64 },
    #[error("{count} records are followed by more")]
    Uncounted { count: u32 },
}

/// Why reading a record stopped.
enum Stop {
    /// The input itself failed.
    Input(io::Error),
    /// It ended, or holds what no record does.
    Malformed,
    Timestamp(i64),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}

impl Stop {
    fn of_record(self, index: u32) -> RecordsError {
        match self {
            Self::Input(error) => RecordsError::Decompress(DecompressError::from_io(&error)),
            Self::Malformed => RecordsError::Malformed { index },
            Self::Timestamp(timestamp) => RecordsError::Timestamp { index, timestamp },
        }
    }
}

/// Checks that `input` holds exactly `count` well-formed records with offset deltas 0, 1, 2 …;
/// returns the largest of their timestamps.
pub(super) fn check_records(input: &mut impl BufRead, count: u32, base_timestamp: i64) -> Result<i64, RecordsError> {
    let mut max_timestamp = NO_TIMESTAMP;
    for index in 0..count {
        let timestamp = check_record(input, index, base_timestamp).map_err(|stop| stop.of_record(index))?;
        max_timestamp = max_timestamp.max(timestamp);
    }
    let rest = input.fill_buf().map_err(|error| Stop::from(error).of_record(count))?;
    if rest.is_empty() { Ok(max_timestamp) } else { Err(RecordsError::Uncounted { count }) }
}

/// Returns the record's timestamp.
fn check_record(input: &mut impl BufRead, index: u32, base_timestamp: i64) -> Result<i64, Stop> {
    let length = take_int(input, &mut { usize::MAX })?;
    let mut left = usize::try_from(length).map_err(|_| Stop::Malformed)?;
    take_byte(input, &mut left)?;
    let timestamp = base_timestamp.checked_add(take_long(input, &mut left)?).ok_or(Stop::Malformed)?;
    if timestamp < NO_TIMESTAMP {
        return Err(Stop::Timestamp(timestamp));
    }
    if i64::from(take_int(input, &mut left)?) != i64::from(index) {
        return Err(Stop::Malformed);
    }
    skip_nullable(input, &mut left)?;
    skip_nullable(input, &mut left)?;
    let headers = take_int(input, &mut left)?;
    // Each takes two bytes at least, so a lying count ends soon.
    for _ in 0..u32::try_from(headers).map_err(|_| Stop::Malformed)? {
        let name = take_int(input, &mut left)?;
        check_utf8(input, &mut left, usize::try_from(name).map_err(|_| Stop::Malformed)?)?;
        skip_nullable(input, &mut left)?;
    }
    if left == 0 { Ok(timestamp) } else { Err(Stop::Malformed) }
}

/// Takes a byte out of the `left` ones of the record.
fn take_byte(input: &mut impl BufRead, left: &mut usize) -> Result<u8, Stop> {
    let byte = input.fill_buf()?.first().copied().ok_or(Stop::Malformed)?;
    *left = left.checked_sub(1).ok_or(Stop::Malformed)?;
    input.consume(1);
    Ok(byte)
}

fn take_int(input: &mut impl BufRead, left: &mut usize) -> Result<i32, Stop> {
    let value = take_varint(input, left, varint::INT_BYTES_MAX)?;
    i32::try_from(value).map_err(|_| Stop::Malformed)
}

fn take_long(input: &mut impl BufRead, left: &mut usize) -> Result<i64, Stop> {
    take_varint(input, left, varint::LONG_BYTES_MAX)
}

fn take_varint(input: &mut impl BufRead, left: &mut usize, bytes_max: usize) -> Result<i64, Stop> {
    let mut bytes = [0_u8; varint::LONG_BYTES_MAX];
    for length in 1..=bytes_max {
        let byte = take_byte(input, left)?;
        let slots = bytes.get_mut(..length).ok_or(Stop::Malformed)?;
        if let Some(slot) = slots.last_mut() {
            *slot = byte;
        }
        if byte & 0x80 == 0 {
            return varint::take(&mut &*slots).ok_or(Stop::Malformed);
        }
    }
    Err(Stop::Malformed)
}

/// Passes over a key or value: a length, -1 for null, and so many bytes.
fn skip_nullable(input: &mut impl BufRead, left: &mut usize) -> Result<(), Stop> {
    match take_int(input, left)? {
        -1 => Ok(()),
        length => skip(input, left, usize::try_from(length).map_err(|_| Stop::Malformed)?),
    }
}

fn skip(input: &mut impl BufRead, left: &mut usize, mut length: usize) -> Result<(), Stop> {
    *left = left.checked_sub(length).ok_or(Stop::Malformed)?;
    while length > 0 {
        let there = input.fill_buf()?.len().min(length);
        if there == 0 {
            return Err(Stop::Malformed);
        }
        input.consume(there);
        length -= there;
    }
    Ok(())
}

/// Passes over a text, which may lie across pieces of the input, and so may its characters.
fn check_utf8(input: &mut impl BufRead, left: &mut usize, length: usize) -> Result<(), Stop> {
    *left = left.checked_sub(length).ok_or(Stop::Malformed)?;
    let mut left = length;
    while left > 0 {
        let buffer = input.fill_buf()?;
        let whole = whole_characters(buffer.get(..left).unwrap_or(buffer))?;
        if whole == 0 {
            take_character(input, &mut left)?;
        } else {
            input.consume(whole);
            left -= whole;
        }
    }
    Ok(())
}

/// Bytes of the characters that do not reach beyond the end of `piece`.
fn whole_characters(piece: &[u8]) -> Result<usize, Stop> {
    match std::str::from_utf8(piece) {
        Ok(_) => Ok(piece.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(Stop::Malformed),
    }
}

fn take_character(input: &mut impl BufRead, left: &mut usize) -> Result<(), Stop> {
    let mut bytes = Vec::with_capacity(4);
    while bytes.len() < 4 {
        bytes.push(take_byte(input, left)?);
        if std::str::from_utf8(&bytes).is_ok() {
            return Ok(());
        }
    }
    Err(Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    /// Reads `bytes` in pieces of `piece` bytes.
    fn check_name(bytes: &[u8], piece: usize) -> bool {
        let mut left = bytes.len();
        check_utf8(&mut BufReader::with_capacity(piece, bytes), &mut left, bytes.len()).is_ok()
    }

    proptest! {
        #[test]
        fn names_are_judged_the_same_however_the_input_is_cut(text: String, noise in prop::collection::vec(any::<u8>(), 0..6), piece in 1_usize..9) {
            let mut bytes = text.into_bytes();
            bytes.extend_from_slice(&noise);
            prop_assert_eq!(check_name(&bytes, piece), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
