//! The operations of the service API, one function each.

use std::time::Duration;

use model::Identity;
use model::api::{
    Authentication, BulkItem, BulkResult, Ca, CaRequest, CaState, CommandItem, CommandRequest, CommandSent, Device, MethodRequest,
    MethodResponse, Module, PurgeResult, Status, Twin, TwinPatch,
};
use model::limits::METHOD_RESPONSE_TIMEOUT_SECONDS_DEFAULT;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{ClientError, HubClient, REQUEST_TIMEOUT, Request};

/// A device or module as it is created or replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewIdentity {
    /// How it proves itself.
    pub authentication: Authentication,
    /// Whether it may connect; devices only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Why, for people; devices only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}

/// Whether a PUT creates, or replaces what has this etag (`*` for any).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityChange<'a> {
    /// Create; refused when it exists.
    Create,
    /// Replace; refused when the etag does not match.
    Replace(&'a str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceStatistics {
    total_device_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdentityBody<'a> {
    device_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(flatten)]
    identity: &'a NewIdentity,
}

/// `{collection}/{device}` or `{collection}/{device}/modules/{module}`, then `rest`.
fn request(method: Method, collection: &str, identity: &Identity, rest: &[&str]) -> Request {
    let mut segments = vec![collection, identity.device.as_str()];
    if let Some(module) = &identity.module {
        segments.extend(["modules", module.as_str()]);
    }
    segments.extend(rest);
    Request::new(method, &segments)
}

fn put(identity: &Identity, new: &NewIdentity, change: IdentityChange<'_>) -> Request {
    let etag = match change {
        IdentityChange::Create => None,
        IdentityChange::Replace(etag) => Some(etag),
    };
    let body = IdentityBody {
        device_id: identity.device.as_str(),
        module_id: identity.module.as_ref().map(model::ModuleId::as_str),
        etag,
        identity: new,
    };
    let request = request(Method::PUT, "devices", identity, &[]).json(&body);
    match etag {
        None => request,
        Some(etag) => request.if_match(etag),
    }
}

/// Devices and modules.
impl HubClient {
    /// At most `limit` devices in the order of their ids, page after page as long as the hub says
    /// with `x-ms-continuation` that there are more.
    ///
    /// # Errors
    /// Every function here fails with a [`ClientError`]: not reached, lost, refused or not
    /// understood.
    pub async fn devices(&self, limit: usize) -> Result<Vec<Device>, ClientError> {
        self.fetch_pages(Request::new(Method::GET, &["devices"]), limit).await
    }

    /// How many devices are registered.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn device_count(&self) -> Result<u64, ClientError> {
        let statistics: DeviceStatistics = self.fetch(&Request::new(Method::GET, &["statistics", "devices"])).await?;
        Ok(statistics.total_device_count)
    }

    /// A device.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn device(&self, device: &Identity) -> Result<Device, ClientError> {
        self.fetch(&request(Method::GET, "devices", device, &[])).await
    }

    /// Creates or replaces a device.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn put_device(&self, device: &Identity, new: &NewIdentity, change: IdentityChange<'_>) -> Result<Device, ClientError> {
        self.fetch(&put(device, new, change)).await
    }

    /// The modules of a device.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn modules(&self, device: &Identity) -> Result<Vec<Module>, ClientError> {
        self.fetch(&request(Method::GET, "devices", device, &["modules"])).await
    }

    /// A module.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn module(&self, module: &Identity) -> Result<Module, ClientError> {
        self.fetch(&request(Method::GET, "devices", module, &[])).await
    }

    /// Creates or replaces a module.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn put_module(&self, module: &Identity, new: &NewIdentity, change: IdentityChange<'_>) -> Result<Module, ClientError> {
        self.fetch(&put(module, new, change)).await
    }

    /// Deletes a device with its modules, or a module, if it has `etag` (`*` for any).
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn delete_identity(&self, identity: &Identity, etag: &str) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, "devices", identity, &[]).if_match(etag)).await
    }

    /// Carries out at most [`model::limits::BULK_OPERATIONS_MAX`] registry operations. Operations
    /// refused one by one are in the result and not an error.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn bulk(&self, operations: &[BulkItem]) -> Result<BulkResult, ClientError> {
        let request = Request::new(Method::POST, &["devices"]).json(&operations);
        match self.fetch(&request).await {
            // With an operation refused the whole answer has status 400 and yet the result as body.
            Err(ClientError::Refused(refusal)) if refusal.status == 400 => {
                serde_json::from_str(&refusal.body).map_err(|_| ClientError::Refused(refusal))
            }
            answer => answer,
        }
    }
}

/// Twins, methods and commands.
impl HubClient {
    /// A twin.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn twin(&self, identity: &Identity) -> Result<Twin, ClientError> {
        self.fetch(&request(Method::GET, "twins", identity, &[])).await
    }

    /// Merges `patch` into a twin that has `etag` (`*` for any).
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn patch_twin(&self, identity: &Identity, patch: &TwinPatch, etag: &str) -> Result<Twin, ClientError> {
        self.fetch(&request(Method::PATCH, "twins", identity, &[]).if_match(etag).json(patch)).await
    }

    /// Replaces the sections in `patch` of a twin that has `etag` (`*` for any).
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn replace_twin(&self, identity: &Identity, patch: &TwinPatch, etag: &str) -> Result<Twin, ClientError> {
        self.fetch(&request(Method::PUT, "twins", identity, &[]).if_match(etag).json(patch)).await
    }

    /// Calls a direct method and waits for the device's answer.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn invoke_method(&self, identity: &Identity, call: &MethodRequest) -> Result<MethodResponse, ClientError> {
        let waits = call.response_timeout_in_seconds.unwrap_or(METHOD_RESPONSE_TIMEOUT_SECONDS_DEFAULT)
            + call.connect_timeout_in_seconds.unwrap_or(0);
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(waits.into());
        self.fetch(&request(Method::POST, "twins", identity, &["methods"]).json(call).timeout(Some(timeout))).await
    }

    /// Queues a command.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn send_command(&self, identity: &Identity, command: &CommandRequest) -> Result<CommandSent, ClientError> {
        self.fetch(&request(Method::POST, "devices", identity, &["commands"]).json(command)).await
    }

    /// The commands in an identity's queue.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn commands(&self, identity: &Identity) -> Result<Vec<CommandItem>, ClientError> {
        self.fetch(&request(Method::GET, "devices", identity, &["commands"])).await
    }

    /// Removes every command of an identity's queue.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn purge_commands(&self, identity: &Identity) -> Result<PurgeResult, ClientError> {
        self.fetch(&request(Method::DELETE, "devices", identity, &["commands"])).await
    }
}

/// Certificate authorities.
impl HubClient {
    /// Enrols a certificate authority.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn add_ca(&self, ca: &CaRequest) -> Result<Ca, ClientError> {
        self.fetch(&Request::new(Method::POST, &["certificateAuthorities"]).json(ca)).await
    }

    /// The enrolled certificate authorities.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn cas(&self) -> Result<Vec<Ca>, ClientError> {
        self.fetch(&Request::new(Method::GET, &["certificateAuthorities"])).await
    }

    /// One of them.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn ca(&self, thumbprint: &str) -> Result<Ca, ClientError> {
        self.fetch(&Request::new(Method::GET, &["certificateAuthorities", thumbprint])).await
    }

    /// Switches one on or off.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn set_ca_state(&self, thumbprint: &str, state: CaState) -> Result<(), ClientError> {
        self.perform(&Request::new(Method::PUT, &["certificateAuthorities", thumbprint, "state"]).json(&state)).await
    }

    /// Removes one.
    ///
    /// # Errors
    /// See [`Self::devices`].
    pub async fn delete_ca(&self, thumbprint: &str) -> Result<(), ClientError> {
        self.perform(&Request::new(Method::DELETE, &["certificateAuthorities", thumbprint])).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_says_only_what_was_decided() {
        let identity: Identity = "d1/m1".parse().expect("an identity");
        let request = put(&identity, &NewIdentity::default(), IdentityChange::Create);
        let body: serde_json::Value = serde_json::from_slice(&request.body.expect("a body")).expect("JSON");
        let authentication = serde_json::json!({"symmetricKey": null, "x509Thumbprint": null, "type": null});
        assert_eq!(body, serde_json::json!({"deviceId": "d1", "moduleId": "m1", "authentication": authentication}));
        assert_eq!(request.path, "/devices/d1/modules/m1");
        assert!(!request.headers.iter().any(|(name, _)| *name == "if-match"));
        let request = put(&identity, &NewIdentity::default(), IdentityChange::Replace("*"));
        assert!(request.headers.contains(&("if-match", "\"*\"".to_owned())));
    }
}
