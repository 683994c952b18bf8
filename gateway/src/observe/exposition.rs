//! The metrics listener: `GET /metrics` and `GET /healthz` over plain HTTP.

use std::fmt::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use certs::server_identity::ServerIdentity;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::health::Report;
use crate::hub::Hub;

/// What scrapers expect of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections of scrapers at once; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// From one request's end to the next one's complete header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is looked at for scrapers.
#[derive(Debug, Clone)]
struct Observed {
    hub: Arc<Hub>,
    certificate: ServerIdentity,
}

impl Observed {
    fn report(&self) -> Report {
        Report::of(&self.hub, &self.certificate)
    }
}

/// Serves scrapers on `listener` for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, hub: Arc<Hub>, certificate: ServerIdentity) {
    let observed = Observed { hub, certificate };
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(health)).with_state(observed);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(permit) = Arc::clone(&connections).acquire_owned().await {
        match listener.accept().await {
            Ok((socket, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(socket, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(socket: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router)).await {
        tracing::debug!(%error, "a connection for metrics ended");
    }
}

async fn health(State(observed): State<Observed>) -> Response {
    let report = observed.report();
    let status = if report.is_available() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn metrics(State(observed): State<Observed>) -> Response {
    match exposition(observed) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What the hub counts, then what its parts count, read now.
fn exposition(observed: Observed) -> Result<String, Error> {
    let mut text = String::new();
    observed.hub.metrics.encode(&mut text)?;
    let mut sampled = Registry::with_prefix("isthmus");
    sampled.register_collector(Box::new(Sample(observed)));
    encode_registry(&mut text, &sampled)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[derive(Debug)]
struct Sample(Observed);

impl Collector for Sample {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Observed { hub, certificate } = &self.0;
        let log = hub.log.statistics();
        let counters = [
            ("log_groups", "Commit groups made durable", log.groups),
            ("log_syncs", "Syncs of the event log", log.syncs),
            ("log_frames", "Batches made durable", log.frames),
            ("log_events", "Events made durable", log.events),
            ("log_written_bytes", "Bytes written to the event log, padding included", log.bytes_written),
            ("log_segments", "Segments begun", log.segments),
            ("log_segments_zeroed", "New files written full of zeros to become segments", log.segments_zeroed),
            ("log_segments_recycled", "Retired segments taken into use again", log.segments_recycled),
            ("log_segments_sealed", "Segments rewritten as sealed files", log.segments_sealed),
            ("log_sealed_files", "Sealed files written", log.sealed_files),
            ("log_sealed_bytes", "Bytes of sealed files written", log.sealed_bytes),
            ("log_files_removed", "Sealed files that retention removed", log.files_removed),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauges = [
            ("log_staged_bytes", "Bytes accepted and not yet durable", log.staged_bytes as i64),
            ("log_segments_unsealed", "Full segments that wait to be sealed", log.segments_unsealed as i64),
            ("files_bytes", "Bytes that files of devices take, partial ones included", hub.files.bytes_used() as i64),
            ("identities_connected", "Devices and modules connected", hub.presence.connected_count() as i64),
            ("healthy", "1 while /healthz answers 200", i64::from(self.0.report().is_available())),
            (
                "server_certificate_not_after_seconds",
                "When the server's certificate, or one above it, ends, in seconds since 1970",
                certificate.not_after().as_seconds(),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
