//! One consumer group, driven by hand.

mod bounds;
mod commits;
mod joining;
mod leaving;
mod random;
mod rebalancing;
mod statics;
mod syncing;

use bytes::Bytes;

use super::*;

/// A group, the time and what it answered.
struct Bench {
    group: Group,
    now: Instant,
    tokens: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Self { group: Group::new(settings), now: Instant::now(), tokens: 0 }
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    fn join(&mut self, request: JoinRequest) -> Token {
        let token = self.token();
        self.group.join(self.now, token, request);
        token
    }

    /// A sync; from the leader each member is assigned its own id.
    fn sync(&mut self, joined: &Joined) -> Token {
        let assignments = joined.members.iter().map(|member| (member.member_id.clone(), part(&member.member_id))).collect();
        self.sync_with(joined, assignments)
    }

    fn sync_with(&mut self, joined: &Joined, assignments: Vec<(MemberId, Bytes)>) -> Token {
        let token = self.token();
        let caller = Caller { member_id: joined.member_id.as_str(), instance_id: None, generation: joined.generation };
        self.group.sync(self.now, token, SyncRequest { caller, protocol_type: None, protocol: None, assignments });
        token
    }

    fn heartbeat(&mut self, joined: &Joined) -> Result<(), GroupError> {
        let caller = Caller { member_id: joined.member_id.as_str(), instance_id: None, generation: joined.generation };
        self.group.heartbeat(self.now, &caller)
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(deadline) = self.group.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.group.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.group.poll_answer()).collect()
    }

    /// What joins were told, in the order they were sent.
    fn joined(&mut self) -> Vec<Joined> {
        let mut answers = self.answers();
        answers.sort_by_key(|answer| answer.token);
        answers.iter().map(joined).collect()
    }

    /// What `token` was told; it must be the only one to be told something.
    fn only(&mut self, token: Token) -> Reply {
        let [answer] = self.answers().try_into().expect("one answer");
        assert_eq!(answer.token, token);
        answer.reply
    }

    fn refused(&mut self, token: Token) -> GroupError {
        match self.only(token) {
            Reply::Join(Err(refused)) => refused.error,
            Reply::Sync(Err(error)) => error,
            reply @ (Reply::Join(Ok(_)) | Reply::Sync(Ok(_))) => panic!("{reply:?}"),
        }
    }

    /// Makes a stable group of these members, in order of joining; the first leads.
    fn stable(requests: &[JoinRequest]) -> (Self, Vec<Joined>) {
        let mut bench = Self::new();
        let tokens: Vec<_> = requests.iter().map(|request| bench.join(request.clone())).collect();
        bench.advance(Duration::from_secs(1));
        let joined = bench.joined();
        assert_eq!(joined.len(), tokens.len());
        for member in joined.iter().rev() {
            bench.sync(member);
        }
        assert_eq!(bench.answers().len(), joined.len());
        assert_eq!(bench.group.state(), GroupState::Stable);
        (bench, joined)
    }
}

fn part(id: &MemberId) -> Bytes {
    Bytes::copy_from_slice(format!("part of {id}").as_bytes())
}

fn joined(answer: &Answer) -> Joined {
    match &answer.reply {
        Reply::Join(Ok(joined)) => joined.clone(),
        reply @ (Reply::Join(Err(_)) | Reply::Sync(_)) => panic!("{reply:?}"),
    }
}

fn synced(answer: &Answer) -> Synced {
    match &answer.reply {
        Reply::Sync(Ok(synced)) => synced.clone(),
        reply @ (Reply::Sync(Err(_)) | Reply::Join(_)) => panic!("{reply:?}"),
    }
}

/// A join of a client that does not know of [`GroupError::MemberIdRequired`].
fn request(client: &str) -> JoinRequest {
    JoinRequest {
        member_id: MemberId::unknown(),
        instance_id: None,
        client_id: client.into(),
        client_host: "127.0.0.1".into(),
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(60),
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"]),
        knows_member_id_required: false,
        can_skip_assignment: false,
        unique: client.to_owned(),
    }
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names.iter().map(|name| Protocol { name: (*name).into(), metadata: Bytes::copy_from_slice(name.as_bytes()) }).collect()
}

fn again(request: &JoinRequest, joined: &Joined) -> JoinRequest {
    JoinRequest { member_id: joined.member_id.clone(), ..request.clone() }
}

fn static_request(instance: &str, unique: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance.into()), unique: unique.to_owned(), ..request(instance) }
}
