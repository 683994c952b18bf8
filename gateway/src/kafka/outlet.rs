//! Answers out, in the order in which their requests were taken.
//!
//! An answer is made ahead of the peer's reading: once the disk has what a produce request brought,
//! the request is given back though answers before its own are still unread.

use bytes::Bytes;
use kafka_proto::wire::RequestHeader;
use tokio::io::AsyncWrite;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::budget::{Budgets, Held, Share};
use super::connection::{Ending, PIPELINE_REQUESTS};
use super::dispatch::Answer;
use super::frames::FrameWriter;

/// A request on its way to its answer.
pub(super) struct UnderWay {
    pub(super) header: RequestHeader,
    pub(super) answer: Answer,
    /// The request's memory.
    pub(super) held: Held,
    pub(super) place: Place,
}

/// A request's place among those of its connection that are not answered.
pub(super) struct Place {
    pub(super) _turns: OwnedSemaphorePermit,
    /// For its bytes.
    pub(super) _room: OwnedSemaphorePermit,
}

/// An answer to be sent.
struct Made {
    pieces: Vec<Bytes>,
    /// Its memory, and the request's place.
    _held: (Share, Share, Held, Place),
}

/// Sends answers until no request can follow.
///
/// # Errors
/// [`Ending`] when an answer cannot be sent, or must not be: those before it are sent.
pub(super) async fn run<W: AsyncWrite + Unpin>(
    queue: mpsc::Receiver<Box<UnderWay>>,
    budgets: &Budgets,
    writer: &mut FrameWriter<W>,
) -> Result<(), Ending> {
    let (answers, made) = mpsc::channel(PIPELINE_REQUESTS);
    let making = async {
        make(queue, budgets, answers).await;
        Ok(())
    };
    tokio::try_join!(making, send(made, writer)).map(|((), ())| ())
}

/// Makes answers until one cannot be, which ends the connection.
async fn make(mut queue: mpsc::Receiver<Box<UnderWay>>, budgets: &Budgets, answers: mpsc::Sender<Result<Box<Made>, Ending>>) {
    while let Some(under_way) = queue.recv().await {
        let made = made(*under_way, budgets).await;
        let is_last = made.is_err();
        if answers.send(made.map(Box::new)).await.is_err() || is_last {
            return;
        }
    }
}

async fn made(UnderWay { header, answer, held, place }: UnderWay, budgets: &Budgets) -> Result<Made, Ending> {
    let (pieces, share) = match answer {
        Answer::Frame(pieces, share) => (pieces, share),
        Answer::Produced(staged) => (staged.settled(&header).await?, Share::none()),
    };
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    let (held, beside) = budgets.kept(held, bytes.saturating_sub(share.amount())).await;
    Ok(Made { pieces, _held: (share, beside, held, place) })
}

async fn send<W: AsyncWrite + Unpin>(
    mut answers: mpsc::Receiver<Result<Box<Made>, Ending>>,
    writer: &mut FrameWriter<W>,
) -> Result<(), Ending> {
    while let Some(made) = answers.recv().await {
        let Made { pieces, _held } = *made?;
        if !pieces.is_empty() {
            writer.send(pieces).await?;
        }
    }
    Ok(())
}
