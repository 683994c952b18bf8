//! What a CONNECT claims: `{host}/{device}[/{module}]/?{query}` as user name, the identity again
//! as client id.

use model::{Identity, InvalidId};
use percent_encoding::percent_decode_str;
use thiserror::Error;

/// What a client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The hub it wants, possibly with a port. `None`: it named none.
    pub host: Option<String>,
    /// Who it is.
    pub identity: Identity,
    /// The digital-twin model it announced.
    pub model_id: Option<String>,
}

/// Why a CONNECT names no identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidLogin {
    /// The client id is not `device` or `device/module`.
    #[error("the client id names no device or module: {0}")]
    ClientId(InvalidId),
    /// The user name does not have the form.
    #[error("the user name is not host/device[/module]/?query")]
    Username,
    /// Client id and user name name different identities.
    #[error("the client id and the user name name different identities")]
    Mismatch,
}

impl Login {
    /// Reads client id and user name.
    ///
    /// A client without a user name claims what its client id says, which its certificate must
    /// then bear out; that is how plain MQTT clients connect.
    ///
    /// # Errors
    /// [`InvalidLogin`], without regard to whether the identity exists.
    pub(crate) fn read(client_id: &str, username: Option<&str>) -> Result<Self, InvalidLogin> {
        let identity: Identity = client_id.parse().map_err(InvalidLogin::ClientId)?;
        let Some(username) = username else {
            return Ok(Self { host: None, identity, model_id: None });
        };
        let (path, query) = split_query(username);
        let (host, named) = path.split_once('/').ok_or(InvalidLogin::Username)?;
        let named: Identity = named.parse().map_err(|_| InvalidLogin::Username)?;
        if named != identity {
            return Err(InvalidLogin::Mismatch);
        }
        Ok(Self { host: Some(host.to_owned()), identity, model_id: model_id(query) })
    }
}

/// Parts the query from the path, in the documented form `…/?query` and the older `…/api-version=…`.
fn split_query(username: &str) -> (&str, &str) {
    if let Some((path, query)) = username.split_once("/?") {
        return (path, query);
    }
    match username.rsplit_once('/') {
        Some((path, query)) if query.starts_with("api-version=") || query.is_empty() => (path, query),
        Some(_) | None => (username, ""),
    }
}

fn model_id(query: &str) -> Option<String> {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix("model-id="))?;
    let decoded = percent_decode_str(pair).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(client_id: &str, username: Option<&str>, expect: Result<(Option<&str>, &str, Option<&str>), InvalidLogin>) {
        let read = Login::read(client_id, username);
        let read = read.as_ref().map(|l| (l.host.as_deref(), l.identity.to_string(), l.model_id.as_deref())).map_err(Clone::clone);
        assert_eq!(read, expect.map(|(host, identity, model)| (host, identity.to_owned(), model)), "{client_id} {username:?}");
    }

    #[test]
    fn user_names_of_every_client_are_read() {
        let python = "localhost/dev1/?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%283.11.7%3BLinux%29";
        check("dev1", Some(python), Ok((Some("localhost"), "dev1", None)));
        let node = "localhost:21010/dev1/mod1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node%20v20)";
        check("dev1/mod1", Some(node), Ok((Some("localhost:21010"), "dev1/mod1", None)));
        let model = "h/d/?api-version=2020-09-30&model-id=dtmi%3Acom%3Ax%3B1";
        check("d", Some(model), Ok((Some("h"), "d", Some("dtmi:com:x;1"))));
        for older in ["h/d", "h/d/", "h/d/api-version=2016-11-14", "h/d/?"] {
            check("d", Some(older), Ok((Some("h"), "d", None)));
        }
        check("what?", Some("h/what?/?api-version=1"), Ok((Some("h"), "what?", None)));
        check("d", None, Ok((None, "d", None)));
    }

    #[test]
    fn a_login_that_names_no_identity_is_refused() {
        check("d", Some("h"), Err(InvalidLogin::Username));
        check("d", Some("h/a b"), Err(InvalidLogin::Username));
        check("d", Some("h/e"), Err(InvalidLogin::Mismatch));
        check("d/m", Some("h/d/?x"), Err(InvalidLogin::Mismatch));
        check("d", Some("scope/registrations/d/api-version=2019-03-31"), Err(InvalidLogin::Mismatch));
        check("", Some("h/d"), Err(InvalidLogin::ClientId(InvalidId::Empty)));
        check("a#", None, Err(InvalidLogin::ClientId(InvalidId::Character { character: '#' })));
    }
}
