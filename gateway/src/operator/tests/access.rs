use std::time::Duration;

use super::check;
use crate::https::test_hub::{HOST, TestHub};

const UNAUTHORIZED: &str = "IotHubUnauthorized";
const FORBIDDEN: &str = "IotHubUnauthorizedAccess";

#[tokio::test]
async fn each_operation_needs_its_right() {
    let hub = TestHub::open().await;
    let registry_read = [
        "GET /devices",
        "GET /devices/d",
        "GET /devices/d/modules",
        "GET /devices/d/modules/m",
        "GET /statistics/devices",
        "GET /certificateAuthorities",
    ];
    let registry_write = [
        "PUT /devices/d",
        "DELETE /devices/d",
        "POST /devices",
        "PUT /devices/d/modules/m",
        "DELETE /devices/d/modules/m",
        "POST /certificateAuthorities",
        "PUT /certificateAuthorities/x/state",
        "DELETE /certificateAuthorities/x",
        "PUT /eventHubs/x",
        "PATCH /eventHubs/x",
        "DELETE /eventHubs/x",
        "GET /eventHubs/x/policies",
        "GET /eventHubs/x/policies/p",
        "PUT /eventHubs/x/policies/p",
        "DELETE /eventHubs/x/policies/p",
    ];
    let service = [
        "GET /twins/d",
        "PUT /twins/d",
        "PATCH /twins/d/modules/m",
        "POST /twins/d/methods",
        "POST /twins/d/modules/m/methods",
        "GET /devices/d/commands",
        "POST /devices/d/commands",
        "DELETE /devices/d/modules/m/commands",
        "GET /statistics/service",
        "GET /messages/serviceBound/feedback",
        "DELETE /messages/serviceBound/feedback/x",
        "POST /messages/serviceBound/feedback/x/abandon",
        "GET /messages/serviceBound/fileNotifications",
        "DELETE /messages/serviceBound/fileNotifications/x",
        "POST /messages/serviceBound/fileNotifications/x/abandon",
        "GET /eventHubs",
        "GET /eventHubs/events",
        "GET /eventHubs/events/partitions",
        "GET /eventHubs/events/events",
    ];
    for (operations, lacking, refused) in [
        (&registry_read[..], &["service", "device"][..], FORBIDDEN),
        (&registry_write[..], &["reader", "service", "device"][..], FORBIDDEN),
        (&["POST /eventHubs/events/events"][..], &["reader", "writer", "service", "device"][..], FORBIDDEN),
        (&service[..], &["reader", "writer", "device"][..], FORBIDDEN),
    ] {
        for operation in operations {
            for policy in lacking {
                let token = hub.token(HOST, Some(policy));
                check(&hub, hub.ask(operation).authorization(&token), 401, refused).await;
            }
            check(&hub, hub.ask(operation).anonymous(), 401, UNAUTHORIZED).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_refused_whatever_is_wrong_with_it() {
    let hub = TestHub::open().await;
    hub.create_device("d").await;
    let expired = hub.token(HOST, Some("owner"));
    hub.clock.advance(Duration::from_secs(3601));
    let cases = [
        ("of another hub", hub.token("elsewhere", Some("owner"))),
        ("for another device", hub.token("localhost/devices/other", Some("owner"))),
        ("for a device whose name begins alike", hub.token("localhost/device", Some("owner"))),
        ("of an unknown policy", hub.token(HOST, Some("nobody"))),
        ("of a device", hub.token("localhost/devices/d", None)),
        ("not a token", "Bearer abc".to_owned()),
        ("empty", String::new()),
        ("cut", hub.token(HOST, Some("owner")).replace("&se=", "&sx=")),
        ("signed for a later time", hub.token(HOST, Some("owner")).replace("&se=1", "&se=2")),
        ("expired", expired),
    ];
    for (what, token) in cases {
        let answered = hub.answer(hub.ask("GET /devices/d").authorization(&token)).await;
        assert_eq!((answered.status, answered.code()), (401, UNAUTHORIZED), "a token {what}: {answered:?}");
        assert!(answered.headers.contains_key("www-authenticate"));
    }
    let narrow = hub.token("LocalHost/devices/d", Some("owner"));
    check(&hub, hub.ask("GET /devices/d").authorization(&narrow), 200, "").await;
}

#[tokio::test]
async fn nothing_is_read_of_a_stranger() {
    let hub = TestHub::open().await;
    check(&hub, hub.ask("PUT /devices/d").anonymous().body("{"), 401, UNAUTHORIZED).await;
    check(&hub, hub.ask("PUT /devices/a%2Fb").anonymous(), 401, UNAUTHORIZED).await;
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_what_is_not_built_are_told_apart() {
    let hub = TestHub::open().await;
    for (line, status, code) in [
        ("GET /", 404, "ResourceNotFound"),
        ("GET /nothing", 404, "ResourceNotFound"),
        ("GET /devices/d/nothing", 404, "ResourceNotFound"),
        ("GET /devices//modules", 400, "ArgumentInvalid"),
        ("PATCH /devices/d", 405, "MethodNotAllowed"),
        ("DELETE /twins/d", 405, "MethodNotAllowed"),
        ("GET /twins/d/methods", 405, "MethodNotAllowed"),
        ("POST /devices/query", 501, "NotImplemented"),
        ("POST /devices/d/applyConfigurationContent", 501, "NotImplemented"),
        ("GET /jobs", 501, "NotImplemented"),
        ("PUT /jobs/v2/j", 501, "NotImplemented"),
        ("GET /jobs/v2/query?jobType=x", 501, "NotImplemented"),
        ("GET /configurations?top=5", 501, "NotImplemented"),
        ("POST /configurations/testQueries", 501, "NotImplemented"),
        ("PATCH /digitalTwins/d", 501, "NotImplemented"),
        ("PUT /messages/serviceBound/feedback", 405, "MethodNotAllowed"),
        ("GET /messages/serviceBound/feedback/x", 405, "MethodNotAllowed"),
        ("GET /messages/serviceBound/others", 404, "ResourceNotFound"),
        ("GET /$iothub/websocket", 400, "ArgumentInvalid"),
    ] {
        check(&hub, hub.ask(line), status, code).await;
    }
}
