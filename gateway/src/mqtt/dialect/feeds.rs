//! What an identity may subscribe to.

use std::collections::BTreeMap;

use model::Identity;
use model::limits::SUBSCRIPTIONS_PER_IDENTITY_MAX;
use mqtt_proto::wire::QoS;

/// A stream of messages from the hub to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Feed {
    /// Commands.
    Commands,
    /// Messages to a module's inputs.
    Inputs,
    /// Direct methods.
    Methods,
    /// Answers to twin requests.
    TwinResponses,
    /// Changes of desired properties.
    DesiredChanges,
}

const ALL: [Feed; 5] = [Feed::Commands, Feed::Inputs, Feed::Methods, Feed::TwinResponses, Feed::DesiredChanges];

/// The subscriptions of one identity: filters as granted, and which feeds they open.
#[derive(Debug, Clone)]
pub(crate) struct Feeds {
    base: String,
    is_module: bool,
    granted: BTreeMap<String, QoS>,
    open: [Option<QoS>; ALL.len()],
}

/// Why a filter is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilterRefused {
    /// The identity has nothing under that filter.
    NotItsOwn,
    /// The identity has as many subscriptions as it may.
    TooMany,
}

impl Feeds {
    /// No subscriptions yet.
    pub(crate) fn new(identity: &Identity) -> Self {
        let base = match &identity.module {
            None => format!("devices/{}/", identity.device),
            Some(module) => format!("devices/{}/modules/{module}/", identity.device),
        };
        Self { base, is_module: identity.module.is_some(), granted: BTreeMap::new(), open: [None; ALL.len()] }
    }

    /// Grants `filter` at `wanted`, at most QoS 1, or says why not.
    pub(crate) fn subscribe(&mut self, filter: &str, wanted: QoS) -> Result<QoS, FilterRefused> {
        if self.feeds_of(filter).is_empty() {
            return Err(FilterRefused::NotItsOwn);
        }
        if self.granted.len() >= SUBSCRIPTIONS_PER_IDENTITY_MAX && !self.granted.contains_key(filter) {
            return Err(FilterRefused::TooMany);
        }
        let qos = if wanted == QoS::AtMostOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        self.granted.insert(filter.to_owned(), qos);
        self.reopen();
        Ok(qos)
    }

    /// Takes a subscription back; false if there was none.
    pub(crate) fn unsubscribe(&mut self, filter: &str) -> bool {
        let existed = self.granted.remove(filter).is_some();
        self.reopen();
        existed
    }

    /// The QoS of a feed, if any subscription opens it.
    pub(crate) fn qos(&self, feed: Feed) -> Option<QoS> {
        ALL.iter().zip(self.open).find_map(|(each, qos)| if *each == feed { qos } else { None })
    }

    /// Every filter with its granted QoS.
    pub(crate) fn granted(&self) -> impl Iterator<Item = (&str, QoS)> {
        self.granted.iter().map(|(filter, qos)| (filter.as_str(), *qos))
    }

    fn reopen(&mut self) {
        let mut open = [None; ALL.len()];
        for (filter, qos) in &self.granted {
            for feed in self.feeds_of(filter) {
                for (each, slot) in ALL.iter().zip(&mut open) {
                    if each == feed && *slot != Some(QoS::AtLeastOnce) {
                        *slot = Some(*qos);
                    }
                }
            }
        }
        self.open = open;
    }

    fn feeds_of(&self, filter: &str) -> &'static [Feed] {
        match filter {
            "$iothub/methods/POST/#" => return &[Feed::Methods],
            "$iothub/twin/res/#" => return &[Feed::TwinResponses],
            "$iothub/twin/PATCH/properties/desired/#" => return &[Feed::DesiredChanges],
            _ => {}
        }
        match (filter.strip_prefix(self.base.as_str()), self.is_module) {
            (Some("messages/devicebound/#"), _) => &[Feed::Commands],
            (Some("inputs/#"), true) => &[Feed::Inputs],
            (Some("#"), true) => &[Feed::Commands, Feed::Inputs],
            (Some(_) | None, _) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feeds(identity: &str) -> Feeds {
        Feeds::new(&identity.parse().expect("an identity"))
    }

    #[test]
    fn filters_of_every_client_open_their_feeds() {
        let check = |identity: &str, filter: &str, expect: &[Feed]| {
            let mut feeds = feeds(identity);
            assert_eq!(feeds.subscribe(filter, QoS::ExactlyOnce), Ok(QoS::AtLeastOnce), "{filter}");
            let open: Vec<Feed> = ALL.into_iter().filter(|feed| feeds.qos(*feed) == Some(QoS::AtLeastOnce)).collect();
            assert_eq!(open, expect, "{filter}");
        };
        check("d", "devices/d/messages/devicebound/#", &[Feed::Commands]);
        check("d", "$iothub/methods/POST/#", &[Feed::Methods]);
        check("d", "$iothub/twin/res/#", &[Feed::TwinResponses]);
        check("d", "$iothub/twin/PATCH/properties/desired/#", &[Feed::DesiredChanges]);
        check("d/m", "devices/d/modules/m/inputs/#", &[Feed::Inputs]);
        check("d/m", "devices/d/modules/m/#", &[Feed::Commands, Feed::Inputs]);
        check("d/m", "devices/d/modules/m/messages/devicebound/#", &[Feed::Commands]);
    }

    #[test]
    fn a_filter_that_is_not_ones_own_is_refused() {
        for filter in [
            "#",
            "+",
            "devices/e/messages/devicebound/#",
            "devices/d/#",
            "devices/d/inputs/#",
            "$iothub/#",
            "devices/+/messages/devicebound/#",
        ] {
            assert_eq!(feeds("d").subscribe(filter, QoS::AtLeastOnce), Err(FilterRefused::NotItsOwn), "{filter}");
        }
    }

    #[test]
    fn overlapping_filters_give_the_higher_qos_and_close_one_by_one() {
        let mut feeds = feeds("d/m");
        assert_eq!(feeds.subscribe("devices/d/modules/m/#", QoS::AtMostOnce), Ok(QoS::AtMostOnce));
        assert_eq!(feeds.subscribe("devices/d/modules/m/inputs/#", QoS::AtLeastOnce), Ok(QoS::AtLeastOnce));
        assert_eq!((feeds.qos(Feed::Inputs), feeds.qos(Feed::Commands)), (Some(QoS::AtLeastOnce), Some(QoS::AtMostOnce)));
        assert!(feeds.unsubscribe("devices/d/modules/m/inputs/#"));
        assert!(!feeds.unsubscribe("devices/d/modules/m/inputs/#"));
        assert_eq!(feeds.qos(Feed::Inputs), Some(QoS::AtMostOnce));
    }
}
