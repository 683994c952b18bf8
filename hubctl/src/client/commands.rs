//! Commands in their queues, and dead letters.

use model::api::{CommandItem, CommandRequest, CommandSent, DeadLetterItem, DeadLettersDeleted, PurgeResult, RedriveResult};
use model::{Identity, Timestamp};
use reqwest::Method;

use super::service::request;
use super::{ClientError, HubClient, Request};

/// Which dead letters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetters {
    /// The one with this sequence number.
    One(u64),
    /// All of an identity.
    All,
}

impl HubClient {
    /// Queues a command.
    ///
    /// # Errors
    /// Every function here fails with a [`ClientError`]: not reached, lost, refused or not
    /// understood.
    pub async fn send_command(&self, identity: &Identity, command: &CommandRequest) -> Result<CommandSent, ClientError> {
        self.fetch(&request(Method::POST, "devices", identity, &["commands"]).json(command)).await
    }

    /// The commands in an identity's queue, handed out or not.
    ///
    /// # Errors
    /// See [`Self::send_command`].
    pub async fn commands(&self, identity: &Identity) -> Result<Vec<CommandItem>, ClientError> {
        self.fetch_pages(request(Method::GET, "devices", identity, &["commands"]), usize::MAX).await
    }

    /// Removes every command of an identity's queue.
    ///
    /// # Errors
    /// See [`Self::send_command`].
    pub async fn purge_commands(&self, identity: &Identity) -> Result<PurgeResult, ClientError> {
        self.fetch(&request(Method::DELETE, "devices", identity, &["commands"])).await
    }

    /// An identity's dead letters.
    ///
    /// # Errors
    /// See [`Self::send_command`].
    pub async fn dead_letters(&self, identity: &Identity) -> Result<Vec<DeadLetterItem>, ClientError> {
        self.fetch_pages(dead_letters(Method::GET, identity, DeadLetters::All, &[]), usize::MAX).await
    }

    /// Puts dead letters back at the end of their queue, to live until `expiry` or as long as the
    /// hub is configured to. What there is no room for stays.
    ///
    /// # Errors
    /// See [`Self::send_command`].
    pub async fn redrive_dead_letters(
        &self,
        identity: &Identity,
        which: DeadLetters,
        expiry: Option<Timestamp>,
    ) -> Result<RedriveResult, ClientError> {
        let request = dead_letters(Method::POST, identity, which, &["redrive"]);
        self.fetch(&expiry.into_iter().fold(request, |request, expiry| request.query("expiryTime", expiry))).await
    }

    /// Deletes dead letters; says how many there were.
    ///
    /// # Errors
    /// See [`Self::send_command`].
    pub async fn delete_dead_letters(&self, identity: &Identity, which: DeadLetters) -> Result<DeadLettersDeleted, ClientError> {
        self.fetch(&dead_letters(Method::DELETE, identity, which, &[])).await
    }
}

fn dead_letters(method: Method, identity: &Identity, which: DeadLetters, rest: &[&str]) -> Request {
    let sequence = match which {
        DeadLetters::One(sequence) => Some(sequence.to_string()),
        DeadLetters::All => None,
    };
    let segments: Vec<&str> = ["commands", "deadLetters"].into_iter().chain(sequence.as_deref()).chain(rest.iter().copied()).collect();
    request(method, "devices", identity, &segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_named_one_or_all() {
        let identity: Identity = "d1/m1".parse().expect("an identity");
        let path = |which, rest: &[&str]| dead_letters(Method::POST, &identity, which, rest).path;
        assert_eq!(path(DeadLetters::All, &["redrive"]), "/devices/d1/modules/m1/commands/deadLetters/redrive");
        assert_eq!(path(DeadLetters::One(7), &["redrive"]), "/devices/d1/modules/m1/commands/deadLetters/7/redrive");
        assert_eq!(path(DeadLetters::One(7), &[]), "/devices/d1/modules/m1/commands/deadLetters/7");
    }
}
