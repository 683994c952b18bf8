use std::time::Duration;

use super::{check, hub_with_device, stored};
use crate::https::test_hub::{HOST, TestHub};

const UNAUTHORIZED: &str = "IotHubUnauthorized";

/// Every operation, for a device or module whose path stands before it.
const OPERATIONS: [&str; 7] = [
    "POST /messages/events",
    "GET /messages/devicebound?wait=300",
    "DELETE /messages/devicebound/00000000-0000-0000-0000-000000000000",
    "DELETE /messages/devicebound/00000000-0000-0000-0000-000000000000?reject",
    "POST /messages/deviceBound/00000000-0000-0000-0000-000000000000/abandon",
    "GET /methods?wait=300",
    "POST /methods/00000000000000000000000000000000?s=200",
];

#[tokio::test]
async fn nobody_is_let_in_whose_evidence_is_not_that_of_the_path() {
    let hub = hub_with_device().await;
    hub.create_device("other").await;
    let later = hub.clock.now().saturating_add(Duration::from_secs(60));
    let wrong = certs::token::sign("localhost/devices/d", &model::Secret::new(vec![8; 32]), later, None);
    for line in OPERATIONS {
        for (case, ask) in [
            ("the token of another device", hub.ask_as("d", line).authorization(&hub.token("localhost/devices/other", None))),
            ("the token of its module", hub.ask_as("d", line).authorization(&hub.token("localhost/devices/d/modules/m", None))),
            ("the token of the device", hub.ask_as("d/m", line).authorization(&hub.token("localhost/devices/d", None))),
            ("a policy that may not connect", hub.ask_as("d", line).authorization(&hub.token(HOST, Some("service")))),
            ("another key", hub.ask_as("d", line).authorization(&wrong)),
            ("no token", hub.ask_as("d", line).authorization("Bearer x")),
            ("nothing", hub.ask_as("d", line).anonymous()),
            ("an unknown device", hub.ask_as("unknown", line)),
            ("an unknown module", hub.ask_as("d/unknown", line)),
        ] {
            let refused = hub.answer(ask).await;
            assert_eq!((refused.status, refused.code()), (401, UNAUTHORIZED), "{line}, {case}: {refused:?}");
            assert_eq!(refused.header("www-authenticate"), "SharedAccessSignature");
        }
    }
    assert!(stored(&hub).await.is_empty());
}

#[tokio::test]
async fn a_policy_that_may_connect_speaks_for_every_device() {
    let hub = hub_with_device().await;
    let ask = |identity: &str| hub.ask_as(identity, "POST /messages/events").authorization(&hub.token(HOST, Some("device")));
    check(&hub, ask("d"), 204, "").await;
    check(&hub, ask("d/m"), 204, "").await;
    check(&hub, ask("unknown"), 401, UNAUTHORIZED).await;
}

async fn disable(hub: &TestHub) {
    let body = r#"{"deviceId":"d","status":"disabled"}"#;
    check(hub, hub.ask("PUT /devices/d").if_match("*").body(body), 200, "").await;
}

#[tokio::test]
async fn what_a_connection_remembers_ends_with_the_grant_and_serves_one_identity() {
    let hub = hub_with_device().await;
    let connection = hub.origin();
    let send = || hub.ask_as("d", "POST /messages/events");
    for _ in 0..2 {
        assert_eq!(hub.answer_on(&connection, send()).await.status, 204);
    }
    let as_module = hub.ask_as("d/m", "POST /messages/events").authorization(&hub.token("localhost/devices/d", None));
    assert_eq!(hub.answer_on(&connection, as_module).await.status, 401, "the same token for another identity");
    assert_eq!(hub.answer_on(&connection, send().anonymous()).await.status, 401, "the token of the request before");
    assert_eq!(hub.answer_on(&connection, send().authorization("SharedAccessSignature x")).await.status, 401);
    disable(&hub).await;
    assert_eq!(hub.answer_on(&connection, send()).await.status, 401);
    assert_eq!(stored(&hub).await.len(), 2);
}

#[tokio::test]
async fn who_is_disabled_while_sending_has_sent_nothing() {
    let hub = hub_with_device().await;
    for line in
        ["POST /messages/events", "POST /methods/00000000000000000000000000000000?s=200", "POST /files", "POST /files/notifications"]
    {
        let (sending, mut begun) = tokio::sync::oneshot::channel();
        let (disabled, rest) = tokio::sync::oneshot::channel::<()>();
        let body = futures_util::stream::once(async move {
            sending.send(()).expect("somebody waits");
            rest.await.map(|()| "{}".into()).map_err(std::io::Error::other)
        });
        let disabling = async {
            (&mut begun).await.expect("the body is read");
            disable(&hub).await;
            disabled.send(()).expect("the body is read");
        };
        let (refused, ()) = tokio::join!(hub.answer(hub.ask_as("d", line).stream(body)), disabling);
        assert_eq!((refused.status, refused.code()), (401, UNAUTHORIZED), "{line}: {refused:?}");
        let enabled = r#"{"deviceId":"d","status":"enabled"}"#;
        check(&hub, hub.ask("PUT /devices/d").if_match("*").body(enabled), 200, "").await;
    }
    assert!(stored(&hub).await.is_empty());
}

#[tokio::test]
async fn a_token_that_runs_out_is_not_remembered_beyond() {
    let hub = hub_with_device().await;
    let connection = hub.origin();
    let token = hub.token("localhost/devices/d", None);
    let send = || hub.ask_as("d", "POST /messages/events").authorization(&token);
    assert_eq!(hub.answer_on(&connection, send()).await.status, 204);
    hub.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(hub.answer_on(&connection, send()).await.status, 401);
}

#[tokio::test]
async fn a_wait_ends_with_the_grant_it_rests_on() {
    for line in ["GET /messages/devicebound?wait=300", "GET /methods?wait=300"] {
        let hub = hub_with_device().await;
        let disabled = async {
            super::devicebound::until_waiting(&hub, 1).await;
            disable(&hub).await;
        };
        let (refused, ()) = tokio::join!(hub.answer(hub.ask_as("d", line)), disabled);
        assert_eq!((refused.status, refused.code()), (401, UNAUTHORIZED), "{line}: {refused:?}");
        assert_eq!(hub.hub.presence.polls().waiting(), 0);
    }
}
