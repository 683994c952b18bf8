use certs::issue::Issuer;
use serde_json::{Value, json};

use super::check;
use crate::https::test_hub::TestHub;

fn request(pem: &str, verified: bool) -> String {
    json!({"certificate": pem, "verified": verified, "idScope": ["plant-"]}).to_string()
}

#[tokio::test]
async fn a_ca_is_enrolled_shown_switched_and_removed() {
    let hub = TestHub::open().await;
    let issuer = Issuer::create("test ca", hub.clock.now(), std::time::Duration::from_secs(86_400)).expect("a CA");
    let pem = issuer.certificate_pem();
    let added = check(&hub, hub.ask("POST /certificateAuthorities").body(&request(&pem, false)), 201, "").await.json();
    assert_eq!((added["state"].as_str(), added["idScope"].clone()), (Some("unverified"), json!(["plant-"])));
    let thumbprint = added["thumbprint"].as_str().expect("a thumbprint").to_owned();
    check(&hub, hub.ask("POST /certificateAuthorities").body(&request(&pem, true)), 409, "ResourceConflict").await;

    let path = format!("/certificateAuthorities/{}", thumbprint.to_lowercase());
    let state = |state: &str| hub.ask(&format!("PUT {path}/State")).body(&format!("\"{state}\""));
    check(&hub, state("enabled"), 200, "").await;
    let shown = check(&hub, hub.ask(&format!("GET {path}")), 200, "").await.json();
    assert_eq!(shown["state"], "enabled");
    assert_eq!(check(&hub, hub.ask("GET /certificateauthorities"), 200, "").await.json(), Value::Array(vec![shown]));
    assert_eq!(hub.hub.judge.snapshot().cas.len(), 1, "it counts at once");

    check(&hub, state("unverified"), 400, "ArgumentInvalid").await;
    check(&hub, state("asleep"), 400, "IotHubFormatError").await;
    check(&hub, hub.ask(&format!("DELETE {path}")), 204, "").await;
    assert!(hub.hub.judge.snapshot().cas.is_empty());
    for line in [format!("GET {path}"), format!("DELETE {path}")] {
        check(&hub, hub.ask(&line), 404, "ResourceNotFound").await;
    }
    check(&hub, state("disabled"), 404, "ResourceNotFound").await;
}

#[tokio::test]
async fn what_is_no_ca_is_refused() {
    let hub = TestHub::open().await;
    let issuer = Issuer::create("test ca", hub.clock.now(), std::time::Duration::from_secs(86_400)).expect("a CA");
    let device = issuer.issue_device(&"d".parse().expect("an id"), hub.clock.now(), std::time::Duration::from_secs(60)).expect("a leaf");
    let with_key = format!("{}{}", issuer.certificate_pem(), *issuer.key_pem());
    for pem in ["", "no certificate", &device.chain_pem, &with_key] {
        check(&hub, hub.ask("POST /certificateAuthorities").body(&request(pem, true)), 400, "ArgumentInvalid").await;
    }
    check(&hub, hub.ask("GET /certificateAuthorities/abc"), 400, "ArgumentInvalid").await;
    assert!(hub.hub.judge.snapshot().cas.is_empty());
}
