//! The messages of one device that are not acknowledged yet, in the order in which they were
//! made.
//!
//! ```text
//! Waiting ──handed over──► Handed ──tag known──► Sent ──acknowledged──► gone
//!    ▲                        │                   │
//!    └───────── connection lost ◄────────────────┘
//! ```
//!
//! A connection allots tags when it writes messages, MQTT its packet ids, and says so in the order
//! in which messages were handed over. An acknowledgement belongs to the message whose tag it names
//! on this very connection and to no other.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

/// A message with its device's running number, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Handed,
    Sent { tag: u64, at: Instant },
}

#[derive(Debug)]
struct Entry {
    message: Numbered,
    state: State,
    was_handed_over: bool,
}

/// A message to hand to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) message: Numbered,
    /// Whether an earlier connection had it already.
    pub(crate) again: bool,
}

/// What is not acknowledged yet: at most `capacity` messages.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    capacity: usize,
    made: u64,
}

impl Outbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, made: 0 }
    }

    /// Whether another message may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many messages were made.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Takes in the next message.
    pub(crate) fn push(&mut self, body: Bytes) {
        self.made += 1;
        let message = Numbered { number: self.made, body };
        self.entries.push_back(Entry { message, state: State::Waiting, was_handed_over: false });
    }

    /// The next message to hand over, oldest first.
    pub(crate) fn hand_over(&mut self) -> Option<Due> {
        let entry = self.entries.iter_mut().find(|entry| entry.state == State::Waiting)?;
        entry.state = State::Handed;
        let again = std::mem::replace(&mut entry.was_handed_over, true);
        Some(Due { message: entry.message.clone(), again })
    }

    /// The oldest message handed over was written under `tag`.
    pub(crate) fn sent(&mut self, tag: u64, at: Instant) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.state == State::Handed) {
            entry.state = State::Sent { tag, at };
        }
    }

    /// Takes out the message sent under `tag`, with the time it was sent.
    pub(crate) fn acknowledged(&mut self, tag: u64) -> Option<(Numbered, Instant)> {
        let sent_at = |entry: &Entry| match entry.state {
            State::Sent { tag: sent, at } if sent == tag => Some(at),
            State::Waiting | State::Handed | State::Sent { .. } => None,
        };
        let (index, at) = self.entries.iter().enumerate().find_map(|(index, entry)| Some((index, sent_at(entry)?)))?;
        self.entries.remove(index).map(|entry| (entry.message, at))
    }

    /// Everything not acknowledged waits to be sent again, in its old order.
    pub(crate) fn connection_lost(&mut self) {
        for entry in &mut self.entries {
            entry.state = State::Waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize) -> Outbox {
        let mut outbox = Outbox::new(4);
        for number in 1..=count {
            outbox.push(Bytes::from(format!("m{number}")));
        }
        outbox
    }

    fn handed(outbox: &mut Outbox) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| outbox.hand_over()).map(|due| (due.message.number, due.again)).collect()
    }

    #[test]
    fn an_acknowledgement_belongs_to_the_message_of_its_tag() {
        let (mut outbox, now) = (filled(3), Instant::now());
        assert_eq!(handed(&mut outbox), [(1, false), (2, false), (3, false)]);
        outbox.sent(7, now);
        outbox.sent(8, now);
        assert_eq!(outbox.acknowledged(9), None, "message 3 is not written yet");
        assert_eq!(outbox.acknowledged(8).map(|(message, _)| message.number), Some(2));
        assert_eq!(outbox.acknowledged(8), None, "a second acknowledgement says nothing new");
        assert_eq!(outbox.acknowledged(7).map(|(message, _)| message.number), Some(1));
        outbox.sent(7, now);
        assert_eq!(outbox.acknowledged(7).map(|(message, _)| message.number), Some(3), "the tag is free again");
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_a_lost_connection_leaves_is_sent_again_in_order() {
        let (mut outbox, now) = (filled(3), Instant::now());
        handed(&mut outbox);
        for tag in 1..=3 {
            outbox.sent(tag, now);
        }
        assert!(outbox.acknowledged(2).is_some());
        outbox.connection_lost();
        assert_eq!(outbox.acknowledged(1), None, "the tag belonged to the lost connection");
        outbox.push(Bytes::from_static(b"m4"));
        assert_eq!(handed(&mut outbox), [(1, true), (3, true), (4, false)]);
        assert_eq!(outbox.made(), 4);
    }

    #[test]
    fn it_takes_no_more_than_its_capacity() {
        assert!(filled(3).has_room());
        assert!(!filled(4).has_room());
    }
}
