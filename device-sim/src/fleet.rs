//! A run from its beginning to its report: enrol, start the devices, wait, stop, sum up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hubctl::DataDirectory;
use model::{Clock, DeviceId};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::info;

use crate::args::{Protocol, Run};
use crate::claim::Claim;
use crate::device::{Device, Source, Surroundings};
use crate::enrol;
use crate::latency::Latencies;
use crate::ledger::{LedgerError, LedgerKeeper};
use crate::replay::{self, Recording, ReplayError, ReplayOptions};
use crate::report::{DeviceReport, Report};
use crate::scenario::{Scenario, SensorPlan};
use crate::sensor::Sensor;
use crate::transport::Settlement;

/// Connections being made at once: handshakes are what costs.
const CONNECTING_MAX: usize = 64;
/// Rows of a recording that wait for their device.
const ROWS_WAITING_MAX: usize = 64;

/// What the devices are to send, checked before anything is asked of the hub.
pub(crate) enum Plan {
    Sensors(Scenario),
    Recording(Recording),
}

impl Plan {
    /// Reads the files that the command line names.
    pub(crate) fn read(run: &Run) -> anyhow::Result<Self> {
        if let Some(path) = &run.replay {
            let column = run.device_column.clone().filter(|column| column != "none");
            return Ok(Self::Recording(Recording::open(ReplayOptions {
                path: path.clone(),
                device_column: column,
                single_device: device_id(&run.prefix, 1)?,
                time_column: run.time_column.clone(),
                speed: run.speed,
            })?));
        }
        Ok(Self::Sensors(run.scenario.as_deref().map(Scenario::open).transpose()?.unwrap_or_default()))
    }

    /// Whether the devices are called PREFIX-00001 and so on.
    fn names_by_prefix(&self) -> bool {
        match self {
            Self::Recording(recording) => recording.is_of_one_device(),
            Self::Sensors(_) => true,
        }
    }

    fn settlement(&self) -> Settlement {
        match self {
            Self::Recording(_) => Settlement::default(),
            Self::Sensors(scenario) => scenario.settlement(),
        }
    }

    fn devices(&self, run: &Run) -> anyhow::Result<Vec<DeviceId>> {
        match self {
            Self::Recording(recording) => Ok(recording.devices.clone()),
            Self::Sensors(_) => (1..=run.devices).map(|number| device_id(&run.prefix, number)).collect(),
        }
    }
}

fn device_id(prefix: &str, number: u32) -> anyhow::Result<DeviceId> {
    format!("{prefix}-{number:05}").parse().with_context(|| format!("--prefix {prefix:?} makes no device id"))
}

/// Runs the fleet.
pub(crate) async fn run(run: &Run, plan: Plan, clock: &Clock) -> anyhow::Result<Report> {
    let directory = DataDirectory::new(&run.data_dir);
    let ids = plan.devices(run)?;
    let (keeper, ledger) = LedgerKeeper::open(run.ledger.as_deref())?;
    let hub = enrol::connect(&directory, clock)?;
    // Devices of a column's names are whoever's that column says; of a prefix there is one fleet.
    let _claim = plan.names_by_prefix().then(|| Claim::to(&directory, &run.prefix)).transpose()?;
    let credentials = enrol::enrol(&hub, &directory, &ids, clock).await?;
    info!(devices = credentials.len(), "enrolled");

    let started = Instant::now();
    let (stopper, stop) = watch::channel(false);
    let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
    let (in_flight, grace, settlement) = (run.in_flight, run.grace, plan.settlement());
    let surroundings = Arc::new(Surroundings { directory, in_flight, grace, settlement, stop: stop.clone(), connecting, ledger });
    let (sources, playing) = sources(run, plan, credentials.len(), stop);
    let mut devices = JoinSet::new();
    for ((credentials, source), protocol) in credentials.into_iter().zip(sources).zip(protocols(run)) {
        devices.spawn(Device::new(credentials, protocol, Arc::clone(&surroundings), source).run());
    }
    drop(surroundings);
    let keeping = tokio::spawn(keep(keeper, stopper.clone()));

    let reports = watch_over(devices, run.run_for, &stopper).await?;
    let lasted = started.elapsed();
    stopper.send_replace(true);
    let latencies = keeping.await??;
    if let Some(playing) = playing {
        playing.await??;
    }
    Ok(Report::new(&reports, &latencies, lasted))
}

/// Keeps the ledger. Without it there is nothing to run for.
async fn keep(keeper: LedgerKeeper, stopper: watch::Sender<bool>) -> Result<Latencies, LedgerError> {
    let kept = keeper.keep().await;
    if kept.is_err() {
        stopper.send_replace(true);
    }
    kept
}

/// The protocols of the devices, one after another without end.
fn protocols(run: &Run) -> impl Iterator<Item = Protocol> + '_ {
    run.protocol.iter().copied().cycle()
}

type Playing = Option<JoinHandle<Result<(), ReplayError>>>;

/// A source for each device, and the task that feeds them if they have a recording.
fn sources(run: &Run, plan: Plan, devices: usize, stop: watch::Receiver<bool>) -> (Vec<Source>, Playing) {
    match plan {
        Plan::Sensors(scenario) => {
            let mut random = StdRng::seed_from_u64(run.seed);
            let source = |plan: SensorPlan| {
                let interval = plan.interval.unwrap_or(run.rate.interval);
                let delay = interval.mul_f64(random.random_range(0.0..1.0));
                Source::sensor(Sensor::new(plan.kind, random.random()), interval, delay)
            };
            (scenario.plans().take(devices).map(source).collect(), None)
        }
        Plan::Recording(recording) => {
            let (senders, sources) = (0..devices)
                .map(|_| {
                    let (sender, rows) = mpsc::channel(ROWS_WAITING_MAX);
                    (sender, Source::Recording(rows))
                })
                .unzip();
            (sources, Some(tokio::spawn(replay::play(Arc::new(recording), senders, stop))))
        }
    }
}

/// Waits for the devices, telling them to stop when time is up or the user says so.
async fn watch_over(
    mut devices: JoinSet<DeviceReport>,
    run_for: Option<Duration>,
    stopper: &watch::Sender<bool>,
) -> anyhow::Result<Vec<DeviceReport>> {
    let mut reports = Vec::with_capacity(devices.len());
    let interrupted = interrupted()?;
    let time_is_up = async {
        match run_for {
            None => std::future::pending().await,
            Some(run_for) => tokio::time::sleep(run_for).await,
        }
    };
    let stop = async {
        tokio::select! {
            () = time_is_up => {}
            () = interrupted => info!("interrupted; waiting for outstanding acknowledgements"),
        }
        stopper.send_replace(true);
        // Ended only by the devices' own ends.
        std::future::pending::<()>().await;
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            ended = devices.join_next() => match ended {
                None => return Ok(reports),
                Some(report) => reports.push(report.context("a device of the fleet failed")?),
            },
            () = &mut stop => {}
        }
    }
}

/// Resolves at Ctrl-C or SIGTERM; listens from this call on.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
