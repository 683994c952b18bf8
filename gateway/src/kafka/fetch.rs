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
use super::budget::Share;
use super::reason;
use super::session::Session;

/// Events in one answer, unless the first batch alone is larger.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest wait, whatever a client asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a fetch that waits for more than one event looks whether there is enough.
const GATHERING: Duration = Duration::from_millis(10);

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

/// Reads what is asked for, or waits for it.
pub(super) async fn fetch(session: &Session, header: &RequestHeader, request: FetchRequest) -> Fetched {
    // Sessions are never granted, so nobody can be in one.
    if request.session_id != 0 {
        return Fetched { error_code: reason::NO_FETCH_SESSION, topics: Vec::new(), share: Share::none() };
    }
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let bytes_max = bytes(request.max_bytes).min(ANSWER_BYTES_MAX);
    let bytes_min = bytes(request.min_bytes).min(bytes_max);
    let mut wanted = wanted(session, header, request.topics);
    loop {
        let mut share = session.hub.kafka.fetched(bytes_max.max(1)).await;
        let bytes_max = bytes_max.min(share.amount());
        let read = read(session, &mut wanted, bytes_max).await;
        share.shrink(read);
        let is_done = read >= bytes_min.min(bytes_max) || wanted.iter().flat_map(|topic| &topic.1).any(Wanted::has_failed);
        if is_done || Instant::now() >= deadline || timeout_at(deadline, growth(session, &wanted)).await.is_err() {
            return Fetched { error_code: reason::NONE, topics: topics(wanted), share };
        }
        // What was too little is read again with what came after it, and not for each single event.
        if read > 0 {
            sleep_until(deadline.min(Instant::now() + GATHERING)).await;
        }
        wanted.iter_mut().flat_map(|topic| &mut topic.1).for_each(Wanted::forget);
    }
}

fn bytes(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// The partitions asked for, by topic.
type Topics = Vec<(Bytes, Vec<Wanted>)>;

fn wanted(session: &Session, header: &RequestHeader, topics: Vec<FetchTopic>) -> Topics {
    // A partition is read once, however often it is named.
    let mut seen = HashSet::new();
    let topic = |FetchTopic { topic, mut partitions, .. }| {
        let hub = session.topic(&topic, EventHubRights::LISTEN);
        partitions.retain(|partition| seen.insert((topic.clone(), partition.partition)));
        let partitions = partitions.iter().map(|partition| Wanted::new(header, hub.as_deref(), partition));
        (topic.0.clone().into_bytes(), partitions.collect())
    };
    topics.into_iter().map(topic).collect()
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
