//! What consumers see of a disk that is slow or damaged.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use event_log::{DirectoryLock, Disk, DiskFile, RealDisk};
use futures_util::FutureExt as _;
use kafka_proto::group::{Caller, GroupId};
use kafka_proto::wire::Api;
use kafka_protocol::messages::{DeleteGroupsRequest, FetchResponse, GroupId as GroupName};
use kafka_protocol::protocol::StrBytes;
use model::{PartitionId, SequenceNumber};

use super::client::{Client, VERSION, batch, fetch, produce};
use crate::groups::NewOffset;
use crate::https::test_hub::TestHub;

/// The machine's disk, whose syncs can be held up.
#[derive(Clone, Default)]
struct HeldDisk(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    is_held: bool,
    waiting: usize,
}

/// Syncs wait while this is there.
struct Hold(Arc<Gate>);

impl HeldDisk {
    fn hold(&self) -> Hold {
        self.0.set(true);
        Hold(Arc::clone(&self.0))
    }
}

impl Hold {
    /// Resolves when a sync waits.
    async fn met(&self) {
        let gate = Arc::clone(&self.0);
        let met = move || {
            let state = gate.state.lock().expect("unbroken");
            drop(gate.changed.wait_while(state, |state| state.waiting == 0).expect("unbroken"));
        };
        tokio::task::spawn_blocking(met).await.expect("no panic");
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Gate {
    fn set(&self, is_held: bool) {
        self.state.lock().expect("unbroken").is_held = is_held;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().expect("unbroken");
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.is_held).expect("unbroken");
        state.waiting -= 1;
    }
}

struct HeldFile {
    file: Arc<dyn DiskFile>,
    gate: Arc<Gate>,
}

impl HeldDisk {
    fn held(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(HeldFile { file: file?, gate: Arc::clone(&self.0) }))
    }
}

impl Disk for HeldDisk {
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        RealDisk.create_directory(directory)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.held(RealDisk.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.held(RealDisk.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        RealDisk.sync_directory(directory)
    }

    fn lock(&self, path: &Path) -> io::Result<DirectoryLock> {
        RealDisk.lock(path)
    }

    fn random(&self) -> u64 {
        RealDisk.random()
    }
}

impl DiskFile for HeldFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.gate.pass();
        self.file.sync_all()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

#[tokio::test]
async fn no_record_is_fetched_before_the_disk_has_it() {
    let disk = HeldDisk::default();
    let hub = TestHub::open_on(Arc::new(disk.clone())).await;
    let (mut producer, mut waiting, mut asking) =
        (Client::of(&hub, "owner").await, Client::of(&hub, "service").await, Client::of(&hub, "service").await);
    waiting.send(Api::Fetch.key(), VERSION, &fetch(0, 30_000, 1_000_000)).await;
    let held = disk.hold();
    producer.send(Api::Produce.key(), VERSION, &produce(-1, 0, batch(&["a"]))).await;
    held.met().await;
    for _ in 0..3 {
        assert_eq!(asking.fetch(&fetch(0, 0, 1_000_000)).await, (0, 0, bytes::Bytes::new()), "written, but not synced");
    }
    assert_eq!(waiting.fetched().now_or_never(), None, "who waits is not told, either");
    drop(held);
    assert_eq!(producer.produced().await, (0, 0));
    assert_eq!(waiting.fetched().await, (0, 1, batch(&["a"])));
    assert_eq!(asking.fetch(&fetch(0, 0, 1_000_000)).await, (0, 1, batch(&["a"])));
}

#[tokio::test]
async fn who_hangs_up_does_not_wait_for_the_groups_that_it_has_deleted() {
    let disk = HeldDisk::default();
    let hub = TestHub::open_on(Arc::new(disk.clone())).await;
    let (group, events) = (GroupId::new("g").expect("a group id"), hub.hub.event_hubs.get("events").expect("the built-in event hub").id);
    let offset = NewOffset { hub: events, partition: PartitionId(0), offset: SequenceNumber(1), leader_epoch: -1, metadata: "".into() };
    let nobody = Caller { member_id: "", instance_id: None, generation: -1 };
    hub.hub.groups.commit(&group, &nobody, vec![offset]).await.expect("committed");
    let mut client = Client::of(&hub, "owner").await;
    let held = disk.hold();
    let names = ["g", "h", "i"].map(|name| GroupName(StrBytes::from_static_str(name)));
    client.send(Api::DeleteGroups.key(), 2, &DeleteGroupsRequest::default().with_groups_names(names.to_vec())).await;
    held.met().await;
    tokio::time::timeout(Duration::from_secs(20), client.hang_up()).await.expect("while the disk is held");
    drop(held);
}

/// Flips one bit of the stored event with this value.
fn damage(directory: &Path, value: &str) {
    for entry in fs::read_dir(directory.join("log")).expect("a log") {
        let path = entry.expect("a file").path();
        let mut bytes = fs::read(&path).expect("readable");
        if let Some(place) = bytes.windows(value.len()).position(|window| window == value.as_bytes()) {
            bytes[place] ^= 1;
            return fs::write(&path, bytes).expect("writable");
        }
    }
    panic!("{value} is not stored");
}

#[tokio::test]
async fn damage_is_told_once_a_connection_and_reading_goes_on_behind_it() {
    let hub = TestHub::open().await;
    let mut producer = Client::of(&hub, "owner").await;
    for (offset, value) in ["the first", "the second", "the third"].into_iter().enumerate() {
        assert_eq!(producer.produce(-1, 0, batch(&[value])).await, (0, offset as i64));
    }
    producer.hang_up().await;
    let hub = hub.reopened(|directory| damage(directory, "the second")).await;
    for _ in 0..2 {
        let mut consumer = Client::of(&hub, "service").await;
        let (code, _, first) = consumer.fetch(&fetch(0, 0, 1)).await;
        assert_eq!((code, first), (0, batch(&["the first"])));
        let told: FetchResponse = consumer.ask(Api::Fetch, VERSION, &fetch(1, 0, 1_000_000)).await;
        let partition = &told.responses[0].partitions[0];
        assert_eq!((partition.error_code, partition.high_watermark), (2, 3), "not silence");
        assert!(partition.records.as_ref().is_none_or(|records| records.is_empty()));
        let (code, _, rest) = consumer.fetch(&fetch(1, 0, 1_000_000)).await;
        let mut third = batch(&["the third"]).to_vec();
        third[..8].copy_from_slice(&2_i64.to_be_bytes());
        assert_eq!((code, &*rest), (0, &*third));
    }
}
