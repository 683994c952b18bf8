//! How a run ends: the exit codes, and what a person can do about each failure.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use hubctl::ClientError;
use hubctl::client::{ConnectError, NoConnection, Refusal};
use model::limits::REDRIVEN_MAX;
use thiserror::Error;

/// Why a command did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// A file of the user's cannot be read or understood.
    #[error("{}: {reason}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The results cannot be printed.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// It is not clear which hub is meant.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The request did not end well.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Part of a bulk request was refused.
    #[error("{refused} of {all} operations were refused")]
    Partly {
        /// How many were refused.
        refused: usize,
        /// How many were asked for.
        all: usize,
    },
    /// Dead letters did not all go back into their queue.
    #[error("{remaining} of them stay dead letters: {because}")]
    Stayed {
        /// How many did not.
        remaining: u64,
        /// Why.
        because: Stay,
    },
    /// The hub does not list all that it has.
    #[error("the hub lists {listed} of its {registered} devices; nothing was exported")]
    Incomplete {
        /// How many it lists.
        listed: usize,
        /// How many it has.
        registered: u64,
    },
    /// A certificate cannot be made or shown.
    #[error("{0}")]
    Certificate(String),
}

/// Why dead letters stay where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Stay {
    /// Their queue is full.
    #[error("the queue has no room")]
    NoRoom,
    /// The hub moves so many at once and no more.
    #[error("no more than {REDRIVEN_MAX} go at once")]
    TooManyAtOnce,
}

impl Failure {
    /// 1 refused, 2 usage, 3 not reachable.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Input { .. } | Self::Connect(_) => 2,
            Self::Client(ClientError::Unreachable { .. } | ClientError::Lost { .. }) => 3,
            Self::Client(ClientError::Refused(_) | ClientError::Unintelligible { .. })
            | Self::Write { .. }
            | Self::Output(_)
            | Self::Partly { .. }
            | Self::Stayed { .. }
            | Self::Incomplete { .. }
            | Self::Certificate(_) => 1,
        }
    }

    /// Whether the reader of the output went away, which is no failure of ours.
    pub(crate) fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do next, where we know. `listing` is where the things that the command is about are
    /// found.
    pub(crate) fn hint(&self, listing: Option<&'static str>) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::Unreachable { reason, .. }) => hint_for_connection(reason),
            Self::Client(ClientError::Lost { .. }) => Some("the request may or may not have been carried out; look before you repeat it"),
            Self::Client(ClientError::Refused(refusal)) => hint_for(refusal, listing),
            Self::Client(ClientError::Unintelligible { .. }) => Some("is it an Isthmus hub, and of this version?"),
            Self::Stayed { because: Stay::NoRoom, .. } => {
                Some("repeat this once the device has taken some of its queue; `hubctl command purge` empties it")
            }
            Self::Stayed { because: Stay::TooManyAtOnce, .. } => Some("repeat this for the next"),
            Self::Usage(_)
            | Self::Input { .. }
            | Self::Write { .. }
            | Self::Output(_)
            | Self::Connect(_)
            | Self::Partly { .. }
            | Self::Incomplete { .. }
            | Self::Certificate(_) => None,
        }
    }
}

fn hint_for_connection(reason: &NoConnection) -> Option<&'static str> {
    Some(match reason {
        NoConnection::Network(_) => "is the hub running? With --data-dir DIR its ports are read from DIR/ports.json",
        NoConnection::UnknownIssuer { .. } => "--ca FILE names the CA to trust, in PEM",
        NoConnection::Certificate(_) => {
            "`hubctl cert show FILE` shows the hub's certificate; docs/server-certificate.md says how to renew it"
        }
    })
}

fn hint_for(refusal: &Refusal, listing: Option<&'static str>) -> Option<&'static str> {
    Some(match refusal.name.as_deref()? {
        "IotHubUnauthorized" => "check the connection string, and that the clocks agree",
        "IotHubUnauthorizedAccess" => "the policy of the connection string lacks the right; use one that has it",
        "DeviceNotFound" => "`hubctl device list` shows the devices there are",
        "ModuleNotFound" => "`hubctl module list DEVICE` shows the modules there are",
        "ResourceNotFound" => return listing,
        "DeviceAlreadyExists" => "`hubctl device show` shows it; `hubctl device update` changes it",
        "PreconditionFailed" => "it changed meanwhile: show it again and repeat with its new etag",
        "DeviceNotOnline" => {
            "methods need the device connected and listening for them; --connect-timeout waits for that, `hubctl command send` queues instead"
        }
        "DeviceMaximumQueueDepthExceeded" => "`hubctl command purge` empties the queue",
        "DeviceMessageLockLost" => "it was held for too long and is handed out again: repeat the command",
        "InvalidMessageExpiryTime" => "--expiry is how long from now, at most 2days; do the clocks of hub and caller agree?",
        "GatewayTimeout" => "the device was handed the call and did not answer in time; --timeout waits longer",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn what_is_not_found_is_looked_for_where_things_of_its_kind_are_listed() {
        let refusal = Refusal { status: 404, name: Some("ResourceNotFound".into()), text: "no such thing".into(), body: String::new() };
        let failure = Failure::Client(refusal.into());
        let hint = |line: &str| failure.hint(Arguments::try_parse_from(line.split(' ')).expect(line).noun.listing());
        assert_eq!(hint("hubctl hub show none"), Some("`hubctl hub list` shows the event hubs there are"));
        assert_eq!(hint("hubctl event watch --hub none"), hint("hubctl hub show none"));
        assert_eq!(hint("hubctl hub policy show events none"), Some("`hubctl hub policy list NAME` shows the policies of an event hub"));
        assert_eq!(hint("hubctl file get uploads/d/none"), Some("`hubctl file list` shows the files there are"));
        assert_eq!(
            hint("hubctl command redrive d --sequence 7"),
            Some("`hubctl command dead-letters DEVICE` shows the dead letters there are")
        );
        assert_eq!(
            hint(&format!("hubctl ca show {}", "00".repeat(32))),
            Some("`hubctl ca list` shows the certificate authorities there are")
        );
        assert_eq!(hint("hubctl twin show d"), None);
    }

    #[test]
    fn exit_codes_tell_refused_from_usage_from_unreachable() {
        let refusal = Refusal { status: 404, name: Some("DeviceNotFound".into()), text: "no d1".into(), body: String::new() };
        let refused = Failure::Client(refusal.into());
        assert_eq!((refused.code(), refused.to_string().as_str()), (1, "DeviceNotFound (404): no d1"));
        assert!(refused.hint(None).is_some_and(|hint| hint.contains("device list")));
        assert_eq!(Failure::Usage("x".into()).code(), 2);
        let unreachable =
            ClientError::Unreachable { tried: "localhost:443".into(), reason: NoConnection::Network("connection refused".into()) };
        assert_eq!(Failure::Client(unreachable).code(), 3);
        assert_eq!(Failure::Partly { refused: 1, all: 2 }.code(), 1);
        let stayed = Failure::Stayed { remaining: 3, because: Stay::TooManyAtOnce };
        assert_eq!((stayed.code(), stayed.to_string().as_str()), (1, "3 of them stay dead letters: no more than 1000 go at once"));
    }
}
