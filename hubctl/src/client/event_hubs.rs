//! Event hubs, their policies, and events sent to them.

use model::api::{
    ConsumerGroupInfo, EventHubInfo, EventHubPatch, EventHubPolicyInfo, EventHubPolicyRequest, EventHubRequest, EventPlace, EventRequest,
    EventsSent, PartitionInfo,
};
use model::{EventHubName, PolicyName};
use reqwest::Method;

use super::{ClientError, HubClient, Request};

impl HubClient {
    /// Every event hub in the order of their creation.
    ///
    /// # Errors
    /// Every function here fails with a [`ClientError`]: not reached, lost, refused or not
    /// understood.
    pub async fn event_hubs(&self) -> Result<Vec<EventHubInfo>, ClientError> {
        self.fetch(&Request::new(Method::GET, &["eventHubs"])).await
    }

    /// An event hub.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn event_hub(&self, name: &EventHubName) -> Result<EventHubInfo, ClientError> {
        self.fetch(&request(Method::GET, name, &[])).await
    }

    /// Where the partitions of an event hub stand.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn partitions(&self, name: &EventHubName) -> Result<Vec<PartitionInfo>, ClientError> {
        self.fetch(&request(Method::GET, name, &["partitions"])).await
    }

    /// Every consumer group, and how far each has read.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn consumer_groups(&self) -> Result<Vec<ConsumerGroupInfo>, ClientError> {
        self.fetch(&Request::new(Method::GET, &["eventHubGroups"])).await
    }

    /// The consumer groups that read an event hub, and how far.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn consumer_groups_of(&self, name: &EventHubName) -> Result<Vec<ConsumerGroupInfo>, ClientError> {
        self.fetch(&request(Method::GET, name, &["groups"])).await
    }

    /// Creates an event hub.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn create_event_hub(&self, name: &EventHubName, settings: &EventHubRequest) -> Result<EventHubInfo, ClientError> {
        self.fetch(&request(Method::PUT, name, &[]).json(settings)).await
    }

    /// Changes an event hub's settings.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn update_event_hub(&self, name: &EventHubName, change: &EventHubPatch) -> Result<EventHubInfo, ClientError> {
        self.fetch(&request(Method::PATCH, name, &[]).json(change)).await
    }

    /// Deletes an event hub with its events and policies.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn delete_event_hub(&self, name: &EventHubName) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, name, &[])).await
    }

    /// The policies of an event hub with their keys.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn event_hub_policies(&self, hub: &EventHubName) -> Result<Vec<EventHubPolicyInfo>, ClientError> {
        self.fetch(&request(Method::GET, hub, &["policies"])).await
    }

    /// One of them.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn event_hub_policy(&self, hub: &EventHubName, name: &PolicyName) -> Result<EventHubPolicyInfo, ClientError> {
        self.fetch(&request(Method::GET, hub, &["policies", name.as_str()])).await
    }

    /// Creates a policy of an event hub; the hub makes its keys.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn create_event_hub_policy(
        &self,
        hub: &EventHubName,
        name: &PolicyName,
        policy: &EventHubPolicyRequest,
    ) -> Result<EventHubPolicyInfo, ClientError> {
        self.fetch(&request(Method::PUT, hub, &["policies", name.as_str()]).json(policy)).await
    }

    /// Deletes a policy of an event hub.
    ///
    /// # Errors
    /// See [`Self::event_hubs`].
    pub async fn delete_event_hub_policy(&self, hub: &EventHubName, name: &PolicyName) -> Result<(), ClientError> {
        self.perform(&request(Method::DELETE, hub, &["policies", name.as_str()])).await
    }

    /// Sends events in one request, at most [`model::limits::SEND_BODY_BYTES_MAX`] as JSON, and
    /// gives the place of each once all are on the hub's disk.
    ///
    /// # Errors
    /// See [`Self::event_hubs`]. When the connection was lost they may be stored.
    pub async fn send_events(&self, hub: &EventHubName, events: &[EventRequest]) -> Result<Vec<EventPlace>, ClientError> {
        let sent: EventsSent = self.fetch(&request(Method::POST, hub, &["events"]).json_lines(events)).await?;
        Ok(sent.events)
    }
}

/// `eventHubs/{name}`, then `rest`.
fn request(method: Method, name: &EventHubName, rest: &[&str]) -> Request {
    let mut segments = vec!["eventHubs", name.as_str()];
    segments.extend(rest);
    Request::new(method, &segments)
}
