//! SASL PLAIN, and the connection strings that Event Hubs clients send as its password.

use thiserror::Error;

/// The user name that says that the password is a connection string.
pub const CONNECTION_STRING_USER: &str = "$ConnectionString";

/// What a PLAIN message carries. The authorisation identity is ignored: some clients repeat the
/// user name there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    /// The authentication identity.
    pub user: &'a str,
    /// The password, in clear text.
    pub password: &'a str,
}

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plain").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a PLAIN message names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidPlain {
    /// It is not UTF-8.
    #[error("the SASL PLAIN message is not UTF-8")]
    NotUtf8,
    /// It has another form (RFC 4616).
    #[error("a SASL PLAIN message is an identity, a user name and a password, separated by zero bytes")]
    Form,
    /// The user name or the password is empty.
    #[error("the SASL PLAIN message lacks a user name or a password")]
    Empty,
}

/// Reads a PLAIN message.
///
/// # Errors
/// [`InvalidPlain`]
pub fn plain(message: &[u8]) -> Result<Plain<'_>, InvalidPlain> {
    let text = std::str::from_utf8(message).map_err(|_| InvalidPlain::NotUtf8)?;
    let mut parts = text.split('\0');
    let (Some(_authorization), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(InvalidPlain::Form);
    };
    if user.is_empty() || password.is_empty() { Err(InvalidPlain::Empty) } else { Ok(Plain { user, password }) }
}

/// Who asks for what, and how it is proved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Its key, as text.
    pub key: &'a str,
    /// The host that the connection string names, without scheme, slash or port.
    pub host: Option<&'a str>,
    /// The only event hub the holder wants to reach.
    pub entity_path: Option<&'a str>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { policy, host, entity_path, key: _ } = self;
        f.debug_struct("Credentials").field("policy", policy).field("host", host).field("entity_path", entity_path).finish_non_exhaustive()
    }
}

/// Why a connection string proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidConnectionString {
    /// A part is not `Name=value`.
    #[error("a connection string is Name=value, separated by semicolons")]
    Form,
    /// A part occurs twice.
    #[error("the connection string says {0} twice")]
    Twice(&'static str),
    /// A part is missing.
    #[error("the connection string lacks {0}")]
    Missing(&'static str),
}

impl<'a> Plain<'a> {
    /// The policy and key it names: in a connection string, or as user name and password.
    ///
    /// # Errors
    /// [`InvalidConnectionString`]
    pub fn credentials(self) -> Result<Credentials<'a>, InvalidConnectionString> {
        if self.user == CONNECTION_STRING_USER {
            return connection_string(self.password);
        }
        Ok(Credentials { policy: self.user, key: self.password, host: None, entity_path: None })
    }
}

/// Reads `HostName=…` or `Endpoint=sb://…/`, then `SharedAccessKeyName`, `SharedAccessKey` and
/// perhaps `EntityPath`. Names ignore case and order; other parts are passed over, as the clients
/// that write them have their own.
fn connection_string(text: &str) -> Result<Credentials<'_>, InvalidConnectionString> {
    let (mut host, mut endpoint, mut policy, mut key, mut entity_path) = (None, None, None, None, None);
    for part in text.trim().split(';').filter(|part| !part.trim().is_empty()) {
        // A key in base64 ends in equals signs, so the first one separates.
        let (name, value) = part.split_once('=').ok_or(InvalidConnectionString::Form)?;
        let slots: [(&'static str, &mut Option<&str>); 5] = [
            ("HostName", &mut host),
            ("Endpoint", &mut endpoint),
            ("SharedAccessKeyName", &mut policy),
            ("SharedAccessKey", &mut key),
            ("EntityPath", &mut entity_path),
        ];
        let slot = slots.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        if let Some((known, slot)) = slot
            && slot.replace(value.trim()).is_some()
        {
            return Err(InvalidConnectionString::Twice(known));
        }
    }
    let present = |value: Option<&'_ str>| value.is_some_and(|value| !value.is_empty());
    let (Some(policy_name), true) = (policy, present(policy)) else { return Err(InvalidConnectionString::Missing("SharedAccessKeyName")) };
    let (Some(key_text), true) = (key, present(key)) else { return Err(InvalidConnectionString::Missing("SharedAccessKey")) };
    let host = host.or(endpoint.map(host_of_endpoint)).map(without_port);
    Ok(Credentials { policy: policy_name, key: key_text, host, entity_path: entity_path.filter(|path| !path.is_empty()) })
}

/// `sb://host:port/` without scheme and slash.
fn host_of_endpoint(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        Some(_) | None => host,
    }
}

#[cfg(test)]
mod tests;
