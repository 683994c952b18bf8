//! Handing a recording's rows to their devices, at its pace.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Recording, ReplayError, Row};
use crate::units::Speed;

/// Rows read ahead of the one that is due.
const ROWS_AHEAD: usize = 256;

/// Sends each row to the device's channel in file order, when it is due, until all are sent or
/// `stop` says to end. The channels close when this ends.
pub(crate) async fn play(
    recording: Arc<Recording>,
    devices: Vec<mpsc::Sender<Bytes>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ReplayError> {
    let mut pace = Pace::new(recording.options.speed);
    let (sender, mut rows) = mpsc::channel(ROWS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(&recording, &sender));
    let playing = async {
        while let Some(row) = rows.recv().await {
            if let Some(due) = pace.due(row.time) {
                tokio::time::sleep_until(due).await;
            }
            // A device that has ended takes nothing more; the others go on.
            if let Some(device) = devices.get(row.device) {
                let _ = device.send(row.body).await;
            }
        }
    };
    let stopped = async {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        () = playing => {}
        () = stopped => {}
    }
    rows.close();
    // A reader that panicked has already said so.
    reading.await.unwrap_or(Ok(()))
}

fn read(recording: &Recording, sender: &mpsc::Sender<Row>) -> Result<(), ReplayError> {
    for row in recording.rows()? {
        if sender.blocking_send(row?).is_err() {
            break;
        }
    }
    Ok(())
}

/// From the times in a recording to the times of playing it.
struct Pace {
    speed: Speed,
    start: Option<(Timestamp, Instant)>,
}

impl Pace {
    fn new(speed: Speed) -> Self {
        Self { speed, start: None }
    }

    /// When a row of this time is due; None means now.
    fn due(&mut self, time: Option<Timestamp>) -> Option<Instant> {
        let (Speed::Times(times), Some(time)) = (self.speed, time) else { return None };
        let (first, started) = *self.start.get_or_insert_with(|| (time, Instant::now()));
        let elapsed = time.saturating_since(first).as_secs_f64() / times;
        started.checked_add(Duration::try_from_secs_f64(elapsed).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_are_due_at_the_speed_asked_for() {
        let at = |seconds: i64| Some(Timestamp::from_milliseconds(seconds * 1000));
        let mut pace = Pace::new(Speed::Times(60.0));
        let start = pace.due(at(1000)).expect("paced");
        assert_eq!(pace.due(at(1060)), Some(start + Duration::from_secs(1)));
        assert_eq!(pace.due(at(400)), Some(start), "a time before the first waits for nothing");
        assert_eq!(Pace::new(Speed::Max).due(at(1000)), None);
    }
}
