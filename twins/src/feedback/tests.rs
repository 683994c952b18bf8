use std::time::Duration;

use super::*;

#[test]
fn each_ack_wants_its_outcomes() {
    use FeedbackStatus::{DeliveryCountExceeded, Expired, Purged, Rejected, Success};
    let all = [Success, Expired, DeliveryCountExceeded, Rejected, Purged];
    let wanted = |ack: Ack| all.into_iter().filter(|outcome| ack.wants(*outcome)).collect::<Vec<_>>();
    assert_eq!(wanted(Ack::None), []);
    assert_eq!(wanted(Ack::Positive), [Success]);
    assert_eq!(wanted(Ack::Negative), [Expired, DeliveryCountExceeded, Rejected, Purged]);
    assert_eq!(wanted(Ack::Full), all);
}

#[test]
fn an_ack_is_read_in_any_case_and_nothing_else_is() {
    for ack in [Ack::None, Ack::Positive, Ack::Negative, Ack::Full] {
        assert_eq!(ack.to_string().to_uppercase().parse(), Ok(ack));
    }
    for text in ["", "some", "full "] {
        assert_eq!(text.parse::<Ack>(), Err(InvalidAck(text.to_owned())));
    }
}

#[test]
fn records_become_a_message_when_they_are_many_or_the_oldest_has_waited() {
    let start = Timestamp::from_milliseconds(0);
    let later = |milliseconds| start.saturating_add(Duration::from_millis(milliseconds));
    let mut gathering = Gathering::default();
    gathering.add(0, start);
    assert_eq!((gathering.deadline(), gathering.is_due(Timestamp::MAX)), (None, false));
    gathering.add(1, start);
    gathering.add(62, later(14_999));
    assert_eq!(gathering.deadline(), Some(later(15_000)), "later ones do not put it off");
    assert!(!gathering.is_due(later(14_999)));
    assert!(gathering.is_due(later(15_000)));
    gathering.add(1, later(14_999));
    assert!(gathering.is_due(later(14_999)));
}
