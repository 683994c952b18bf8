//! Binding: every socket of every listener, or none.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::address::{ListenerName, ListenerSettings, Need, Target};

/// Connections the system holds for us between two turns of the accept loop.
const BACKLOG: i32 = 4096;
/// The Python AMQP client writes back every TCP option it reads, and the loopback default of
/// 32,768 is refused when written: about a third of its connections failed. Any smaller value is
/// accepted.
const LOOPBACK_SEGMENT_BYTES: u32 = 16_384;

/// Every socket a hub listens on.
#[derive(Debug)]
pub(crate) struct Bound {
    /// MQTT.
    pub(crate) mqtt: Vec<TcpListener>,
    /// HTTPS.
    pub(crate) https: Vec<TcpListener>,
    /// Kafka.
    pub(crate) kafka: Vec<TcpListener>,
    /// Metrics and health.
    pub(crate) metrics: Vec<TcpListener>,
}

/// An address the hub needs and cannot have.
#[derive(Debug, Error)]
#[error("the listener {name} cannot bind {address}: {}", advice(source))]
pub(crate) struct BindError {
    /// Whose.
    pub(crate) name: ListenerName,
    /// Where.
    pub(crate) address: SocketAddr,
    /// Why.
    #[source]
    pub(crate) source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "another process listens there; stop it, or choose another address with --listen NAME=ADDR or in [listeners]"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "this process may not bind ports below 1024; give it CAP_NET_BIND_SERVICE or choose another port"
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        "this machine does not have that address"
    } else {
        "the system refused"
    }
}

/// Binds everything. On error nothing stays bound.
pub(crate) fn bind_all(settings: &ListenerSettings) -> Result<Bound, BindError> {
    Ok(Bound {
        mqtt: bind_each(ListenerName::Mqtt, &settings.mqtt)?,
        https: bind_each(ListenerName::Https, &settings.https)?,
        kafka: bind_each(ListenerName::Kafka, &settings.kafka)?,
        metrics: bind_each(ListenerName::Metrics, &settings.metrics)?,
    })
}

impl Bound {
    /// Where every listener is, as `ports.json` says it.
    pub(crate) fn addresses(&self) -> [(ListenerName, Vec<SocketAddr>); 4] {
        let of = |listeners: &[TcpListener]| listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        [
            (ListenerName::Mqtt, of(&self.mqtt)),
            (ListenerName::Https, of(&self.https)),
            (ListenerName::Kafka, of(&self.kafka)),
            (ListenerName::Metrics, of(&self.metrics)),
        ]
    }
}

fn bind_each(name: ListenerName, targets: &[Target]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::with_capacity(targets.len());
    for &Target { address, need } in targets {
        match bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if can_do_without(need, &error) => {
                tracing::info!(listener = %name, %address, %error, "left out: {}", advice(&error));
            }
            Err(source) => return Err(BindError { name, address, source }),
        }
    }
    Ok(listeners)
}

fn can_do_without(need: Need, error: &io::Error) -> bool {
    match need {
        Need::Required => false,
        Need::WherePossible => true,
        Need::WhereItExists => {
            // A machine without IPv6 has no such address, or no such family at all.
            error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if address.ip().is_loopback() {
        socket.set_tcp_mss(LOOPBACK_SEGMENT_BYTES)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::address::ListenAddress;

    fn free(need: Need) -> Target {
        Target { address: ([127, 0, 0, 1], 0).into(), need }
    }

    #[test]
    fn a_taken_port_is_explained_and_nothing_stays_bound() {
        let taken = bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let address = taken.local_addr().expect("address");
        let other = bind(([127, 0, 0, 1], 0).into()).expect("bind").local_addr().expect("address");
        let settings = ListenerSettings {
            mqtt: vec![Target { address: other, need: Need::Required }],
            https: vec![Target { address, need: Need::Required }],
            ..ListenerSettings::default()
        };
        let error = bind_all(&settings).expect_err("taken");
        assert_eq!((error.name, error.address), (ListenerName::Https, address));
        assert!(error.to_string().contains("another process listens there"), "{error}");
        bind(other).expect("the first is free again");
    }

    #[test]
    fn an_optional_port_that_is_taken_is_left_out() {
        let taken = bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let optional = Target { address: taken.local_addr().expect("address"), need: Need::WherePossible };
        let settings = ListenerSettings { https: vec![optional, free(Need::Required)], ..ListenerSettings::default() };
        let bound = bind_all(&settings).expect("without it");
        assert_eq!(bound.https.len(), 1);
    }

    #[test]
    fn localhost_is_bound_on_every_loopback_address_there_is() {
        let settings = ListenerSettings { mqtt: ListenAddress::Localhost { port: 0 }.targets(), ..ListenerSettings::default() };
        let bound = bind_all(&settings).expect("bind");
        let [(_, mqtt), ..] = bound.addresses();
        assert!(mqtt.first().is_some_and(|address| address.is_ipv4()), "{mqtt:?}");
        assert!(mqtt.iter().all(|address| address.ip().is_loopback() && address.port() != 0), "{mqtt:?}");
    }

    #[test]
    fn a_loopback_connection_announces_a_segment_size_that_can_be_written_back() {
        let listener = bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        let client = Socket::from(client);
        let size = client.tcp_mss().expect("read");
        assert!(size <= LOOPBACK_SEGMENT_BYTES, "{size}");
        client.set_tcp_mss(size).expect("write back");
    }
}
