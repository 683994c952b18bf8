//! `[commands]`: how long commands, dead letters and feedback live and how many there may be.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::limits::{COMMAND_DELIVERY_COUNT, COMMAND_EXPIRY, COMMAND_LOCK_TIME, COMMAND_QUEUE_DEPTH, DEAD_LETTERS};
use serde::de::DeserializeOwned;
use twins::{CommandSettings, FeedbackSettings};

use super::faults::{Faults, Keys};
use super::units::Span;

pub(super) fn read(keys: &mut Keys, faults: &mut Faults) -> CommandSettings {
    let default = CommandSettings::default();
    CommandSettings {
        queue_depth: within(keys, "queue_depth", default.queue_depth, &COMMAND_QUEUE_DEPTH, " commands", faults),
        expiry_default: time(keys, "expiry", default.expiry_default, &COMMAND_EXPIRY, faults),
        delivery_count_max: within(keys, "delivery_count_max", default.delivery_count_max, &COMMAND_DELIVERY_COUNT, " deliveries", faults),
        lock: time(keys, "lock", default.lock, &COMMAND_LOCK_TIME, faults),
        dead_letters_max: within(keys, "dead_letters_max", default.dead_letters_max, &DEAD_LETTERS, " dead letters", faults),
        feedback: keys.section("feedback", faults, read_feedback),
    }
}

fn read_feedback(keys: &mut Keys, faults: &mut Faults) -> FeedbackSettings {
    let default = FeedbackSettings::default();
    FeedbackSettings {
        expiry: time(keys, "expiry", default.expiry, &COMMAND_EXPIRY, faults),
        delivery_count_max: within(keys, "delivery_count_max", default.delivery_count_max, &COMMAND_DELIVERY_COUNT, " deliveries", faults),
        lock: time(keys, "lock", default.lock, &COMMAND_LOCK_TIME, faults),
    }
}

fn time(keys: &mut Keys, key: &'static str, default: Duration, bounds: &RangeInclusive<Duration>, faults: &mut Faults) -> Duration {
    within(keys, key, Span(default), &(Span(*bounds.start())..=Span(*bounds.end())), "", faults).0
}

/// A value within bounds that are said when it is not, with what is counted by it; spans say their
/// own unit.
fn within<T>(keys: &mut Keys, key: &'static str, default: T, bounds: &RangeInclusive<T>, unit: &str, faults: &mut Faults) -> T
where
    T: DeserializeOwned + PartialOrd + fmt::Display,
{
    let value = keys.take_or(key, default, faults);
    if !bounds.contains(&value) {
        faults.add(keys.path_of(key), format_args!("must lie between {} and {}{unit}, not {value}", bounds.start(), bounds.end()));
    }
    value
}
