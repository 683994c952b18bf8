//! Who may use the service API, and what everybody else is told.

use std::time::Duration;

use model::{Clock, Secret, Timestamp};
use reqwest::Method;
use serde_json::json;

use crate::support::facts::Facts;
use crate::support::hub::HubProcess;
use crate::support::service::{identity_path, twin_path};

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_with_401003_and_changes_nothing() {
    let hub = HubProcess::start();
    let service = hub.service();
    service.register("dev-1").await;
    let before = Facts::of(&service, &["dev-1"]).await;
    let later = Clock::system().now().saturating_add(Duration::from_secs(3600));
    let (wrong, right) = (Secret::new(b"wrong".to_vec()), service.key());
    let sign = certs::token::sign;
    for (case, token, reason) in [
        ("none", String::new(), "token_scheme"),
        ("no token", "Bearer abc".to_owned(), "token_scheme"),
        ("another key", sign("localhost", &wrong, later, Some("iothubowner")), "token_signature"),
        ("expired", sign("localhost", &right, Timestamp::from_milliseconds(1_000_000), Some("iothubowner")), "token_expired"),
        ("another hub", sign("other.example", &right, later, Some("iothubowner")), "token_other_host"),
        ("another resource", sign("localhost/devices/dev-2", &right, later, Some("iothubowner")), "token_other_resource"),
        ("an unknown policy", sign("localhost", &right, later, Some("nobody")), "token_unknown_policy"),
        ("no policy", sign("localhost", &right, later, None), "token_no_policy"),
    ] {
        let patch = json!({"tags": {"a": 1}});
        let requests = [
            (Method::DELETE, identity_path("dev-1"), None),
            (Method::PATCH, twin_path("dev-1"), Some(&patch)),
            (Method::GET, identity_path("dev-1"), None),
        ];
        for (method, path, body) in requests {
            let lines = hub.logged(&["refused an operator", reason]);
            let answer = service.try_ask_as(&token, method, &path, Some("*"), body).await.expect("an answer");
            assert_eq!(answer.status, 401, "{case}: {answer:?}");
            let message = answer.body["Message"].as_str().unwrap_or_default();
            assert!(message.starts_with("ErrorCode:IotHubUnauthorized;"), "{case}: {message}");
            assert_eq!(hub.logged(&["refused an operator", reason]), lines + 1, "{case}: one line with {reason}\n{}", hub.log());
        }
    }
    assert_eq!(Facts::of(&service, &["dev-1"]).await, before);
}
