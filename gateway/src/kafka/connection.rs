//! One admitted connection: requests in, answers out in the order of requests.
//!
//! Two halves share the task. The intake reads a request, and has it carried out; the
//! [outlet] waits for what must become durable and sends. Produce requests are
//! staged one after the other and wait for the disk together; any other request is not even read
//! until all before it are answered, and none is read beside it. So no client sees the effects of
//! two requests in another order than it sent them, a producer that sends ahead is not slowed by
//! the time of a sync, and who leaves an answer unread has no room taken for its next question.

use std::sync::Arc;
use std::time::Duration;

use kafka_proto::wire::{self, Api, Incoming, InvalidRequest, OldProduce, RequestHeader, Unwritable};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::authentication::Admitted;
use super::budget::{Lane, Share};
use super::dispatch::{self, Answer};
use super::frames::{FrameError, FrameReader, FrameWriter, Head};
use super::outlet::{self, Place, UnderWay};
use super::session::Session;

/// Largest request: the largest batch, and as much again for a request with several.
pub(super) const FRAME_BYTES_MAX: usize = 2 * model::limits::EVENT_BYTES_MAX;
/// Requests of one connection that are carried out and not yet answered.
pub(super) const PIPELINE_REQUESTS: usize = 64;
/// Bytes of those.
const PIPELINE_BYTES: usize = 4 * FRAME_BYTES_MAX;
/// A connection without a request for this long is closed, as Kafka does; clients reconnect.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Why a connection ended.
#[derive(Debug, Error)]
pub(super) enum Ending {
    /// It carries nothing more.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer does not speak the protocol as it must.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// An answer of ours is wrong.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// A produce request that wants no answer failed, which is the only way to say so.
    #[error("a produce request without acknowledgement failed: {0}")]
    Unacknowledged(String),
    /// Nothing came for too long.
    #[error("no request for {} s", IDLE_TIMEOUT.as_secs())]
    Idle,
    /// The policy changed or is gone, or the certificate expired.
    #[error("the grant does not hold any more")]
    GrantEnded,
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
}

/// A request as it was read.
pub(super) struct Received {
    pub(super) incoming: Incoming,
    pub(super) head: Head,
    /// For its length.
    pub(super) share: Share,
}

/// Serves requests until the connection ends.
pub(super) async fn run<R, W>(admitted: Admitted, reader: FrameReader<R>, mut writer: FrameWriter<W>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Admitted { session, first } = admitted;
    let (answers, queue) = mpsc::channel(PIPELINE_REQUESTS);
    let intake = Intake {
        session: &session,
        reader,
        answers,
        turns: Arc::new(Semaphore::new(PIPELINE_REQUESTS)),
        room: Arc::new(Semaphore::new(PIPELINE_BYTES)),
    };
    let served = async {
        let outlet = outlet::run(queue, &session.hub.kafka, &mut writer);
        let (ending, ()) = tokio::try_join!(async { Ok(intake.run(first).await) }, outlet)?;
        Ok::<Ending, Ending>(ending)
    };
    let ending = tokio::select! {
        biased;
        () = session.grant.ended() => Ending::GrantEnded,
        served = served => served.unwrap_or_else(|ending| ending),
    };
    report(&session, &ending);
    writer.close().await;
}

/// Who goes, goes quietly; who is closed leaves a line.
fn report(session: &Session, ending: &Ending) {
    let (peer, policy) = (session.peer, &session.grant.name);
    match ending {
        Ending::Frame(FrameError::HungUp | FrameError::Broken(_)) | Ending::Idle | Ending::Stopping => {
            tracing::debug!(%peer, policy, reason = %ending, "a Kafka connection ended");
        }
        Ending::Unwritable(_) => tracing::error!(%peer, policy, reason = %ending, "closed a Kafka connection; this is a defect of the hub"),
        Ending::Frame(_) | Ending::Request(_) | Ending::Unacknowledged(_) | Ending::GrantEnded => {
            tracing::info!(%peer, policy, reason = %ending, "closed a Kafka connection");
        }
    }
}

struct Intake<'a, R> {
    session: &'a Session,
    reader: FrameReader<R>,
    answers: mpsc::Sender<Box<UnderWay>>,
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl<R: AsyncRead + Unpin> Intake<'_, R> {
    /// Takes requests until none can follow. What was taken is still to be answered.
    async fn run(mut self, first: Option<Received>) -> Ending {
        if let Some(first) = first {
            let place = self.place(first.head).await;
            if let Err(ending) = self.take(first, place).await {
                return ending;
            }
        }
        loop {
            if let Err(ending) = self.next().await {
                return ending;
            }
        }
    }

    async fn next(&mut self) -> Result<(), Ending> {
        let drain = &self.session.hub.drain;
        let head = tokio::select! {
            biased;
            () = drain.begun() => return Err(Ending::Stopping),
            head = timeout(IDLE_TIMEOUT, self.reader.head(FRAME_BYTES_MAX)) => head.map_err(|_| Ending::Idle)??,
        };
        // Before its share: the peer decides when it reads the answers that are waited for here.
        let place = self.place(head).await;
        let share = self.session.hub.kafka.request(Lane::of(head.api_key), head.length).await;
        let frame = self.reader.body(head.length).await?;
        self.session.hub.metrics.kafka_received(head.length);
        self.take(Received { incoming: wire::request(frame)?, head, share }, place).await
    }

    /// Waits until a request may follow those before it.
    async fn place(&self, head: Head) -> Place {
        let turns = match Lane::of(head.api_key) {
            Lane::Producers => 1,
            Lane::Others => PIPELINE_REQUESTS,
        };
        let turns = permit(&self.turns, turns).await;
        Place { _turns: turns, _room: permit(&self.room, head.length.min(PIPELINE_BYTES)).await }
    }

    /// Has a request carried out.
    async fn take(&mut self, Received { incoming, head, share }: Received, place: Place) -> Result<(), Ending> {
        let lane = Lane::of(head.api_key);
        let mut held = self.session.hub.kafka.decoded(lane, share, elements(&incoming)?).await;
        if !self.session.grant.is_current() {
            return Err(Ending::GrantEnded);
        }
        let (header, answer) = match incoming {
            Incoming::Request { header, body } => {
                // Boxed, so that a connection has room for it only while it is carried out.
                let handled = Box::pin(dispatch::answer(self.session, &header, body, &mut held));
                let answer = self.carried_out(&header, handled).await?;
                (header, answer)
            }
            Incoming::UnknownApiVersions { correlation_id } => {
                let header = RequestHeader { api: Api::ApiVersions, version: 0, correlation_id, client_id: None };
                (header, Answer::Frame(vec![wire::unknown_api_versions(correlation_id)?], Share::none()))
            }
            Incoming::OldProduce { header, body } => {
                let refused = OldProduce::decode(&header, &body)?;
                let frame = if refused.acks == 0 { Vec::new() } else { vec![refused.refusal(&header)] };
                (header, Answer::Frame(frame, Share::none()))
            }
        };
        let under_way = UnderWay { header, answer, held, place };
        // The outlet ends before the intake only together with the connection.
        self.answers.send(Box::new(under_way)).await.map_err(|_| Ending::Stopping)
    }

    /// Waits for a handler. One that may wait for others, and has no effect that must not be cut,
    /// is given up when the peer is gone or the hub stops.
    async fn carried_out<F>(&mut self, header: &RequestHeader, handled: F) -> Result<Answer, Ending>
    where
        F: Future<Output = Result<Answer, Ending>>,
    {
        if !may_wait(header.api) {
            return handled.await;
        }
        tokio::select! {
            biased;
            answer = handled => answer,
            gone = self.reader.hung_up() => Err(gone.into()),
            () = self.session.hub.drain.begun() => Err(Ending::Stopping),
        }
    }
}

fn elements(incoming: &Incoming) -> Result<usize, InvalidRequest> {
    match incoming {
        Incoming::Request { header, body } | Incoming::OldProduce { header, body } => wire::elements(header, body),
        Incoming::UnknownApiVersions { .. } => Ok(0),
    }
}

/// Whether a request may be parked until others do something, or has one thing after the other
/// to do that may take long, each whole.
fn may_wait(api: Api) -> bool {
    matches!(api, Api::Fetch | Api::JoinGroup | Api::SyncGroup | Api::ListOffsets | Api::DeleteGroups)
}

async fn permit(semaphore: &Arc<Semaphore>, count: usize) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_many_owned(count as u32).await {
        Ok(permit) => permit,
        // Nobody closes it.
        Err(_) => std::future::pending().await,
    }
}
