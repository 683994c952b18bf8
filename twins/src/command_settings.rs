//! How long commands and feedback live and how many there may be.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::limits::{
    COMMAND_DELIVERY_COUNT, COMMAND_DELIVERY_COUNT_MAX, COMMAND_EXPIRY, COMMAND_EXPIRY_DEFAULT, COMMAND_LOCK, COMMAND_LOCK_TIME,
    COMMAND_QUEUE_DEPTH, COMMAND_QUEUE_DEPTH_MAX, DEAD_LETTERS, DEAD_LETTERS_MAX,
};
use thiserror::Error;

/// Settings of command queues. `Default` is what the service documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// Commands that may wait for one identity, handed out or not: 50; 1 to 10,000.
    pub queue_depth: usize,
    /// A command's life unless its sender sets one: an hour; a minute to two days.
    pub expiry_default: Duration,
    /// The abandonment that dead-letters: the 10th; 1 to 100.
    pub delivery_count_max: u32,
    /// How long a command handed to a reader that polls stays invisible to others: 60 s; 5 to
    /// 300 s. What a connection was handed is its own until it ends.
    pub lock: Duration,
    /// Dead letters kept of one identity, of more the oldest go: 100; 0 to 10,000.
    pub dead_letters_max: usize,
    /// Those of feedback.
    pub feedback: FeedbackSettings,
}

/// Settings of feedback messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackSettings {
    /// A feedback message's life: an hour; a minute to two days.
    pub expiry: Duration,
    /// The abandonment that drops it: the 10th; 1 to 100.
    pub delivery_count_max: u32,
    /// How long one handed to a reader stays invisible to others: 60 s; 5 to 300 s.
    pub lock: Duration,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            queue_depth: COMMAND_QUEUE_DEPTH_MAX,
            expiry_default: COMMAND_EXPIRY_DEFAULT,
            delivery_count_max: COMMAND_DELIVERY_COUNT_MAX,
            lock: COMMAND_LOCK,
            dead_letters_max: DEAD_LETTERS_MAX,
            feedback: FeedbackSettings::default(),
        }
    }
}

impl Default for FeedbackSettings {
    fn default() -> Self {
        Self { expiry: COMMAND_EXPIRY_DEFAULT, delivery_count_max: COMMAND_DELIVERY_COUNT_MAX, lock: COMMAND_LOCK }
    }
}

/// A setting out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} must be between {least} and {most}, not {found}")]
pub struct InvalidCommandSetting {
    /// The setting, as a path of field names: `feedback.lock`.
    pub setting: &'static str,
    /// The least it may be; a time with its unit.
    pub least: String,
    /// The most it may be, with its unit.
    pub most: String,
    /// What it is; a time with its unit.
    pub found: String,
}

impl CommandSettings {
    /// Every setting that is out of bounds; none when all are fit for use.
    pub fn faults(&self) -> Vec<InvalidCommandSetting> {
        let Self { queue_depth, expiry_default, delivery_count_max, lock, dead_letters_max, feedback } = self;
        let FeedbackSettings { expiry, delivery_count_max: feedback_delivery_count_max, lock: feedback_lock } = feedback;
        let faults = [
            fault("queue_depth", queue_depth, &COMMAND_QUEUE_DEPTH, "commands"),
            time_fault("expiry_default", *expiry_default, &COMMAND_EXPIRY),
            fault("delivery_count_max", delivery_count_max, &COMMAND_DELIVERY_COUNT, "deliveries"),
            time_fault("lock", *lock, &COMMAND_LOCK_TIME),
            fault("dead_letters_max", dead_letters_max, &DEAD_LETTERS, "dead letters"),
            time_fault("feedback.expiry", *expiry, &COMMAND_EXPIRY),
            fault("feedback.delivery_count_max", feedback_delivery_count_max, &COMMAND_DELIVERY_COUNT, "deliveries"),
            time_fault("feedback.lock", *feedback_lock, &COMMAND_LOCK_TIME),
        ];
        faults.into_iter().flatten().collect()
    }
}

fn fault<T: PartialOrd + fmt::Display>(
    setting: &'static str,
    found: &T,
    range: &RangeInclusive<T>,
    unit: &str,
) -> Option<InvalidCommandSetting> {
    let (least, most, shown) = (range.start().to_string(), format!("{} {unit}", range.end()), found.to_string());
    (!range.contains(found)).then_some(InvalidCommandSetting { setting, least, most, found: shown })
}

fn time_fault(setting: &'static str, found: Duration, range: &RangeInclusive<Duration>) -> Option<InvalidCommandSetting> {
    let seconds = |duration: &Duration| format!("{} s", duration.as_secs_f64());
    let [least, most, shown] = [range.start(), range.end(), &found].map(seconds);
    (!range.contains(&found)).then_some(InvalidCommandSetting { setting, least, most, found: shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_settings_are_fit_for_use() {
        assert_eq!(CommandSettings::default().faults(), []);
    }

    #[test]
    fn each_setting_is_held_to_its_bounds_and_every_fault_is_named() {
        let seconds = Duration::from_secs;
        let settings = |depth, count, letters, expiry, lock| CommandSettings {
            queue_depth: depth,
            expiry_default: expiry,
            delivery_count_max: count,
            lock,
            dead_letters_max: letters,
            feedback: FeedbackSettings { expiry, delivery_count_max: count, lock },
        };
        assert_eq!(settings(1, 1, 0, seconds(60), seconds(5)).faults(), []);
        assert_eq!(settings(10_000, 100, 10_000, seconds(172_800), seconds(300)).faults(), []);
        let low = settings(0, 0, 0, seconds(59), Duration::from_millis(4999)).faults();
        let names: Vec<_> = low.iter().map(|fault| fault.setting).collect();
        let all_but_letters = [
            "queue_depth",
            "expiry_default",
            "delivery_count_max",
            "lock",
            "feedback.expiry",
            "feedback.delivery_count_max",
            "feedback.lock",
        ];
        assert_eq!(names, all_but_letters);
        assert_eq!(low[0].to_string(), "queue_depth must be between 1 and 10000 commands, not 0");
        assert_eq!(low[3].to_string(), "lock must be between 5 s and 300 s, not 4.999 s");
        assert_eq!(settings(10_001, 101, 10_001, seconds(172_801), seconds(301)).faults().len(), 8);
    }
}
