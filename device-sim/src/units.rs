//! Quantities on the command line: how often, how fast, how long.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// The shortest and longest time between two messages of a device.
pub(crate) const INTERVAL: std::ops::RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_secs(24 * 3600);

/// How often a device sends: `1/s`, `30/m`, `0.5/s`, `4/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// From one message to the next.
    pub(crate) interval: Duration,
}

/// A text that is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a rate like 1/s, 30/m or 0.5/s, from one a day to 10000/s")]
pub(crate) struct InvalidRate(String);

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let seconds = match unit {
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            interval(seconds / positive(count)?)
        };
        read().map(|interval| Self { interval }).ok_or_else(|| InvalidRate(text.to_owned()))
    }
}

/// A sampling interval of so many seconds, if it lies within [`INTERVAL`].
pub(crate) fn interval(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|interval| INTERVAL.contains(interval))
}

fn positive(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0)
}

/// How fast a recording is played: `60x`, `0.5x` or `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as it was recorded.
    Times(f64),
    /// As fast as it can be sent; times do not count.
    Max,
}

/// A text that is not a speed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a speed like 1x, 60x or max")]
pub(crate) struct InvalidSpeed(String);

impl FromStr for Speed {
    type Err = InvalidSpeed;

    fn from_str(text: &str) -> Result<Self, InvalidSpeed> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.strip_suffix('x').and_then(positive);
        times.map(Self::Times).ok_or_else(|| InvalidSpeed(text.to_owned()))
    }
}

/// Reads a duration like `60s` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; a duration looks like 60s, 5m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_intervals() {
        let check = |text: &str, milliseconds: Option<u64>| {
            let interval = text.parse::<Rate>().ok().map(|rate| rate.interval);
            assert_eq!(interval, milliseconds.map(Duration::from_millis), "{text}");
        };
        check("1/s", Some(1000));
        check("10/s", Some(100));
        check("30/m", Some(2000));
        check("0.5/s", Some(2000));
        check("4/h", Some(900_000));
        for bad in ["", "1", "s", "1/", "/s", "0/s", "-1/s", "1/d", "inf/s", "NaN/s", "1e9/s", "1/s/s", "1e-300/s"] {
            check(bad, None);
        }
    }

    #[test]
    fn speeds_are_a_factor_or_none() {
        let check = |text: &str, speed: Option<Speed>| assert_eq!(text.parse::<Speed>().ok(), speed, "{text}");
        check("60x", Some(Speed::Times(60.0)));
        check("0.5x", Some(Speed::Times(0.5)));
        check("max", Some(Speed::Max));
        for bad in ["", "x", "60", "0x", "-1x", "infx", "MAX", "60xx"] {
            check(bad, None);
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(duration("60").is_err());
        assert!(duration("soon").is_err());
    }
}
