//! `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`, and the form that clients of event hubs
//! take: `Endpoint=sb://HOST/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=HUB`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::EventHubName;
use crate::event_hub::PolicyName;

/// A service connection string: where the hub is and the policy key to speak with.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// Host, possibly with `:port`.
    pub host_name: String,
    /// The policy's name.
    pub policy: String,
    /// The policy's key in base64.
    pub key: String,
}

/// Why a text is not a service connection string.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidConnectionString {
    /// A part that is not `name=value`.
    #[error("part {0} of the connection string is not name=value")]
    Part(usize),
    /// A part that must be there and is not.
    #[error("the connection string has no {0}")]
    Missing(&'static str),
}

impl ConnectionString {
    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.host_name.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.host_name,
        }
    }

    /// The port, where the host name carries one.
    pub fn port(&self) -> Option<u16> {
        self.host_name.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
    }
}

impl FromStr for ConnectionString {
    type Err = InvalidConnectionString;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionString> {
        let (mut host_name, mut policy, mut key) = (None, None, None);
        for (index, part) in text.trim().split(';').filter(|part| !part.is_empty()).enumerate() {
            let (name, value) = part.split_once('=').ok_or(InvalidConnectionString::Part(index + 1))?;
            match name {
                "HostName" => host_name = Some(value.to_owned()),
                "SharedAccessKeyName" => policy = Some(value.to_owned()),
                "SharedAccessKey" => key = Some(value.to_owned()),
                _ => {}
            }
        }
        let given = |value: Option<String>, name| value.filter(|v| !v.is_empty()).ok_or(InvalidConnectionString::Missing(name));
        Ok(Self {
            host_name: given(host_name, "HostName")?,
            policy: given(policy, "SharedAccessKeyName")?,
            key: given(key, "SharedAccessKey")?,
        })
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostName={};SharedAccessKeyName={};SharedAccessKey={}", self.host_name, self.policy, self.key)
    }
}

impl fmt::Debug for ConnectionString {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostName={};SharedAccessKeyName={};SharedAccessKey=***", self.host_name, self.policy)
    }
}

/// A connection string for the SDKs of event hubs; with the user name `$ConnectionString` it is a
/// Kafka client's password.
#[derive(Clone, PartialEq, Eq)]
pub struct EventHubConnectionString {
    /// Host, without a port.
    pub host: String,
    /// The policy's name.
    pub policy: PolicyName,
    /// The policy's key as the text it is used as.
    pub key: String,
    /// The only event hub it may be used for.
    pub entity_path: EventHubName,
}

impl fmt::Display for EventHubConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, policy, key, entity_path } = self;
        write!(f, "Endpoint=sb://{host}/;SharedAccessKeyName={policy};SharedAccessKey={key};EntityPath={entity_path}")
    }
}

impl fmt::Debug for EventHubConnectionString {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Self { key: "***".to_owned(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_reads_back_as_it_was_written() {
        let text = "HostName=localhost:8443;SharedAccessKeyName=iothubowner;SharedAccessKey=a2V5PT0=";
        let read: ConnectionString = text.parse().expect("a connection string");
        assert_eq!((read.host(), read.port(), read.key.as_str()), ("localhost", Some(8443), "a2V5PT0="));
        assert_eq!(read.to_string(), text);
        assert!(!format!("{read:?}").contains("a2V5"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |text: &str, error| assert_eq!(text.parse::<ConnectionString>(), Err(error), "{text}");
        check("", InvalidConnectionString::Missing("HostName"));
        check("HostName=h;SharedAccessKeyName=p", InvalidConnectionString::Missing("SharedAccessKey"));
        check("HostName=h;nonsense", InvalidConnectionString::Part(2));
    }

    #[test]
    fn event_hub_clients_get_the_form_they_know() {
        let string = EventHubConnectionString {
            host: "localhost".to_owned(),
            policy: "ingest".parse().expect("a name"),
            key: "a2V5PT0=".to_owned(),
            entity_path: "audit".parse().expect("a name"),
        };
        let text = "Endpoint=sb://localhost/;SharedAccessKeyName=ingest;SharedAccessKey=a2V5PT0=;EntityPath=audit";
        assert_eq!(string.to_string(), text);
        assert!(!format!("{string:?}").contains("a2V5"));
    }
}
