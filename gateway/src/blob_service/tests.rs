//! Uploads from their beginning to their end, through the same function as over a socket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::https::test_hub::{Answered, HOST, TestHub};

mod hung_up;

/// An upload under way: its id, and its path with the link.
struct Begun {
    id: String,
    path: String,
}

impl Begun {
    /// The same file, `query` asking for another operation.
    fn and(&self, query: &str) -> String {
        format!("{}&{query}", self.path)
    }
}

fn device_token(hub: &TestHub, device: &str) -> String {
    hub.token(&format!("{HOST}/devices/{device}"), None)
}

async fn ask_as(hub: &TestHub, device: &str, line: &str, body: &Value) -> Answered {
    hub.answer(hub.ask(line).authorization(&device_token(hub, device)).header("host", HOST).body(&body.to_string())).await
}

async fn begin(hub: &TestHub, device: &str, name: &str) -> Begun {
    let answered = ask_as(hub, device, &format!("POST /devices/{device}/files"), &json!({ "blobName": name })).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let started = answered.json();
    let text = |key: &str| started[key].as_str().expect(key).to_owned();
    assert_eq!(
        (text("hostName").as_str(), text("containerName").as_str(), text("blobName")),
        (HOST, "uploads", format!("{device}/{name}"))
    );
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    Begun { id: text("correlationId"), path: format!("/uploads/{device}/{name}{}", text("sasToken")) }
}

async fn end(hub: &TestHub, device: &str, id: &str) -> Answered {
    let body = json!({"correlationId": id, "isSuccess": true, "statusCode": 200, "statusDescription": "OK"});
    ask_as(hub, device, &format!("POST /devices/{device}/files/notifications"), &body).await
}

async fn put(hub: &TestHub, path: &str, body: &str) -> Answered {
    hub.answer(hub.ask(&format!("PUT {path}")).anonymous().body(body)).await
}

fn storage_code(answered: &Answered) -> (u16, String) {
    let code = answered.headers.get("x-ms-error-code").map_or("", |code| code.to_str().expect("text"));
    assert!(code.is_empty() || answered.text().contains(&format!("<Code>{code}</Code>")), "{answered:?}");
    (answered.status, code.to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn hub_with_devices(names: &[&str]) -> TestHub {
    let hub = TestHub::open().await;
    for name in names {
        hub.create_device(name).await;
    }
    hub
}

fn on_disk(hub: &TestHub, path: &str) -> PathBuf {
    hub.hub.settings.data_dir.join("files").join(path)
}

/// Everything below the directory of files but the key.
fn left_over(hub: &TestHub) -> Vec<String> {
    let mut directories = vec![on_disk(hub, ".uploading")];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            found.push(path.display().to_string());
            if path.is_dir() {
                directories.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_file_goes_from_the_device_to_the_service() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let begun = begin(&hub, "dev-1", "logs/a b.txt").await;
    let ask = hub.ask(&format!("PUT {}", begun.path)).anonymous().header("x-ms-blob-type", "BlockBlob");
    let stored = hub.answer(ask.header("x-ms-client-request-id", "mine").body("hello")).await;
    assert_eq!(storage_code(&stored), refused(201, ""), "{stored:?}");
    assert_eq!(stored.headers["content-md5"], "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(stored.headers["last-modified"], "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(stored.headers["x-ms-client-request-id"], "mine");
    assert!(stored.headers.contains_key("x-ms-request-id") && stored.etag().starts_with("\"0x"));
    assert_eq!(fs::read(on_disk(&hub, "uploads/dev-1/logs%2Fa%20b.txt")).expect("the file"), b"hello");
    hub.clock.advance(Duration::from_secs(2));
    assert_eq!(end(&hub, "dev-1", &begun.id).await.status, 204);

    let told = hub.answer(hub.ask("GET /messages/serviceBound/fileNotifications")).await;
    assert_eq!(
        told.json(),
        json!({
            "deviceId": "dev-1",
            "blobUri": "https://localhost/uploads/dev-1/logs/a%20b.txt",
            "blobName": "dev-1/logs/a b.txt",
            "lastUpdatedTime": "2026-01-01T00:00:00Z",
            "blobSizeInBytes": 5,
            "enqueuedTimeUtc": "2026-01-01T00:00:02Z",
        })
    );
    let lock = told.etag().trim_matches('"').to_owned();
    assert_eq!(hub.answer(hub.ask("GET /messages/serviceBound/filenotifications")).await.status, 204);
    let path = format!("/messages/serviceBound/filenotifications/{lock}");
    assert_eq!(hub.answer(hub.ask(&format!("DELETE {path}")).if_match(&lock)).await.status, 204);
    assert_eq!(hub.answer(hub.ask(&format!("DELETE {path}"))).await.code(), "DeviceMessageLockLost");
    assert_eq!(left_over(&hub), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_is_put_together_from_its_blocks() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let begun = begin(&hub, "dev-1", "f").await;
    for (id, body) in [("AAA", "first "), ("AAB", "stale"), ("AAB", "second"), ("AAC", "never used")] {
        let answered = put(&hub, &begun.and(&format!("comp=block&blockid={}", STANDARD.encode(id))), body).await;
        assert_eq!(answered.status, 201, "{answered:?}");
    }
    let hub = hub.reopened(|_| {}).await;
    let list = |ids: &[&str]| {
        let latest: String = ids.iter().map(|id| format!("<Latest>{}</Latest>", STANDARD.encode(id))).collect();
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{latest}</BlockList>")
    };
    let missing = put(&hub, &begun.and("comp=blocklist"), &list(&["AAA", "AAX"])).await;
    assert_eq!(storage_code(&missing), refused(400, "InvalidBlockList"));
    let joined = put(&hub, &begun.and("comp=blocklist"), &list(&["AAA", "AAB"])).await;
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_eq!(fs::read(on_disk(&hub, "uploads/dev-1/f")).expect("the file"), b"first second");
    assert_eq!(left_over(&hub), Vec::<String>::new());
    let again = put(&hub, &begun.and("comp=blocklist"), &list(&["AAA"])).await;
    assert_eq!(storage_code(&again), refused(400, "InvalidBlockList"), "blocks are gone");
}

#[tokio::test]
async fn a_link_writes_one_file_until_its_upload_ends() {
    let hub = hub_with_devices(&["dev-1", "dev-2"]).await;
    let (first, second) = (begin(&hub, "dev-1", "a").await, begin(&hub, "dev-1", "b").await);
    let link = |begun: &Begun| begun.path.split_once('?').expect("a query").1.to_owned();
    let denied = refused(403, "AuthenticationFailed");
    for path in [
        format!("/uploads/dev-1/b?{}", link(&first)),
        format!("/uploads/dev-2/a?{}", link(&first)),
        "/uploads/dev-1/a".to_owned(),
        format!("/uploads/dev-1/a?{}", link(&first).replace("sp=cw", "sp=rcw")),
        format!("/uploads/dev-1/a?{}", link(&first).replace(&first.id, &second.id)),
    ] {
        assert_eq!(storage_code(&put(&hub, &path, "x").await), denied, "{path}");
    }
    let read = hub.answer(hub.ask(&format!("GET {}", first.path)).anonymous()).await;
    assert_eq!(storage_code(&read), refused(403, "AuthorizationPermissionMismatch"));
    let deleted = hub.answer(hub.ask(&format!("DELETE {}", first.path)).anonymous()).await;
    assert_eq!(storage_code(&deleted), refused(405, "UnsupportedHttpVerb"));

    assert_eq!(put(&hub, &first.path, "x").await.status, 201);
    assert_eq!(put(&hub, &first.path, "y").await.status, 201, "again, before its end");
    assert_eq!(end(&hub, "dev-2", &first.id).await.code(), "IotHubFormatError", "another device's");
    assert_eq!(end(&hub, "dev-1", &first.id).await.status, 204);
    assert_eq!(storage_code(&put(&hub, &first.path, "z").await), denied, "after its end");
    assert_eq!(end(&hub, "dev-1", &first.id).await.code(), "IotHubFormatError", "a second end");
    assert_eq!(fs::read(on_disk(&hub, "uploads/dev-1/a")).expect("the file"), b"y");

    hub.clock.advance(Duration::from_secs(3600));
    assert_eq!(storage_code(&put(&hub, &second.path, "x").await), denied, "expired");
    assert!(!on_disk(&hub, "uploads/dev-1/b").exists());
}

#[tokio::test]
async fn a_disabled_or_deleted_device_writes_nothing_more() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let begun = begin(&hub, "dev-1", "a").await;
    let body = json!({"deviceId": "dev-1", "status": "disabled", "authentication": {"type": "sas"}}).to_string();
    let disabled = hub.answer(hub.ask("PUT /devices/dev-1").if_match("*").body(&body)).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    assert_eq!(storage_code(&put(&hub, &begun.path, "x").await), refused(403, "AuthenticationFailed"));
    assert_eq!(hub.answer(hub.ask("DELETE /devices/dev-1").if_match("*")).await.status, 204);
    hub.create_device("dev-1").await;
    assert_eq!(storage_code(&put(&hub, &begun.path, "x").await), refused(403, "AuthenticationFailed"));
}

#[tokio::test]
async fn a_name_leads_nowhere_else() {
    let hub = hub_with_devices(&["dev-1"]).await;
    for name in ["", "..", "../dev-2/a", "a/../../b", "a//b", "/a", "a\\b", "a\u{0}b", "a\nb", &"x".repeat(1100)] {
        let answered = ask_as(&hub, "dev-1", "POST /devices/dev-1/files", &json!({ "blobName": name })).await;
        assert_eq!((answered.status, answered.code()), (400, "ArgumentInvalid"), "{name:?}");
    }
    let begun = begin(&hub, "dev-1", "a").await;
    let link = begun.path.split_once('?').expect("a query").1;
    for path in ["dev-1/../link.key", "dev-1/%2e%2e/%2e%2e/hub.db", "..%2Flink.key", ".uploading/x", "dev-1/a%00", "dev-1/%FF", "dev-1", ""]
    {
        let answered = put(&hub, &format!("/uploads/{path}?{link}"), "x").await;
        assert!(matches!(answered.status, 400 | 403), "{path}: {answered:?}");
        let read = hub.answer(hub.ask(&format!("GET /files/uploads/{path}"))).await;
        assert!(matches!(read.status, 400 | 404), "{path}: {read:?}");
    }
    assert_eq!(begin(&hub, "dev-1", "%2e%2e").await.path.matches("%252e").count(), 2, "that is a name as any other");
}

#[tokio::test]
async fn the_eleventh_upload_waits_for_an_end() {
    let hub = hub_with_devices(&["dev-1", "dev-2"]).await;
    let mut begun = Vec::new();
    for number in 0..10 {
        begun.push(begin(&hub, "dev-1", &number.to_string()).await);
    }
    let body = json!({"blobName": "eleventh"});
    let refused = ask_as(&hub, "dev-1", "POST /devices/dev-1/files", &body).await;
    assert_eq!((refused.status, refused.code()), (403, "DeviceMaximumActiveFileUploadLimitExceeded"));
    begin(&hub, "dev-2", "first").await;
    let given_up = json!({"isSuccess": false, "statusCode": 500, "statusDescription": "gave up"});
    let path = format!("POST /devices/dev-1/files/notifications/{}", begun[0].id);
    assert_eq!(ask_as(&hub, "dev-1", &path, &given_up).await.status, 204);
    begin(&hub, "dev-1", "eleventh").await;
    assert_eq!(hub.answer(hub.ask("GET /messages/serviceBound/filenotifications")).await.status, 204, "of a failure nobody is told");
}

#[tokio::test]
async fn an_end_without_a_file_is_not_told() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let begun = begin(&hub, "dev-1", "a").await;
    assert_eq!(end(&hub, "dev-1", &begun.id).await.code(), "ResourceNotFound");
    assert_eq!(end(&hub, "dev-1", "0000").await.code(), "IotHubFormatError");
    assert_eq!(put(&hub, &begun.path, "").await.status, 201, "an empty file is a file");
    assert_eq!(end(&hub, "dev-1", &begun.id).await.status, 204);
    let body = json!({"isSuccess": true});
    assert_eq!(ask_as(&hub, "dev-1", "POST /devices/dev-1/files/notifications", &body).await.code(), "ArgumentNull");
}

#[tokio::test]
async fn a_body_that_is_not_what_was_said_leaves_nothing() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let begun = begin(&hub, "dev-1", "a").await;
    let ask = |query: &str| hub.ask(&format!("PUT {}{query}", begun.path)).anonymous();
    let wrong_md5 = STANDARD.encode([7; 16]);
    let cases = [
        (ask("").header("content-md5", &wrong_md5).body("hello"), 400, "Md5Mismatch"),
        (ask("").header("x-ms-content-crc64", "AAAAAAAAAAA=").body("hello"), 400, "Crc64Mismatch"),
        (ask("").header("content-md5", "x").body("hello"), 400, "InvalidHeaderValue"),
        (ask("").header("x-ms-blob-type", "PageBlob").body("hello"), 400, "UnsupportedHeader"),
        (ask("").header("x-ms-copy-source", "https://elsewhere.example/").body(""), 400, "UnsupportedHeader"),
        (ask("&comp=lease").body("hello"), 400, "InvalidQueryParameterValue"),
        (ask("&comp=block").body("hello"), 400, "InvalidBlockId"),
        (ask("&comp=block&blockid=!").body("hello"), 400, "InvalidBlockId"),
        (ask("&comp=blocklist").body("hello"), 400, "InvalidXmlDocument"),
        (ask("").header("if-match", "*").body("hello"), 412, "ConditionNotMet"),
    ];
    for (ask, status, code) in cases {
        assert_eq!(storage_code(&hub.answer(ask).await), refused(status, code));
    }
    let broken = stream::iter([Ok(Bytes::from("hel")), Err(std::io::Error::other("gone"))]);
    let answered = hub.answer(ask("").stream(broken)).await;
    assert_eq!(storage_code(&answered), refused(400, "InvalidInput"));
    assert!(!on_disk(&hub, "uploads").exists());
    assert_eq!(left_over(&hub), Vec::<String>::new());

    assert_eq!(put(&hub, &begun.path, "x").await.status, 201);
    let exists = hub.answer(ask("").header("if-none-match", "*").body("y")).await;
    assert_eq!(storage_code(&exists), refused(409, "BlobAlreadyExists"));
    assert_eq!(fs::read(on_disk(&hub, "uploads/dev-1/a")).expect("the file"), b"x");
}

#[tokio::test]
async fn a_file_and_all_files_have_their_bounds() {
    let hub = TestHub::open_with_files(|files| (files.file_bytes_max, files.bytes_max) = (8192, 16 * 1024)).await;
    hub.create_device("dev-1").await;
    let begun = begin(&hub, "dev-1", "a").await;
    let large = "x".repeat(8193);
    assert_eq!(storage_code(&put(&hub, &begun.path, &large).await), refused(413, "RequestBodyTooLarge"));
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000])));
    let answered = hub.answer(hub.ask(&format!("PUT {}", begun.path)).anonymous().stream(endless)).await;
    assert_eq!(storage_code(&answered), refused(413, "RequestBodyTooLarge"));
    assert_eq!(left_over(&hub), Vec::<String>::new());
    for name in ["b", "c", "d"] {
        let begun = begin(&hub, "dev-1", name).await;
        assert_eq!(put(&hub, &begun.path, "small").await.status, 201);
    }
    assert_eq!(storage_code(&put(&hub, &begun.path, &"x".repeat(8192)).await), refused(507, "AccountQuotaExceeded"));
    let hub = hub.reopened(|_| {}).await;
    assert_eq!(
        storage_code(&put(&hub, &begun.path, &"x".repeat(8192)).await),
        refused(507, "AccountQuotaExceeded"),
        "counted at the start"
    );
    assert_eq!(hub.answer(hub.ask("DELETE /files/uploads/dev-1/b")).await.status, 204);
    assert_eq!(put(&hub, &begun.path, &"x".repeat(8192)).await.status, 201, "there is room again");
}

#[tokio::test]
async fn operators_list_read_share_and_remove_files() {
    let hub = hub_with_devices(&["dev-1", "dev-2"]).await;
    for (device, name) in [("dev-2", "z"), ("dev-1", "a/b")] {
        let begun = begin(&hub, device, name).await;
        assert_eq!(put(&hub, &begun.path, "0123456789").await.status, 201);
    }
    let listed = hub.answer(hub.ask("GET /files")).await.json();
    let names: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|file| file["blobName"].as_str()).collect();
    assert_eq!(names, ["dev-1/a/b", "dev-2/z"]);
    assert_eq!(hub.answer(hub.ask("GET /files?device=dev-2")).await.json()[0]["blobSizeInBytes"], 10);
    let read = hub.answer(hub.ask("GET /files/uploads/dev-1/a/b")).await;
    assert_eq!((read.status, read.text()), (200, "0123456789"));
    assert_eq!(read.headers["content-type"], "application/octet-stream");
    let token = hub.token(HOST, Some("reader"));
    assert_eq!(hub.answer(hub.ask("GET /files").authorization(&token)).await.status, 401, "takes ServiceConnect");

    let first = hub.answer(hub.ask("GET /files?top=1")).await;
    assert_eq!((first.json()[0]["blobName"].as_str(), first.json().as_array().map(Vec::len)), (Some("dev-1/a/b"), Some(1)));
    let continuation = first.headers["x-ms-continuation"].to_str().expect("text").to_owned();
    let last = hub.answer(hub.ask("GET /files?top=1").header("x-ms-continuation", &continuation)).await;
    assert_eq!(last.json()[0]["blobName"], "dev-2/z");
    assert!(!last.headers.contains_key("x-ms-continuation"), "nothing is behind the last");

    let link = hub.answer(hub.ask("POST /files/uploads/dev-1/a%2Fb?seconds=60").header("host", HOST)).await;
    let uri = link.json()["uri"].as_str().expect("a link").to_owned();
    let path = uri.strip_prefix("https://localhost").expect("the hub");
    let part = hub.answer(hub.ask(&format!("GET {path}")).anonymous().header("range", "bytes=2-4")).await;
    assert_eq!((part.status, part.text(), part.headers["content-range"].to_str().ok()), (206, "234", Some("bytes 2-4/10")));
    let outside = hub.answer(hub.ask(&format!("GET {path}")).anonymous().header("range", "bytes=10-")).await;
    assert_eq!(storage_code(&outside), refused(416, "InvalidRange"));
    let head = hub.send(hub.ask(&format!("HEAD {path}")).anonymous()).await;
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().ok()), (200, Some("10")));
    assert_eq!(storage_code(&put(&hub, path, "x").await), refused(403, "AuthorizationPermissionMismatch"));

    assert_eq!(hub.answer(hub.ask("DELETE /files/uploads/dev-1/a/b")).await.status, 204);
    assert_eq!(hub.answer(hub.ask("DELETE /files/uploads/dev-1/a/b")).await.code(), "ResourceNotFound");
    assert!(!on_disk(&hub, "uploads/dev-1").exists(), "its directory goes with the last file");
    assert_eq!(storage_code(&hub.answer(hub.ask(&format!("GET {path}")).anonymous()).await), refused(404, "BlobNotFound"));
    hub.clock.advance(Duration::from_secs(60));
    assert_eq!(storage_code(&hub.answer(hub.ask(&format!("GET {path}")).anonymous()).await), refused(403, "AuthenticationFailed"));
}

#[tokio::test]
async fn a_start_clears_what_nobody_can_go_on_with_and_keeps_its_key() {
    let hub = hub_with_devices(&["dev-1"]).await;
    let (kept, gone) = (begin(&hub, "dev-1", "a").await, begin(&hub, "dev-1", "b").await);
    for begun in [&kept, &gone] {
        assert_eq!(put(&hub, &begun.and("comp=block&blockid=QUFB"), "block").await.status, 201);
    }
    let body = json!({"isSuccess": false});
    let hub = hub
        .reopened(|directory| {
            fs::write(directory.join("files/.uploading/half.part"), "half of a body").expect("written");
            fs::create_dir(directory.join("files/.uploading/nobodys")).expect("made");
            fs::write(directory.join("files/.uploading/nobodys/41"), "block").expect("written");
        })
        .await;
    assert_eq!(left_over(&hub).len(), 4, "{:?}", left_over(&hub));
    let path = format!("POST /devices/dev-1/files/notifications/{}", gone.id);
    assert_eq!(ask_as(&hub, "dev-1", &path, &body).await.status, 204);
    assert_eq!(left_over(&hub).len(), 2, "the blocks of the other: {:?}", left_over(&hub));
    let list = "<BlockList><Latest>QUFB</Latest></BlockList>";
    assert_eq!(put(&hub, &kept.and("comp=blocklist"), list).await.status, 201, "the link still holds");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(on_disk(&hub, "link.key")).expect("the key").permissions());
    assert_eq!(mode & 0o777, 0o600);
}
