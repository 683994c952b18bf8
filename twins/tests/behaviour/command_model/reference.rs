//! Commands and feedback as their documentation describes them, written the plainest way: lists
//! that are walked, and nothing remembered that can be worked out.

use model::Timestamp;
use model::api::{CommandBody, CommandItem, CommandState, DeadLetterItem, DeadLetterReason, FeedbackRecord, FeedbackStatus};
use twins::CommandSettings;

use super::step::Kind;

/// What a reader was handed, by its place in the list of all that was ever handed out.
pub(super) type Label = usize;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Holder {
    Connection(u64),
    Until(Timestamp),
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) item: CommandItem,
    lock: Option<(Label, Holder)>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) identity: String,
    generation: String,
    /// Grows with each identity created.
    row: u64,
    last_sequence: u64,
    waiting: Vec<Command>,
    pub(super) dead: Vec<DeadLetterItem>,
}

#[derive(Debug)]
struct Message {
    sequence: u64,
    enqueued: Timestamp,
    expiry: Timestamp,
    count: u32,
    records: Vec<(u64, FeedbackRecord)>,
    lock: Option<(Label, Timestamp)>,
}

/// What a reader of feedback sees: sequence, delivery count, when formed, when it expires, records.
pub(super) type Received = (u64, u32, Timestamp, Timestamp, Vec<FeedbackRecord>);

#[derive(Debug, PartialEq)]
pub(super) struct Swept {
    pub(super) expired: u64,
    pub(super) available: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Reference {
    pub(super) settings: CommandSettings,
    pub(super) now: Timestamp,
    pub(super) queues: Vec<Queue>,
    rows: u64,
    records: Vec<(u64, FeedbackRecord)>,
    messages: Vec<Message>,
    last_message: u64,
}

fn holds(lock: Option<(Label, Holder)>, now: Timestamp) -> bool {
    match lock {
        None => false,
        Some((_, Holder::Connection(_))) => true,
        Some((_, Holder::Until(end))) => now < end,
    }
}

impl Reference {
    pub(super) fn new(settings: CommandSettings, now: Timestamp) -> Self {
        Self { settings, now, queues: vec![], rows: 0, records: vec![], messages: vec![], last_message: 0 }
    }

    pub(super) fn create(&mut self, identity: &str, generation: String) {
        self.rows += 1;
        self.queues.push(Queue { identity: identity.into(), generation, row: self.rows, ..Queue::default() });
        self.queues.sort_by(|a, b| a.identity.cmp(&b.identity));
    }

    /// A device takes its modules, and all of theirs, along.
    pub(super) fn delete_device(&mut self, device: &str) {
        let is_of = |identity: &str| identity == device || identity.starts_with(&format!("{device}/"));
        let gone: Vec<u64> = self.queues.iter().filter(|queue| is_of(&queue.identity)).map(|queue| queue.row).collect();
        self.queues.retain(|queue| !gone.contains(&queue.row));
        self.records.retain(|(row, _)| !gone.contains(row));
        for message in &mut self.messages {
            message.records.retain(|(row, _)| !gone.contains(row));
        }
        self.messages.retain(|message| !message.records.is_empty());
    }

    pub(super) fn restart(&mut self) {
        self.queues.iter_mut().flat_map(|queue| &mut queue.waiting).for_each(|command| command.lock = None);
        self.messages.iter_mut().for_each(|message| message.lock = None);
    }

    /// The sequence number, or nothing when the queue is full.
    pub(super) fn send(&mut self, at: usize, message_id: &str, ack: &str, expiry: Option<Timestamp>) -> Option<u64> {
        self.touch(at);
        if self.queues[at].waiting.len() >= self.settings.queue_depth {
            return None;
        }
        let expiry_time = expiry.unwrap_or(self.now.saturating_add(self.settings.expiry_default));
        let item = CommandItem {
            message_id: message_id.into(),
            sequence_number: 0,
            state: CommandState::Enqueued,
            locked_until: None,
            delivery_count: 0,
            enqueued_time: self.now,
            expiry_time,
            ack: ack.into(),
            properties: [("n".into(), message_id.into())].into(),
            body: CommandBody::Text(message_id.into()),
        };
        Some(self.push(at, item))
    }

    fn push(&mut self, at: usize, item: CommandItem) -> u64 {
        let queue = &mut self.queues[at];
        queue.last_sequence += 1;
        queue.waiting.push(Command { item: CommandItem { sequence_number: queue.last_sequence, ..item }, lock: None });
        queue.last_sequence
    }

    /// Sequence numbers with delivery counts.
    pub(super) fn hand_out(&mut self, at: usize, holder: Holder, limit: usize, first: Label) -> Vec<(u64, u32)> {
        self.touch(at);
        let now = self.now;
        let free = self.queues[at].waiting.iter_mut().filter(|command| !holds(command.lock, now)).take(limit);
        let hand_out = |(number, command): (usize, &mut Command)| {
            command.lock = Some((first + number, holder));
            (command.item.sequence_number, command.item.delivery_count)
        };
        free.enumerate().map(hand_out).collect()
    }

    /// Whether the lock was held.
    pub(super) fn settle(&mut self, at: usize, label: Label, kind: Kind) -> bool {
        self.touch(at);
        let now = self.now;
        let is_it = |command: &Command| holds(command.lock, now) && command.lock.is_some_and(|(held, _)| held == label);
        let Some(place) = self.queues[at].waiting.iter().position(is_it) else { return false };
        match kind {
            Kind::Complete => self.finish(at, place, None, FeedbackStatus::Success),
            Kind::Reject => self.finish(at, place, Some(DeadLetterReason::Rejected), FeedbackStatus::Rejected),
            Kind::Abandon if self.queues[at].waiting[place].item.delivery_count + 1 >= self.settings.delivery_count_max => {
                self.queues[at].waiting[place].item.delivery_count += 1;
                self.finish(at, place, Some(DeadLetterReason::DeliveryCountExceeded), FeedbackStatus::DeliveryCountExceeded);
            }
            Kind::Abandon => {
                let command = &mut self.queues[at].waiting[place];
                command.item.delivery_count += 1;
                command.lock = None;
            }
        }
        true
    }

    pub(super) fn release(&mut self, at: usize, owner: u64) {
        for command in &mut self.queues[at].waiting {
            command.lock = command.lock.filter(|(_, holder)| *holder != Holder::Connection(owner));
        }
    }

    pub(super) fn purge(&mut self, at: usize) -> u64 {
        self.touch(at);
        // A purge looks at feedback whether or not it writes any.
        self.gather();
        let count = self.queues[at].waiting.len();
        (0..count).for_each(|_| self.finish(at, 0, None, FeedbackStatus::Purged));
        count as u64
    }

    pub(super) fn list(&mut self, at: usize) -> Vec<CommandItem> {
        self.touch(at);
        let shown = |command: &Command| match command.lock.filter(|_| holds(command.lock, self.now)) {
            None => command.item.clone(),
            Some((_, Holder::Connection(_))) => CommandItem { state: CommandState::Invisible, ..command.item.clone() },
            Some((_, Holder::Until(end))) => {
                CommandItem { state: CommandState::Invisible, locked_until: Some(end), ..command.item.clone() }
            }
        };
        self.queues[at].waiting.iter().map(shown).collect()
    }

    /// Old and new sequence numbers of those that went, and how many stayed.
    pub(super) fn redrive(&mut self, at: usize, one: Option<u64>, expiry: Option<Timestamp>) -> Option<(Vec<(u64, u64)>, u64)> {
        let is_meant = |letter: &DeadLetterItem| one.is_none_or(|one| letter.command.sequence_number == one);
        self.touch(at);
        if one.is_some() && !self.queues[at].dead.iter().any(is_meant) {
            return None;
        }
        let (meant, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.queues[at].dead).into_iter().partition(is_meant);
        let (mut moved, mut stayed) = (vec![], 0);
        for letter in meant {
            if self.queues[at].waiting.len() < self.settings.queue_depth {
                let expiry_time = expiry.unwrap_or(self.now.saturating_add(self.settings.expiry_default));
                let old = letter.command.sequence_number;
                let state = CommandState::Enqueued;
                let item = CommandItem { state, delivery_count: 0, enqueued_time: self.now, expiry_time, ..letter.command };
                moved.push((old, self.push(at, item)));
            } else {
                stayed += 1;
                kept.push(letter);
            }
        }
        kept.sort_by_key(|letter| letter.command.sequence_number);
        self.queues[at].dead = kept;
        Some((moved, stayed))
    }

    pub(super) fn delete_dead(&mut self, at: usize, one: Option<u64>) -> u64 {
        let dead = &mut self.queues[at].dead;
        let before = dead.len();
        dead.retain(|letter| one.is_some_and(|one| letter.command.sequence_number != one));
        (before - dead.len()) as u64
    }

    pub(super) fn receive_feedback(&mut self, label: Label, end: Timestamp) -> Option<Received> {
        self.gather();
        self.expire_messages();
        let now = self.now;
        let message = self.messages.iter_mut().find(|message| message.lock.is_none_or(|(_, end)| end <= now))?;
        message.lock = Some((label, end));
        let records = message.records.iter().map(|(_, record)| record.clone()).collect();
        Some((message.sequence, message.count, message.enqueued, message.expiry, records))
    }

    pub(super) fn settle_feedback(&mut self, label: Label, is_complete: bool) -> bool {
        self.expire_messages();
        let now = self.now;
        let is_it = |message: &Message| message.lock.is_some_and(|(held, end)| held == label && now < end);
        let Some(place) = self.messages.iter().position(is_it) else { return false };
        let message = &mut self.messages[place];
        message.count += 1;
        message.lock = None;
        if is_complete || message.count == self.settings.feedback.delivery_count_max {
            self.messages.remove(place);
        }
        true
    }

    pub(super) fn sweep(&mut self) -> Swept {
        let now = self.now;
        let mut ended = vec![];
        for queue in &mut self.queues {
            let before = queue.waiting.iter().filter(|command| command.lock.is_some()).count();
            queue.waiting.iter_mut().for_each(|command| command.lock = command.lock.filter(|_| holds(command.lock, now)));
            if queue.waiting.iter().filter(|command| command.lock.is_some()).count() < before {
                ended.push(queue.identity.clone());
            }
        }
        for message in &mut self.messages {
            message.lock = message.lock.filter(|(_, end)| now < *end);
        }
        let mut expired = vec![];
        for queue in &self.queues {
            let past = queue.waiting.iter().filter(|command| command.item.expiry_time <= now && command.lock.is_none());
            expired.extend(past.map(|command| (command.item.expiry_time, queue.row, command.item.sequence_number)));
        }
        expired.sort_unstable();
        for (_, row, sequence) in &expired {
            let at = self.queues.iter().position(|queue| queue.row == *row).expect("there");
            self.expire_one(at, *sequence);
        }
        self.gather();
        self.expire_messages();
        ended.retain(|identity| self.queues.iter().any(|queue| queue.identity == *identity && !queue.waiting.is_empty()));
        Swept { expired: expired.len() as u64, available: ended }
    }

    /// The first moment at which something happens by itself.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        let commands = self.queues.iter().flat_map(|queue| &queue.waiting).filter_map(|command| match command.lock {
            None => Some(command.item.expiry_time),
            Some((_, Holder::Connection(_))) => None,
            Some((_, Holder::Until(end))) => Some(end),
        });
        let messages = self.messages.iter().map(|message| message.lock.map_or(message.expiry, |(_, end)| end));
        let gathering = self.records.first().map(|(_, record)| record.enqueued_time_utc.saturating_add(std::time::Duration::from_secs(15)));
        commands.chain(messages).chain(gathering).min()
    }

    fn touch(&mut self, at: usize) {
        let is_past = |command: &&Command| command.item.expiry_time <= self.now && !holds(command.lock, self.now);
        let past = self.queues[at].waiting.iter().filter(is_past);
        let mut past: Vec<_> = past.map(|command| (command.item.expiry_time, command.item.sequence_number)).collect();
        past.sort_unstable();
        past.into_iter().for_each(|(_, sequence)| self.expire_one(at, sequence));
    }

    fn expire_one(&mut self, at: usize, sequence: u64) {
        let place = self.queues[at].waiting.iter().position(|command| command.item.sequence_number == sequence).expect("there");
        self.finish(at, place, Some(DeadLetterReason::Expired), FeedbackStatus::Expired);
    }

    fn finish(&mut self, at: usize, place: usize, reason: Option<DeadLetterReason>, status_code: FeedbackStatus) {
        let now = self.now;
        let queue = &mut self.queues[at];
        let item = queue.waiting.remove(place).item;
        let (device, module) = queue.identity.split_once('/').map_or((&*queue.identity, None), |(device, module)| (device, Some(module)));
        let record = FeedbackRecord {
            original_message_id: item.message_id.clone(),
            description: status_code.description().into(),
            device_generation_id: queue.generation.clone(),
            device_id: device.into(),
            module_id: module.map(Into::into),
            enqueued_time_utc: now,
            status_code,
        };
        let is_good = status_code == FeedbackStatus::Success;
        let is_told = item.ack == "full" || (item.ack == "positive" && is_good) || (item.ack == "negative" && !is_good);
        let row = queue.row;
        if let Some(reason) = reason {
            let command = CommandItem { state: CommandState::DeadLettered, ..item };
            queue.dead.push(DeadLetterItem { command, reason, dead_lettered_time: now });
            queue.dead.sort_by_key(|letter| letter.command.sequence_number);
            let too_many = queue.dead.len().saturating_sub(self.settings.dead_letters_max);
            queue.dead.drain(..too_many);
        }
        if is_told {
            self.gather();
            self.records.push((row, record));
            self.gather();
        }
    }

    fn gather(&mut self) {
        let waited = |records: &[(u64, FeedbackRecord)], now: Timestamp| {
            let since = |record: &(u64, FeedbackRecord)| now.saturating_since(record.1.enqueued_time_utc).as_secs();
            records.first().is_some_and(|oldest| since(oldest) >= 15)
        };
        while self.records.len() >= 64 || waited(&self.records, self.now) {
            let rest = self.records.split_off(self.records.len().min(64));
            self.last_message += 1;
            self.messages.push(Message {
                sequence: self.last_message,
                enqueued: self.now,
                expiry: self.now.saturating_add(self.settings.feedback.expiry),
                count: 0,
                records: std::mem::replace(&mut self.records, rest),
                lock: None,
            });
        }
    }

    fn expire_messages(&mut self) {
        let now = self.now;
        self.messages.retain(|message| message.expiry > now || message.lock.is_some_and(|(_, end)| now < end));
    }
}
