//! A request that a hub is in the middle of until the test goes on with it.

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::client_tls;
use super::deadline::{SOON, within};
use super::hub::HubProcess;

const BODY: &str = "sent late";
const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Telemetry over HTTP/1.1 whose body the hub waits for.
pub(crate) struct UnfinishedRequest {
    stream: TlsStream<TcpStream>,
}

impl UnfinishedRequest {
    /// Sends the head as `device`, which proves itself by its certificate, until the hub wants the body.
    pub(crate) async fn begin(hub: &HubProcess, device: &str) -> Self {
        let tls = client_tls(&hub.server_ca_pem(), Some(&hub.device_ca().issue(device)));
        let socket = TcpStream::connect(hub.ports().https).await.expect("a socket");
        let mut stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost").expect("a name"), socket).await.expect("TLS");
        let length = BODY.len();
        let head = format!(
            "POST /devices/{device}/messages/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = vec![0; GO_ON.len()];
        within("the hub's wish", SOON, stream.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), GO_ON);
        Self { stream }
    }

    /// Sends the body; gives the line of the answer that has the status, empty when the hub went.
    pub(crate) async fn finish(mut self) -> String {
        let mut answer = Vec::new();
        // How the connection ends does not matter, only what came before.
        let _ = self.stream.write_all(BODY.as_bytes()).await;
        let _ = within("the hub's close", SOON, self.stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}
