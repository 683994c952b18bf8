//! Memory for requests and answers, over all connections of the endpoint.
//!
//! What a request takes is counted three times: as it was sent, decoded, and as an answer. A
//! request takes its shares in this order and one of each budget. A connection that sends requests
//! ahead has several, but waits for the disk only before it gives those of a produce request back,
//! whatever it takes for the next. So nobody waits in a circle.
//!
//! Every wait ends: who holds a share works, or waits for the disk, or for its peer in a limited
//! time ([`super::frames`]), or until a deadline, or for a share that comes later in this order.
//! Nothing but an answer waits for a peer to read: by then its request is given back, but for the
//! size of an answer that has no share of its own. And producers have parts of their own, kept
//! while requests are sent, checked and stored: who reads slowly, or asks for much, has none of
//! them, so that it never slows ingest.

use std::sync::Arc;

use kafka_proto::wire::{Api, ELEMENT_BYTES};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of requests being read or carried out, as sent and once more decoded with answers in the
/// making: of large ones so much, in each [`Lane`]. One of as many elements as may be takes it all.
const LARGE_BYTES: usize = 32 * 1024 * 1024;
/// Requests up to this size have a part of their own in each lane: they do not wait until large
/// ones have come over slow lines.
const SMALL: usize = 16 * 1024;
const SMALL_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of answers that wait to be sent, other than events and small ones.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Answers up to this size are not counted, as a connection has but one.
const SMALL_ANSWER: usize = 64 * 1024;
/// Bytes of events in answers to fetches, from reading them until they are sent.
const FETCHED_BYTES: usize = 64 * 1024 * 1024;
/// A fetch gets at most this part of what is free …
const FETCHED_PARTS: usize = 16;
/// … and at least so much, whatever it asks for: its first batch comes whole.
const FETCHED_BYTES_MIN: usize = model::limits::EVENT_BYTES_MAX;
/// Batches decompressed at once: each may grow to 32 MiB, and keeps a thread busy.
const EXPANSIONS: usize = 2;

/// What all connections share.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    requests: Lanes,
    decoded: Lanes,
    answers: Arc<Semaphore>,
    fetched: Arc<Semaphore>,
    expansions: Arc<Semaphore>,
}

/// A budget in two lanes.
#[derive(Debug, Clone, Default)]
struct Lanes {
    producers: Tiers,
    others: Tiers,
}

/// A lane, which keeps a part for small amounts.
#[derive(Debug, Clone)]
struct Tiers {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Requests wait for those of their lane only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Events to store.
    Producers,
    /// Everything else.
    Others,
}

impl Lane {
    /// The lane of an API by its key.
    pub(super) fn of(api_key: i16) -> Self {
        if api_key == Api::Produce.key() { Self::Producers } else { Self::Others }
    }
}

/// A share of a budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

/// What a request holds of the budgets until it is answered.
#[derive(Debug)]
pub(super) struct Held {
    sent: Share,
    decoded: Share,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            requests: Lanes::default(),
            decoded: Lanes::default(),
            answers: budget(ANSWER_BYTES),
            fetched: budget(FETCHED_BYTES),
            expansions: budget(EXPANSIONS),
        }
    }
}

impl Budgets {
    /// Waits for room for a request of `bytes`.
    pub(super) async fn request(&self, lane: Lane, bytes: usize) -> Share {
        take(self.requests.of(lane, bytes), bytes).await
    }

    /// Waits for room to decode a request of so many elements, which was `sent` with this share.
    pub(super) async fn decoded(&self, lane: Lane, sent: Share, elements: usize) -> Held {
        let bytes = elements.saturating_mul(ELEMENT_BYTES);
        Held { sent, decoded: take(self.decoded.of(lane, bytes), bytes).await }
    }

    /// Waits for room for an answer of `bytes`. The largest go alone.
    pub(super) async fn answer(&self, bytes: usize) -> Share {
        take(&self.answers, counted(bytes)).await
    }

    /// What is kept of a request until its answer is sent, when `bytes` of the answer are all that
    /// is left of it: a share for answers if they are many, else as much of the request's.
    pub(super) async fn kept(&self, mut held: Held, bytes: usize) -> (Held, Share) {
        held.shrink(bytes);
        let share = self.answer(bytes).await;
        if share.amount() > 0 {
            held.shrink(0);
        }
        (held, share)
    }

    /// Waits for room for events: `bytes`, less where many take their time to read, so that those
    /// who read nothing cannot soon hold all there is; and never less than one batch may take.
    pub(super) async fn fetched(&self, bytes: usize) -> Share {
        let fair = (self.fetched.available_permits() / FETCHED_PARTS).max(FETCHED_BYTES_MIN);
        take(&self.fetched, bytes.min(fair).max(FETCHED_BYTES_MIN)).await
    }

    /// Waits for its turn to decompress a batch.
    pub(super) async fn expansion(&self) -> Share {
        take(&self.expansions, 1).await
    }
}

/// What is free, for tests.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) requests: usize,
    pub(super) decoded: usize,
    pub(super) answers: usize,
    pub(super) fetched: usize,
}

#[cfg(test)]
impl Budgets {
    pub(super) fn free(&self) -> Free {
        let both = |Tiers { small, large }: &Tiers| small.available_permits() + large.available_permits();
        let all = |Lanes { producers, others }: &Lanes| both(producers) + both(others);
        Free {
            requests: all(&self.requests),
            decoded: all(&self.decoded),
            answers: self.answers.available_permits(),
            fetched: self.fetched.available_permits(),
        }
    }
}

impl Lanes {
    fn of(&self, lane: Lane, bytes: usize) -> &Arc<Semaphore> {
        let Tiers { small, large } = match lane {
            Lane::Producers => &self.producers,
            Lane::Others => &self.others,
        };
        if bytes <= SMALL { small } else { large }
    }
}

impl Default for Tiers {
    fn default() -> Self {
        Self { small: budget(SMALL_BYTES), large: budget(LARGE_BYTES) }
    }
}

impl Share {
    /// Nothing of any budget.
    pub(super) fn none() -> Self {
        Self { permit: None }
    }

    /// How much it is.
    pub(super) fn amount(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Whether it is enough for an answer of `bytes`.
    pub(super) fn covers_answer(&self, bytes: usize) -> bool {
        self.amount() >= counted(bytes)
    }

    /// Gives back what is more than `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.permit {
            let surplus = permit.num_permits().saturating_sub(bytes);
            drop(permit.split(surplus));
        }
    }
}

impl Held {
    /// For a request that was read into something of `bytes`, and of which nothing else is left.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.decoded.shrink(bytes);
        self.sent.shrink(bytes.saturating_sub(self.decoded.amount()));
    }
}

fn budget(size: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(size))
}

/// What an answer of `bytes` takes of the budget for answers.
fn counted(bytes: usize) -> usize {
    if bytes <= SMALL_ANSWER { 0 } else { bytes.min(ANSWER_BYTES) }
}

async fn take(budget: &Arc<Semaphore>, amount: usize) -> Share {
    // Whoever waits in line holds up those who want nothing, too.
    if amount == 0 {
        return Share::none();
    }
    let amount = u32::try_from(amount).unwrap_or(u32::MAX);
    // Budgets are never closed.
    Share { permit: Arc::clone(budget).acquire_many_owned(amount).await.ok() }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use model::limits::EVENT_BYTES_MAX;

    use super::*;

    #[test]
    fn small_requests_do_not_wait_for_large_ones_that_come_slowly() {
        let budgets = Budgets::default();
        let slow: Vec<_> = std::iter::from_fn(|| budgets.request(Lane::Others, 2 * EVENT_BYTES_MAX).now_or_never()).collect();
        assert_eq!(slow.len(), LARGE_BYTES / (2 * EVENT_BYTES_MAX));
        assert!(budgets.request(Lane::Others, SMALL).now_or_never().is_some());
    }

    #[test]
    fn what_producers_send_waits_for_nobody_else() {
        let budgets = Budgets::default();
        for bytes in [SMALL, 2 * EVENT_BYTES_MAX] {
            let elements = bytes / ELEMENT_BYTES;
            let _sent: Vec<_> = std::iter::from_fn(|| budgets.request(Lane::Others, bytes).now_or_never()).collect();
            let _decoded: Vec<_> = std::iter::from_fn(|| budgets.decoded(Lane::Others, Share::none(), elements).now_or_never()).collect();
            let sent = budgets.request(Lane::Producers, bytes).now_or_never().expect("room");
            assert!(budgets.decoded(Lane::Producers, sent, elements).now_or_never().is_some());
        }
    }

    #[test]
    fn of_an_answered_request_the_answer_is_kept() {
        let budgets = Budgets::default();
        let all = budgets.free();
        let sent = budgets.request(Lane::Producers, 100_000).now_or_never().expect("room");
        let held = budgets.decoded(Lane::Producers, sent, 1024).now_or_never().expect("room");
        let small = budgets.kept(held, 1000).now_or_never().expect("no wait");
        assert_eq!(budgets.free(), Free { decoded: all.decoded - 1000, ..all });
        let large = budgets.kept(small.0, SMALL_ANSWER + 1).now_or_never().expect("room");
        assert_eq!(budgets.free(), Free { answers: all.answers - SMALL_ANSWER - 1, ..all });
        drop(large);
        assert_eq!(budgets.free(), all);
    }

    #[test]
    fn what_is_decoded_is_counted_by_elements_until_little_of_it_is_left() {
        let budgets = Budgets::default();
        let all = budgets.free();
        let large = || budgets.decoded(Lane::Others, Share::none(), 16 * 1024).now_or_never();
        let mut held: Vec<_> = std::iter::from_fn(large).collect();
        assert_eq!((held.len(), all.decoded - budgets.free().decoded), (4, LARGE_BYTES));
        assert!(budgets.decoded(Lane::Others, Share::none(), SMALL / ELEMENT_BYTES).now_or_never().is_some(), "small ones go on");
        held.iter_mut().for_each(|held| held.shrink(1000));
        assert_eq!(all.decoded - budgets.free().decoded, 4000);
    }

    #[test]
    fn what_is_left_of_a_request_is_counted_whether_texts_or_elements() {
        let budgets = Budgets::default();
        let all = budgets.free();
        let sent = budgets.request(Lane::Others, 100_000).now_or_never().expect("room");
        let mut held = budgets.decoded(Lane::Others, sent, 2).now_or_never().expect("room");
        let taken = || (all.requests - budgets.free().requests, all.decoded - budgets.free().decoded);
        assert_eq!(taken(), (100_000, 2 * ELEMENT_BYTES));
        held.shrink(2 * ELEMENT_BYTES + 300);
        assert_eq!(taken(), (300, 2 * ELEMENT_BYTES));
        held.shrink(10);
        assert_eq!(taken(), (0, 10));
    }

    #[test]
    fn large_answers_wait_and_small_ones_do_not() {
        let budgets = Budgets::default();
        let largest = budgets.answer(usize::MAX).now_or_never().expect("alone");
        assert_eq!(largest.amount(), ANSWER_BYTES);
        assert!(budgets.answer(SMALL_ANSWER + 1).now_or_never().is_none());
        assert!(budgets.answer(SMALL_ANSWER).now_or_never().is_some());
    }

    #[test]
    fn a_fetch_has_room_for_a_whole_batch_and_no_fetch_takes_all() {
        let budgets = Budgets::default();
        assert_eq!(budgets.fetched(1).now_or_never().map(|share| share.amount()), Some(EVENT_BYTES_MAX));
        let stuck: Vec<_> = std::iter::from_fn(|| budgets.fetched(usize::MAX).now_or_never()).collect();
        assert_eq!(stuck.first().map(Share::amount), Some(FETCHED_BYTES / FETCHED_PARTS));
        assert_eq!(stuck.iter().map(Share::amount).sum::<usize>() / EVENT_BYTES_MAX, FETCHED_BYTES / EVENT_BYTES_MAX - 1);
    }
}
