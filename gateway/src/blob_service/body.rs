//! Receiving a body: counted before and while it comes, bounded in time, never whole in memory.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::reason::Reason;
use crate::files::{Part, PartError};

/// The longest silence within a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a body of any size may take, beyond what its bytes give it.
const GRACE: Duration = Duration::from_secs(60);
/// What a body must come with on the average.
const BYTES_A_SECOND_MIN: u64 = 4 * 1024;

/// When the next piece of a body is due.
#[derive(Debug)]
struct Pace {
    began: Instant,
    bytes: u64,
}

impl Pace {
    fn begin() -> Self {
        Self { began: Instant::now(), bytes: 0 }
    }

    fn deadline(&self) -> Instant {
        let earned = Duration::from_secs(self.bytes / BYTES_A_SECOND_MIN);
        (self.began + GRACE + earned).min(Instant::now() + SILENCE_MAX)
    }

    /// The next piece, `None` at the end.
    async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, Reason> {
        loop {
            let frame = timeout_at(self.deadline(), body.frame()).await.map_err(|_| Reason::TooSlow)?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Reason::Broken(error.to_string())),
                // Trailers say nothing to us.
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        self.bytes = self.bytes.saturating_add(piece.len() as u64);
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}

/// Refuses a body that is announced too large, before any of it is read.
pub(super) fn check_announced(body: &Body, max: u64) -> Result<(), Reason> {
    if body.size_hint().lower() > max { Err(Reason::TooLarge { max }) } else { Ok(()) }
}

/// Writes all of a body to `part`.
pub(super) async fn receive(mut body: Body, part: &mut Part) -> Result<(), Reason> {
    let mut pace = Pace::begin();
    while let Some(piece) = pace.next(&mut body).await? {
        part.write(&piece).await.map_err(|error: PartError| Reason::from(error))?;
    }
    Ok(())
}

/// Reads a body of at most `max` bytes into memory.
pub(super) async fn collect(mut body: Body, max: usize) -> Result<Vec<u8>, Reason> {
    check_announced(&body, max as u64)?;
    let mut pace = Pace::begin();
    let mut collected = Vec::new();
    while let Some(piece) = pace.next(&mut body).await? {
        if collected.len() + piece.len() > max {
            return Err(Reason::TooLarge { max: max as u64 });
        }
        collected.extend_from_slice(&piece);
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// A body with `bytes` every twenty seconds, and how long it was listened to.
    async fn drip(bytes: usize) -> (Result<Vec<u8>, Reason>, Duration) {
        let body = stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes])), ()))
        });
        let began = Instant::now();
        (collect(Body::from_stream(body), 1024 * 1024).await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_silent_or_drips_is_cut_off() {
        let began = Instant::now();
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert!(matches!(collect(silent, 8).await, Err(Reason::TooSlow)));
        assert_eq!(began.elapsed(), SILENCE_MAX);
        let (collected, took) = drip(1).await;
        assert!(matches!(collected, Err(Reason::TooSlow)), "{collected:?}");
        assert_eq!(took, GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_steadily_is_only_bounded_in_size() {
        let (collected, took) = drip(20 * BYTES_A_SECOND_MIN as usize).await;
        assert!(matches!(collected, Err(Reason::TooLarge { .. })), "{collected:?}");
        assert!(took > 2 * GRACE);
    }
}
