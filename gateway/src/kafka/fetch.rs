//! Events for consumers: the stored bytes, as soon as there are enough of them.
//!
//! A fetch that finds too little waits for any of its partitions to grow, and for nothing else.
//! Only durable events are seen by [`event_log::Reader`], so none is served that a power cut
//! could take back.
//!
//! Where damage on disk took events away, a consumer is told once a connection (error 2, and a
//! line in the log that names the range); the next fetch at the same offset goes on behind the
//! gap. To answer "out of range" instead would make clients jump to where `auto.offset.reset`
//! says, and lose what is still there.

mod partition;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use kafka_proto::wire::{FetchedTopic, RequestHeader, fetch_response};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchTopic;
use model::EventHubRights;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::partition::Wanted;
use super::budget::{Held, Share};
use super::reason;
use super::session::Session;

/// Events in one answer, unless the first batch alone is larger.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest wait, whatever a client asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a fetch that waits for more than one event lets events gather before it looks whether
/// there are enough: at first, and at most. Each look reads again, so each waits twice as long.
const GATHERING: Duration = Duration::from_millis(10);
const GATHERING_MAX: Duration = Duration::from_millis(250);

/// What a topic or a partition takes while a fetch waits and in its answer, beside its name.
const WANTED_BYTES: usize = 256;

/// What a fetch asks for beside its partitions.
#[derive(Debug, Clone, Copy)]
struct Terms {
    deadline: Instant,
    bytes_min: usize,
    bytes_max: usize,
}

/// What a fetch brought.
#[derive(Debug)]
pub(super) struct Fetched {
    error_code: i16,
    topics: Vec<FetchedTopic>,
    /// Of the budget for events.
    pub(super) share: Share,
}

impl Fetched {
    /// The answer's frame.
    pub(super) fn pieces(&self, header: &RequestHeader) -> Vec<Bytes> {
        fetch_response(header, self.error_code, &self.topics)
    }

    /// For metrics: one code for the whole, and one for each partition in error.
    pub(super) fn error_codes(&self) -> impl Iterator<Item = i16> + '_ {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        std::iter::once(self.error_code).chain(partitions.filter(|code| *code != reason::NONE))
    }
}

/// Reads what is asked for, or waits for it. No more of `held` is kept than that needs.
pub(super) async fn fetch(session: &Session, header: &RequestHeader, request: FetchRequest, held: &mut Held) -> Fetched {
    // Sessions are never granted, so nobody can be in one.
    if request.session_id != 0 {
        return Fetched { error_code: reason::NO_FETCH_SESSION, topics: Vec::new(), share: Share::none() };
    }
    let (terms, mut wanted) = (Terms::of(&request), wanted(session, header, request));
    held.shrink(wanted_bytes(&wanted));
    // As Kafka does: nothing is asked for, so there is nothing to wait for.
    let is_empty = wanted.iter().all(|(_, partitions)| partitions.is_empty());
    let share = if is_empty { Share::none() } else { gather(session, terms, &mut wanted).await };
    Fetched { error_code: reason::NONE, topics: topics(wanted), share }
}

impl Terms {
    fn of(request: &FetchRequest) -> Self {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let bytes_max = bytes(request.max_bytes).min(ANSWER_BYTES_MAX);
        Self { deadline: Instant::now() + wait.min(WAIT_MAX), bytes_max, bytes_min: bytes(request.min_bytes).min(bytes_max) }
    }
}

fn bytes(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// Reads until there is enough, something has failed or time is up; gives the share that what was
/// read takes.
async fn gather(session: &Session, terms: Terms, wanted: &mut Topics) -> Share {
    let Terms { deadline, bytes_min, bytes_max } = terms;
    let mut gathering = GATHERING;
    loop {
        let Ok(mut share) = timeout_at(deadline, session.hub.kafka.fetched(bytes_max.max(1))).await else {
            // Others hold all there is. Nothing is read, and clients learn where the ends are.
            look(session, wanted);
            return Share::none();
        };
        let bytes_max = bytes_max.min(share.amount());
        let read = read(session, wanted, bytes_max).await;
        share.shrink(read);
        let is_done = read >= bytes_min.min(bytes_max) || wanted.iter().flat_map(|topic| &topic.1).any(Wanted::has_failed);
        if is_done || Instant::now() >= deadline || timeout_at(deadline, growth(session, wanted)).await.is_err() {
            return share;
        }
        // What was too little is read again with what came after it, and not for each single event.
        if read > 0 {
            sleep_until(deadline.min(Instant::now() + gathering)).await;
            gathering = GATHERING_MAX.min(2 * gathering);
        }
        wanted.iter_mut().flat_map(|topic| &mut topic.1).for_each(Wanted::forget);
    }
}

/// The partitions asked for, by topic.
type Topics = Vec<(Bytes, Vec<Wanted>)>;

/// Takes out of a request what is needed to answer it; names are copied, or each would keep the
/// whole request.
fn wanted(session: &Session, header: &RequestHeader, request: FetchRequest) -> Topics {
    // A partition is read once, however often it is named.
    let mut seen = HashSet::new();
    let topic = |FetchTopic { topic, mut partitions, .. }| {
        let hub = session.topic(&topic, EventHubRights::LISTEN);
        partitions.retain(|partition| seen.insert((topic.clone(), partition.partition)));
        let partitions = partitions.iter().map(|partition| Wanted::new(header, hub.as_deref(), partition));
        (Bytes::copy_from_slice(topic.as_bytes()), partitions.collect())
    };
    request.topics.into_iter().map(topic).collect()
}

fn wanted_bytes(wanted: &Topics) -> usize {
    let topic = |(name, partitions): &(Bytes, Vec<Wanted>)| name.len() + (1 + partitions.len()) * WANTED_BYTES;
    wanted.iter().map(topic).sum()
}

/// Learns where each partition ends, without reading it.
fn look(session: &Session, wanted: &mut Topics) {
    wanted.iter_mut().flat_map(|topic| &mut topic.1).for_each(|partition| partition.look(session));
}

/// Reads each partition in turn; gives the bytes of all.
async fn read(session: &Session, wanted: &mut Topics, bytes_max: usize) -> usize {
    let mut total = 0;
    for partition in wanted.iter_mut().flat_map(|topic| &mut topic.1) {
        total += partition.read(session, bytes_max.saturating_sub(total), total == 0).await;
    }
    total
}

/// Resolves when any partition has more than it had.
async fn growth(session: &Session, wanted: &Topics) {
    let mut growing: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>> = FuturesUnordered::new();
    for partition in wanted.iter().flat_map(|topic| &topic.1) {
        growing.extend(partition.growth(session));
    }
    if growing.next().await.is_none() {
        std::future::pending().await
    }
}

fn topics(wanted: Topics) -> Vec<FetchedTopic> {
    let topic =
        |(name, partitions): (Bytes, Vec<Wanted>)| FetchedTopic { name, partitions: partitions.into_iter().map(Into::into).collect() };
    wanted.into_iter().map(topic).collect()
}
