//! Any sequence of requests keeps the promises of the group.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// What one of a few clients does next.
#[derive(Debug, Clone)]
enum Step {
    Join { client: usize, protocols: usize },
    Restart { client: usize },
    Sync { client: usize },
    Heartbeat { client: usize },
    Commit { client: usize },
    Leave { client: usize },
    HangUp { client: usize },
    Wait { milliseconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0_usize..6;
    prop_oneof![
        4 => (client.clone(), 0_usize..3).prop_map(|(client, protocols)| Step::Join { client, protocols }),
        1 => client.clone().prop_map(|client| Step::Restart { client }),
        4 => client.clone().prop_map(|client| Step::Sync { client }),
        2 => client.clone().prop_map(|client| Step::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Step::Commit { client }),
        1 => client.clone().prop_map(|client| Step::Leave { client }),
        1 => client.prop_map(|client| Step::HangUp { client }),
        3 => prop_oneof![0_u64..1000, 0_u64..70_000].prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

/// A client as it sees itself; the last two are static, the first two old.
#[derive(Debug, Clone, Default)]
struct Client {
    member_id: String,
    joined: Option<Joined>,
    waits: HashSet<Token>,
}

struct World {
    bench: Bench,
    clients: Vec<Client>,
    owners: HashMap<Token, usize>,
    answered: HashSet<Token>,
    generation: i32,
    /// Whose assignment a generation's members got.
    assigned: HashMap<i32, Bytes>,
    syncs: HashMap<Token, i32>,
}

impl World {
    fn new() -> Self {
        let bench = Bench::with(Settings { members_max: 4, ..Settings::default() });
        let clients = vec![Client::default(); 6];
        let (owners, answered) = (HashMap::new(), HashSet::new());
        Self { bench, clients, owners, answered, generation: 0, assigned: HashMap::new(), syncs: HashMap::new() }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Join { client, protocols } => self.join(*client, *protocols),
            Step::Restart { client } => {
                self.clients[*client].member_id.clear();
                self.join(*client, 0);
            }
            Step::Sync { client } => self.sync(*client),
            Step::Heartbeat { client } => drop(self.clients[*client].joined.clone().map(|joined| self.bench.heartbeat(&joined))),
            Step::Commit { client } => {
                let generation = self.clients[*client].joined.as_ref().map_or(-1, |joined| joined.generation);
                let caller = Caller { member_id: &self.clients[*client].member_id, instance_id: None, generation };
                let _ = self.bench.group.check_commit(self.bench.now, &caller);
            }
            Step::Leave { client } => {
                let leaver = Leaver { member_id: &self.clients[*client].member_id, instance_id: None };
                self.bench.group.leave(self.bench.now, &[leaver]).expect("never dead");
            }
            Step::HangUp { client } => {
                for token in std::mem::take(&mut self.clients[*client].waits) {
                    self.bench.group.forget(self.bench.now, token);
                    assert!(self.answered.insert(token));
                }
            }
            Step::Wait { milliseconds } => self.bench.advance(Duration::from_millis(*milliseconds)),
        }
        self.hear();
    }

    fn join(&mut self, client: usize, set: usize) {
        let names: [&[&str]; 3] = [&["range", "sticky"], &["sticky", "range"], &["range"]];
        let unique = format!("{}", self.bench.tokens);
        let request = JoinRequest {
            member_id: MemberId::new(&self.clients[client].member_id),
            instance_id: (client >= 4).then(|| format!("static {client}").into()),
            knows_member_id_required: client >= 2,
            can_skip_assignment: client.is_multiple_of(2),
            protocols: protocols(names[set]),
            rebalance_timeout: Duration::from_secs(20 + 10 * client as u64),
            unique,
            ..request(&client.to_string())
        };
        let token = self.bench.join(request);
        self.owners.insert(token, client);
        self.clients[client].waits.insert(token);
    }

    fn sync(&mut self, client: usize) {
        let Some(joined) = self.clients[client].joined.clone() else { return };
        let source = Bytes::from(format!("{} of {}", joined.member_id, joined.generation));
        let is_leader = joined.leader == joined.member_id && !joined.skip_assignment;
        let members = if is_leader { joined.members.clone() } else { Vec::new() };
        let token = self.bench.sync_with(&joined, members.into_iter().map(|member| (member.member_id, source.clone())).collect());
        self.owners.insert(token, client);
        self.syncs.insert(token, joined.generation);
        self.clients[client].waits.insert(token);
    }

    fn hear(&mut self) {
        for answer in self.bench.answers() {
            let client = &mut self.clients[self.owners[&answer.token]];
            assert!(self.answered.insert(answer.token), "{answer:?} answers a second time");
            assert!(client.waits.remove(&answer.token), "{answer:?} was not waited for");
            match answer.reply {
                Reply::Join(Ok(joined)) => {
                    assert!(joined.generation >= self.generation, "the generation fell to {}", joined.generation);
                    self.generation = joined.generation;
                    client.member_id = joined.member_id.as_str().to_owned();
                    client.joined = Some(joined);
                }
                Reply::Join(Err(refused)) => client.member_id = refused.member_id.as_str().to_owned(),
                Reply::Sync(Ok(synced)) if !synced.assignment.is_empty() => {
                    let source = self.assigned.entry(self.syncs[&answer.token]).or_insert_with(|| synced.assignment.clone());
                    assert_eq!(*source, synced.assignment, "two leaders assigned in one generation");
                }
                Reply::Sync(_) => {}
            }
        }
        assert!(self.bench.group.view().members.len() <= 4);
        let waiting = self.clients.iter().any(|client| !client.waits.is_empty());
        assert!(!waiting || self.bench.group.next_deadline().is_some(), "somebody waits for ever");
    }
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_nothing_stays_behind(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        // No rebalance lasts longer than the slowest member's timeout, twice with a sync that ends it.
        world.take(&Step::Wait { milliseconds: 200_000 });
        prop_assert!(world.clients.iter().all(|client| client.waits.is_empty()), "{:?}", world.clients);
        world.take(&Step::Wait { milliseconds: 400_000 });
        prop_assert_eq!(world.bench.group.state(), GroupState::Empty);
        prop_assert_eq!(world.bench.group.next_deadline(), None);
        prop_assert_eq!(world.bench.group.members.bytes(), 0);
        prop_assert!(world.bench.group.pending.is_empty() && world.bench.group.leader.is_none());
    }

    #[test]
    fn reading_what_consumers_wrote_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = assigned_partitions(&bytes);
    }
}
