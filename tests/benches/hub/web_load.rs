//! Telemetry over HTTPS: each device has a connection and one POST under way on it, from one
//! thread that does little beside what TLS costs.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use rustls::ClientConfig;

use crate::client::{Client, Login, PAYLOAD_BYTES};
use crate::http1;
use crate::http2::Conversation;
use crate::links::{Link, Links};
use crate::server::Server;
use crate::workload::{Tally, Workload};

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "HTTP/1.1",
            Self::Two => "HTTP/2",
        })
    }
}

/// Connections, each with its request.
pub(crate) struct WebLoad {
    links: Links,
    senders: Vec<Sender>,
    heard: Vec<usize>,
}

impl WebLoad {
    /// Connects each of `logins` to `server`.
    ///
    /// # Errors
    /// When a connection is refused.
    pub(crate) fn connect(server: &Server, logins: &[Login], version: Http) -> anyhow::Result<Self> {
        let address = server.https_address()?;
        let clients = logins.iter().map(|login| Client::secure(address, &speaking(version, &login.tls)));
        let mut links = Links::new(clients.collect::<anyhow::Result<_>>().with_context(|| server.kind.to_string())?)?;
        let mut senders = Vec::with_capacity(logins.len());
        for (place, login) in logins.iter().enumerate() {
            senders.push(Sender::new(login, version, links.at(place)?)?);
        }
        Ok(Self { links, senders, heard: Vec::new() })
    }
}

/// The same configuration, for a server that asks which version it shall be.
fn speaking(version: Http, tls: &ClientConfig) -> Arc<ClientConfig> {
    let mut tls = tls.clone();
    let protocol: &[u8] = match version {
        Http::One => b"http/1.1",
        Http::Two => b"h2",
    };
    tls.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(tls)
}

impl Workload for WebLoad {
    fn begin(&mut self) -> anyhow::Result<()> {
        for (place, sender) in self.senders.iter_mut().enumerate() {
            sender.send(self.links.at(place)?, Instant::now());
            self.links.flush(place)?;
        }
        Ok(())
    }

    fn turn(&mut self, tally: &mut Tally, going_on: bool) -> anyhow::Result<()> {
        self.links.wait(&mut self.heard)?;
        let now = Instant::now();
        for place in &self.heard {
            let (sender, link) = (self.senders.get_mut(*place).context("no such sender")?, self.links.at(*place)?);
            if sender.is_answered(link)? {
                tally.latencies.record(now.duration_since(sender.sent));
                tally.done += 1;
                if going_on {
                    sender.send(link, now);
                }
            }
            self.links.flush(*place)?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.senders.iter().all(|sender| !sender.waits)
    }
}

struct Sender {
    request: Request,
    sent: Instant,
    /// For an answer.
    waits: bool,
}

enum Request {
    One(Vec<u8>),
    Two(Conversation),
}

impl Sender {
    fn new(login: &Login, version: Http, link: &mut Link) -> anyhow::Result<Self> {
        let path = format!("/devices/{}/messages/events?api-version=2021-04-12", login.device);
        let body = [b'x'; PAYLOAD_BYTES];
        let request = match version {
            Http::One => Request::One(http1::post(&path, "", &body)),
            Http::Two => Request::Two(Conversation::open(&path, &body, &mut link.outgoing)?),
        };
        Ok(Self { request, sent: Instant::now(), waits: false })
    }

    fn send(&mut self, link: &mut Link, now: Instant) {
        match &mut self.request {
            Request::One(request) => link.outgoing.extend_from_slice(request),
            Request::Two(conversation) => conversation.ask(&mut link.outgoing),
        }
        (self.sent, self.waits) = (now, true);
    }

    /// Whether the 204 has come that the request waits for.
    fn is_answered(&mut self, link: &mut Link) -> anyhow::Result<bool> {
        let answered = match &self.request {
            Request::One(_) => match http1::take_answer(&mut link.received)? {
                None => false,
                Some(status) => {
                    ensure!(status == 204, "the server answered {status}");
                    true
                }
            },
            Request::Two(_) => Conversation::take_answer(&mut link.received, &mut link.outgoing)?,
        };
        self.waits &= !answered;
        Ok(answered)
    }
}
