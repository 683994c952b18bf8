//! The deadlines of a connection, in a table.

use std::time::Instant;

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// CONNECT and the verdict on it. Ends the connection.
    Connect,
    /// The client's next packet. Ends the connection.
    KeepAlive,
}

const TIMERS: [Timer; 2] = [Timer::Connect, Timer::KeepAlive];

/// The deadline of each timer that runs.
#[derive(Debug, Default)]
pub(super) struct Timers {
    connect: Option<Instant>,
    keep_alive: Option<Instant>,
}

impl Timers {
    fn deadline(&mut self, timer: Timer) -> &mut Option<Instant> {
        match timer {
            Timer::Connect => &mut self.connect,
            Timer::KeepAlive => &mut self.keep_alive,
        }
    }

    pub(super) fn set(&mut self, timer: Timer, deadline: Instant) {
        *self.deadline(timer) = Some(deadline);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        *self.deadline(timer) = None;
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.connect, self.keep_alive].into_iter().flatten().min()
    }

    /// Stops and returns a timer whose deadline has come.
    pub(super) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        TIMERS.into_iter().find(|timer| self.deadline(*timer).take_if(|deadline| *deadline <= now).is_some())
    }
}
