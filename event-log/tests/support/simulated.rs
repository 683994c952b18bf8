//! A log driven by a seed, and what its readers must find.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_log::{
    Config, Disk, EventHubDefinition, EventLog, Faults, FaultyDisk, Health, LogFailed, Origin, Reader, Retention, Start, Ticket,
};
use model::{Clock, EventHubId, PartitionId, SequenceNumber, Timestamp};

use crate::support::{Item, batch, drain, kept, manual_clock};

/// Events of these hubs go by age or size, when released, and with their hub.
const LIMITED: u32 = 1;
const RELEASED: u32 = 2;
const REMOVED: u32 = 3;
const PARTITIONS: [(u32, u32); 5] = [(LIMITED, 0), (LIMITED, 1), (LIMITED, 2), (RELEASED, 0), (REMOVED, 0)];
const KEPT_TIME: Duration = Duration::from_secs(8);
const KEPT_BYTES: u64 = 150 * 1024;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn once_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

struct Expected {
    body: String,
    /// Of its whole batch, with the batch's first event.
    batch_bytes: u64,
    /// Not before this moment by the log's clock.
    appended: Timestamp,
}

/// What was asked of a partition.
struct Line {
    key: (EventHubId, PartitionId),
    staged: Vec<Expected>,
    acknowledged: usize,
    /// Retention may have taken this many.
    may_be_gone: usize,
    released: usize,
}

pub struct Simulation {
    seed: u64,
    random: Random,
    pub disk: FaultyDisk,
    clock: Clock,
    lines: Vec<Line>,
    pending: Vec<(usize, usize, Ticket)>,
    bodies: u64,
    is_removed: bool,
    reader: Option<(usize, Reader)>,
    pub reached: Reached,
}

/// How often the log came to what is not everyday.
#[derive(Debug, Default, Clone, Copy)]
pub struct Reached {
    pub sealed: u64,
    pub files_removed: u64,
    pub recycled: u64,
    pub refused: u64,
    pub removals: u64,
}

impl Reached {
    pub fn add(&mut self, other: &Self) {
        self.sealed += other.sealed;
        self.files_removed += other.files_removed;
        self.recycled += other.recycled;
        self.refused += other.refused;
        self.removals += other.removals;
    }
}

impl Simulation {
    pub fn new(seed: u64) -> Self {
        let line = |(hub, partition)| Line {
            key: (EventHubId(hub), PartitionId(partition)),
            staged: Vec::new(),
            acknowledged: 0,
            may_be_gone: 0,
            released: 0,
        };
        Self {
            seed,
            random: Random(seed),
            disk: FaultyDisk::new(seed),
            clock: manual_clock(),
            lines: PARTITIONS.into_iter().map(line).collect(),
            pending: Vec::new(),
            bodies: 0,
            is_removed: false,
            reader: None,
            reached: Reached::default(),
        }
    }

    fn definitions(&self) -> Vec<EventHubDefinition> {
        let limits = Retention::Limits { time: KEPT_TIME, bytes: Some(KEPT_BYTES) };
        let forever = Retention::Limits { time: Duration::MAX, bytes: None };
        let mut hubs = vec![kept(LIMITED, 3, limits), kept(RELEASED, 1, Retention::Released), kept(REMOVED, 1, forever)];
        hubs.retain(|hub| !self.is_removed || hub.id != EventHubId(REMOVED));
        hubs
    }

    pub fn try_open(&self) -> Option<EventLog> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let age = Duration::from_secs(2);
        let config = Config { segment_bytes: 32 * 1024, segment_age_max: age, staged_bytes_max: 1024 * 1024, tail_bytes_max: 4 * 1024 };
        let opened = EventLog::open_manual(Path::new("log"), disk, config, self.clock.clone(), &self.definitions());
        let log = opened.ok()?.0;
        if self.is_removed {
            log.remove(EventHubId(REMOVED)).ok();
        }
        Some(log)
    }

    /// Appends in groups, and whatever else happens to a log, until `steps` are done or it fails.
    pub fn live(&mut self, log: &EventLog, steps: u64) {
        for _ in 0..steps {
            for _ in 0..=self.random.below(4) {
                self.stage_one(log);
            }
            let is_pause = self.random.once_in(20);
            self.clock.advance(Duration::from_millis(self.random.below(if is_pause { 4000 } else { 50 })));
            while log.commit_staged() {}
            self.collect();
            self.keep_house(log);
            self.read_on(log);
            if matches!(log.health(), Health::Failed { .. }) {
                break;
            }
        }
        let statistics = log.statistics();
        self.reached.sealed += statistics.segments_sealed;
        self.reached.files_removed += statistics.files_removed;
        self.reached.recycled += statistics.segments_recycled;
        self.reader = None;
    }

    fn stage_one(&mut self, log: &EventLog) {
        let number = self.random.below(self.lines.len() as u64) as usize;
        let count = 1 + self.random.below(3);
        let bodies: Vec<String> = (0..count).map(|_| self.body()).collect();
        let texts: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let batch = batch(&texts);
        let bytes = batch.as_bytes().len() as u64;
        let Some(line) = self.lines.get_mut(number).filter(|line| !self.is_removed || line.key.0 != EventHubId(REMOVED)) else { return };
        let permit = match log.try_reserve(batch.staged_bytes()) {
            Ok(permit) => permit.expect("room in the budget"),
            Err(LogFailed::Full { .. }) => {
                self.reached.refused += 1;
                return;
            }
            Err(LogFailed::Closed | LogFailed::Poisoned { .. }) => return,
        };
        let ticket = log.stage(permit, line.key.0, line.key.1, batch, Origin::Mqtt).expect("staged");
        assert_eq!(ticket.first().0 as usize, line.staged.len(), "seed {}: numbers have no gap", self.seed);
        let appended = self.clock.now();
        let events = bodies.into_iter().enumerate().map(|(index, body)| Expected {
            body,
            batch_bytes: if index == 0 { bytes } else { 0 },
            appended,
        });
        line.staged.extend(events);
        self.pending.push((number, line.staged.len(), ticket));
    }

    fn body(&mut self) -> String {
        self.bodies += 1;
        format!("{}-{}", self.bodies, "z".repeat(self.random.below(2500) as usize))
    }

    fn collect(&mut self) {
        for (number, end, ticket) in std::mem::take(&mut self.pending) {
            let Some(line) = self.lines.get_mut(number) else { continue };
            match ticket.try_get() {
                Some(Ok(_)) => line.acknowledged = end,
                // Its numbers are given again.
                Some(Err(LogFailed::Full { .. })) => line.staged.truncate(line.acknowledged),
                Some(Err(LogFailed::Closed | LogFailed::Poisoned { .. })) | None => {}
            }
        }
    }

    fn keep_house(&mut self, log: &EventLog) {
        if self.random.once_in(3) {
            log.seal_oldest().ok();
        }
        if self.random.once_in(6) {
            self.release(log);
        }
        if self.random.once_in(6) {
            log.keep_retention().ok();
            self.check_retention(log);
        }
        if !self.is_removed && self.random.once_in(150) {
            self.is_removed = true;
            self.reached.removals += 1;
            let is_gone = log.remove(EventHubId(REMOVED)).is_ok();
            let left = self.disk.paths().iter().filter(|path| path.to_string_lossy().ends_with("-0000000003.sealed")).count();
            assert!(!is_gone || left == 0, "seed {}: {left} files of the removed hub", self.seed);
        }
    }

    fn release(&mut self, log: &EventLog) {
        let Some(line) = self.lines.iter_mut().find(|line| line.key.0 == EventHubId(RELEASED)) else { return };
        line.released += self.random.below((line.acknowledged - line.released) as u64 + 1) as usize;
        log.release(line.key.0, line.key.1, SequenceNumber(line.released as i64)).expect("a partition");
    }

    /// What retention took was old enough, or more than enough is left, or it was released.
    fn check_retention(&mut self, log: &EventLog) {
        let seed = self.seed;
        let mut firsts = Vec::new();
        for line in self.lines.iter().filter(|line| !self.is_removed || line.key.0 != EventHubId(REMOVED)) {
            firsts.push(log.partition(line.key.0, line.key.1).expect("a partition").first.0 as usize);
        }
        let limited = self.lines.iter().zip(&firsts).filter(|(line, _)| line.key.0 == EventHubId(LIMITED));
        let left: u64 = limited.map(|(line, first)| line.staged.iter().skip(*first).map(|event| event.batch_bytes).sum::<u64>()).sum();
        let now = self.clock.now();
        for (line, first) in self.lines.iter_mut().zip(firsts) {
            let Some(newest) = line.staged.get(line.may_be_gone..first).and_then(<[Expected]>::last) else { continue };
            match line.key.0.0 {
                LIMITED => {
                    let is_old = now.saturating_since(newest.appended) > KEPT_TIME;
                    assert!(
                        is_old || left >= KEPT_BYTES,
                        "seed {seed}: event {first} of {:?} went at {now}: {}",
                        line.key,
                        newest.appended
                    );
                }
                RELEASED => assert!(first <= line.released, "seed {seed}: {first} went, {} were released", line.released),
                _ => panic!("seed {seed}: nothing lets events of {:?} go", line.key),
            }
            line.may_be_gone = first;
        }
    }

    /// A reader that lives on through sealing, recycling and retention sees nothing but the truth.
    fn read_on(&mut self, log: &EventLog) {
        if self.reader.is_none() || self.random.once_in(15) {
            let number = self.random.below(4) as usize;
            let Some(line) = self.lines.get(number) else { return };
            self.reader = Some((number, log.reader(line.key.0, line.key.1, Start::Earliest).expect("a reader")));
        }
        let Some((number, reader)) = &mut self.reader else { return };
        let (Some(line), before) = (self.lines.get(*number), reader.position()) else { return };
        let Ok(batches) = reader.try_next(1 + self.random.below(6000) as usize) else {
            assert!(!self.disk_works(), "seed {}: a reader of {:?} met an error at {before:?}", self.seed, line.key);
            return;
        };
        let first = batches.first().map_or(before, |batch| batch.wanted);
        let gone = log.partition(line.key.0, line.key.1).expect("a partition").first;
        assert!(first == before || first <= gone, "seed {}: from {before:?} to {first:?}, {gone:?} is the first", self.seed);
        for event in batches.iter().flat_map(|batch| batch.events()) {
            let event = event.expect("decodes");
            let body = event.value.as_deref().unwrap_or_default();
            let expected = line.staged.get(event.sequence.0 as usize).map(|event| event.body.as_bytes());
            assert_eq!(Some(body), expected, "seed {}: {:?} of {:?}", self.seed, event.sequence, line.key);
        }
    }

    fn disk_works(&self) -> bool {
        let disk: &dyn Disk = &self.disk;
        disk.create_directory(Path::new("log")).is_ok() && disk.sync_directory(Path::new("log")).is_ok()
    }

    /// Everything acknowledged that retention may not have taken is there, in order, unchanged;
    /// beyond it only what was staged.
    pub fn check(&mut self, log: &EventLog) {
        let seed = self.seed;
        assert!(!matches!(log.health(), Health::Degraded { .. }), "seed {seed}: a power cut is not damage: {:?}", log.health());
        for line in self.lines.iter_mut().filter(|line| !self.is_removed || line.key.0 != EventHubId(REMOVED)) {
            let first = log.partition(line.key.0, line.key.1).expect("a partition").first.0 as usize;
            assert!(first <= line.may_be_gone, "seed {seed}: {:?} begins at {first}, not {}", line.key, line.may_be_gone);
            let read = drain(&mut log.reader(line.key.0, line.key.1, Start::Earliest).expect("a reader"), 4096);
            let end = first + read.len();
            assert!(end >= line.acknowledged, "seed {seed}: {end} of {} acknowledged in {:?}", line.acknowledged, line.key);
            assert!(end <= line.staged.len(), "seed {seed}: more than was staged");
            for (index, (item, expected)) in (first..).zip(read.iter().zip(line.staged.iter().skip(first))) {
                let is_same = matches!(item, Item::Event(sequence, found) if sequence.0 == index as i64 && *found == expected.body);
                assert!(is_same, "seed {seed}: {:?}, event {index} of {end}: {item:.60?}, not {:.20}", line.key, expected.body);
            }
            // What was served once stays.
            line.staged.truncate(end);
            line.acknowledged = end;
            line.released = line.released.min(end);
        }
        let spares = self.disk.paths().iter().filter(|path| path.extension().is_some_and(|name| name == "spare")).count();
        assert!(spares <= 2, "seed {seed}: {spares} spares");
    }

    /// Power comes back, nothing fails any more.
    pub fn restart(&mut self) -> EventLog {
        self.forget_pending();
        self.disk.restart();
        self.try_open().expect("a disk without faults opens")
    }

    pub fn forget_pending(&mut self) {
        self.pending.clear();
        self.reader = None;
    }

    fn faults(&mut self) -> Faults {
        let ahead = self.disk.calls() + 1 + self.random.below(80);
        let mut faults = Faults { short_writes: self.random.once_in(2), ..Faults::default() };
        match self.random.below(4) {
            0 => faults.fail_call = Some(ahead),
            1 => faults.capacity = Some((100 + self.random.below(400)) * 1024),
            _ => faults.cut_call = Some(ahead),
        }
        faults
    }

    pub fn run(&mut self) {
        for _ in 0..4 {
            let faults = self.faults();
            self.disk.set_faults(faults);
            let log = self.try_open();
            if let Some(log) = &log {
                self.live(log, 30);
                if matches!(log.health(), Health::Failed { .. }) && faults.fail_call.is_some() {
                    // Reading goes on after a failure.
                    drain(&mut log.reader(EventHubId(LIMITED), PartitionId(0), Start::Earliest).expect("a reader"), 4096);
                }
                if faults.capacity.is_some() {
                    self.make_room(log);
                }
            }
            self.disk.cut_power();
            drop(log);
            let log = self.restart();
            self.check(&log);
            self.live(&log, 10);
            self.check(&log);
        }
    }

    /// A log that was refused for want of room goes on by itself.
    fn make_room(&mut self, log: &EventLog) {
        self.disk.set_faults(Faults::default());
        log.commit_staged();
        assert!(!matches!(log.health(), Health::Full { .. } | Health::Failed { .. }), "seed {}: {:?}", self.seed, log.health());
        self.live(log, 5);
    }
}
