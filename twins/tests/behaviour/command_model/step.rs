//! What can happen to commands and feedback, and how often it does.

use proptest::prelude::*;
use proptest::sample::select;

use super::IDENTITIES;
use super::reference::Label;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Complete,
    Reject,
    Abandon,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send {
        at: usize,
        commands: usize,
        ack: &'static str,
        life: Option<u64>,
    },
    Receive {
        at: usize,
        limit: usize,
        lock: Option<u64>,
    },
    Lock {
        at: usize,
        owner: u64,
        limit: usize,
    },
    /// Of all locks ever given, counted from the last.
    Settle {
        back: Label,
        kind: Kind,
        is_foreign: bool,
    },
    /// A connection ends. With a `Lock` of another owner before or behind it, it was taken over.
    Release {
        at: usize,
        owner: u64,
    },
    Purge {
        at: usize,
    },
    /// Page by page.
    List {
        at: usize,
        limit: usize,
    },
    Redrive {
        at: usize,
        one: Option<usize>,
        life: Option<u64>,
    },
    DeleteDead {
        at: usize,
        one: Option<usize>,
    },
    ReceiveFeedback {
        lock: Option<u64>,
    },
    SettleFeedback {
        back: Label,
        is_complete: bool,
    },
    /// Time passes, with sweeps at the deadlines in between or without.
    Advance {
        seconds: u64,
        with_sweeps: bool,
    },
    Sweep,
    /// Perhaps with other settings.
    Restart {
        by_crash: bool,
        is_tight: bool,
    },
    Recreate {
        device: &'static str,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let at = || 0..IDENTITIES.len();
    let life = || prop::option::weighted(0.5, 1_u64..90);
    let lock = || prop::option::weighted(0.5, 5_u64..30);
    let dead = || prop::option::weighted(0.6, 0_usize..5);
    let ack = || select(vec!["none", "positive", "negative", "full", "full"]);
    prop_oneof![
        12 => (at(), 1_usize..9, ack(), life()).prop_map(|(at, commands, ack, life)| Step::Send { at, commands, ack, life }),
        6 => (at(), 0_usize..5, lock()).prop_map(|(at, limit, lock)| Step::Receive { at, limit, lock }),
        4 => (at(), 0_u64..3, 0_usize..5).prop_map(|(at, owner, limit)| Step::Lock { at, owner, limit }),
        12 => (0_usize..8, select(vec![Kind::Complete, Kind::Complete, Kind::Reject, Kind::Abandon, Kind::Abandon]), prop::bool::weighted(0.05))
            .prop_map(|(back, kind, is_foreign)| Step::Settle { back, kind, is_foreign }),
        2 => (at(), 0_u64..3).prop_map(|(at, owner)| Step::Release { at, owner }),
        1 => at().prop_map(|at| Step::Purge { at }),
        2 => (at(), 1_usize..6).prop_map(|(at, limit)| Step::List { at, limit }),
        2 => (at(), dead(), life()).prop_map(|(at, one, life)| Step::Redrive { at, one, life }),
        1 => (at(), dead()).prop_map(|(at, one)| Step::DeleteDead { at, one }),
        4 => lock().prop_map(|lock| Step::ReceiveFeedback { lock }),
        4 => (0_usize..4, any::<bool>()).prop_map(|(back, is_complete)| Step::SettleFeedback { back, is_complete }),
        6 => (0_u64..40, any::<bool>()).prop_map(|(seconds, with_sweeps)| Step::Advance { seconds, with_sweeps }),
        2 => Just(Step::Sweep),
        1 => (any::<bool>(), prop::bool::weighted(0.3)).prop_map(|(by_crash, is_tight)| Step::Restart { by_crash, is_tight }),
        1 => select(vec!["a", "b"]).prop_map(|device| Step::Recreate { device }),
    ]
}
