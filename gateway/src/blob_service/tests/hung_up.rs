//! Callers who do not wait for their answer, hanging up at each moment there is.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{begin, end, hub_with_devices, on_disk, put};
use crate::https::test_hub::{Answered, TestHub};

/// More steps than a request takes.
const STEPS_MAX: usize = 1000;

/// Drives a request for so many steps and hangs up; says whether it was answered before. What it
/// has begun is then carried out.
async fn answered_within(hub: &TestHub, steps: usize, request: impl Future<Output = Answered>) -> bool {
    let is_answered = {
        let mut request = pin!(request);
        let mut left = steps;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            request.as_mut().poll(context).map(|_| true)
        })
        .await
    };
    hub.hub.drain.begin(Duration::from_secs(60));
    assert_eq!(hub.hub.drain.finished().await, 0);
    is_answered
}

fn counted(hub: &TestHub, name: &str) -> usize {
    let mut text = String::new();
    hub.hub.metrics.encode(&mut text).expect("text");
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_stored_file_is_counted_though_its_sender_has_hung_up() {
    for steps in 0..STEPS_MAX {
        let hub = hub_with_devices(&["d"]).await;
        let begun = begin(&hub, "d", "f").await;
        let is_answered = answered_within(&hub, steps, put(&hub, &begun.path, "x")).await;
        let stored = usize::from(on_disk(&hub, "uploads/d/f").exists());
        assert_eq!(counted(&hub, "isthmus_files_stored_total"), stored, "after {steps} steps");
        if is_answered {
            assert_eq!(stored, 1);
            return;
        }
    }
    panic!("no request was answered");
}

#[tokio::test]
async fn an_ended_upload_is_counted_though_its_device_has_hung_up() {
    for steps in 0..STEPS_MAX {
        let hub = hub_with_devices(&["d"]).await;
        let begun = begin(&hub, "d", "f").await;
        assert_eq!(put(&hub, &begun.path, "x").await.status, 201);
        let is_answered = answered_within(&hub, steps, end(&hub, "d", &begun.id)).await;
        let told = hub.hub.twins.receive_file_notification(None).await.expect("a store").into_iter().count();
        assert_eq!(counted(&hub, "isthmus_file_uploads_ended_total{outcome=\"success\"}"), told, "after {steps} steps");
        if is_answered {
            assert_eq!(told, 1);
            return;
        }
    }
    panic!("no request was answered");
}
