//! Reason codes of MQTT 5 (§2.4) and return codes of MQTT 3.1.1 (§3.2.2.3).

use super::fixed_header::PacketType;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant = $value,)* }

        impl $name {
            /// Every code, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl TryFrom<u8> for $name {
            type Error = u8;
            /// Gives the number back when it is not one of these codes.
            fn try_from(number: u8) -> Result<Self, u8> {
                match number {
                    $($value => Ok(Self::$variant),)*
                    unknown => Err(unknown),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(code: $name) -> u8 {
                code as u8
            }
        }
    };
}

codes! {
    /// A reason code of MQTT 5. [`ReasonCode::Success`] is also normal disconnection and granted QoS 0.
    ReasonCode {
        /// 0x00 Success; normal disconnection; granted QoS 0.
        Success = 0x00,
        /// 0x01 Granted QoS 1.
        GrantedQos1 = 0x01,
        /// 0x02 Granted QoS 2.
        GrantedQos2 = 0x02,
        /// 0x04 Disconnect with will message.
        DisconnectWithWill = 0x04,
        /// 0x10 No matching subscribers.
        NoMatchingSubscribers = 0x10,
        /// 0x11 No subscription existed.
        NoSubscriptionExisted = 0x11,
        /// 0x18 Continue authentication.
        ContinueAuthentication = 0x18,
        /// 0x19 Re-authenticate.
        Reauthenticate = 0x19,
        /// 0x80 Unspecified error.
        UnspecifiedError = 0x80,
        /// 0x81 Malformed packet.
        MalformedPacket = 0x81,
        /// 0x82 Protocol error.
        ProtocolError = 0x82,
        /// 0x83 Implementation specific error.
        ImplementationSpecificError = 0x83,
        /// 0x84 Unsupported protocol version.
        UnsupportedProtocolVersion = 0x84,
        /// 0x85 Client identifier not valid.
        ClientIdentifierNotValid = 0x85,
        /// 0x86 Bad user name or password.
        BadUserNameOrPassword = 0x86,
        /// 0x87 Not authorized.
        NotAuthorized = 0x87,
        /// 0x88 Server unavailable.
        ServerUnavailable = 0x88,
        /// 0x89 Server busy.
        ServerBusy = 0x89,
        /// 0x8A Banned.
        Banned = 0x8a,
        /// 0x8B Server shutting down.
        ServerShuttingDown = 0x8b,
        /// 0x8C Bad authentication method.
        BadAuthenticationMethod = 0x8c,
        /// 0x8D Keep alive timeout.
        KeepAliveTimeout = 0x8d,
        /// 0x8E Session taken over.
        SessionTakenOver = 0x8e,
        /// 0x8F Topic filter invalid.
        TopicFilterInvalid = 0x8f,
        /// 0x90 Topic name invalid.
        TopicNameInvalid = 0x90,
        /// 0x91 Packet identifier in use.
        PacketIdentifierInUse = 0x91,
        /// 0x92 Packet identifier not found.
        PacketIdentifierNotFound = 0x92,
        /// 0x93 Receive maximum exceeded.
        ReceiveMaximumExceeded = 0x93,
        /// 0x94 Topic alias invalid.
        TopicAliasInvalid = 0x94,
        /// 0x95 Packet too large.
        PacketTooLarge = 0x95,
        /// 0x96 Message rate too high.
        MessageRateTooHigh = 0x96,
        /// 0x97 Quota exceeded.
        QuotaExceeded = 0x97,
        /// 0x98 Administrative action.
        AdministrativeAction = 0x98,
        /// 0x99 Payload format invalid.
        PayloadFormatInvalid = 0x99,
        /// 0x9A Retain not supported.
        RetainNotSupported = 0x9a,
        /// 0x9B QoS not supported.
        QosNotSupported = 0x9b,
        /// 0x9C Use another server.
        UseAnotherServer = 0x9c,
        /// 0x9D Server moved.
        ServerMoved = 0x9d,
        /// 0x9E Shared subscriptions not supported.
        SharedSubscriptionsNotSupported = 0x9e,
        /// 0x9F Connection rate exceeded.
        ConnectionRateExceeded = 0x9f,
        /// 0xA0 Maximum connect time.
        MaximumConnectTime = 0xa0,
        /// 0xA1 Subscription identifiers not supported.
        SubscriptionIdentifiersNotSupported = 0xa1,
        /// 0xA2 Wildcard subscriptions not supported.
        WildcardSubscriptionsNotSupported = 0xa2,
    }
}

codes! {
    /// CONNACK's return code in MQTT 3.1.1.
    ConnectReturnCode {
        /// 0 Connection accepted.
        Accepted = 0,
        /// 1 Unacceptable protocol version.
        UnacceptableProtocolVersion = 1,
        /// 2 Identifier rejected.
        IdentifierRejected = 2,
        /// 3 Server unavailable.
        ServerUnavailable = 3,
        /// 4 Bad user name or password.
        BadUserNameOrPassword = 4,
        /// 5 Not authorized.
        NotAuthorized = 5,
    }
}

impl ReasonCode {
    /// Whether the code reports a failure: 0x80 and above.
    pub fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether the standard allows the code in a packet of this type: the table of each packet's
    /// own section, not the overview in §2.4.
    pub fn is_allowed_in(self, packet: PacketType) -> bool {
        let number = self as u8;
        match packet {
            PacketType::ConnAck => {
                matches!(number, 0x00 | 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f)
            }
            PacketType::PubAck | PacketType::PubRec => {
                matches!(number, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
            }
            PacketType::PubRel | PacketType::PubComp => matches!(number, 0x00 | 0x92),
            PacketType::SubAck => {
                matches!(number, 0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2)
            }
            PacketType::UnsubAck => matches!(number, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91),
            PacketType::Disconnect => {
                matches!(number, 0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0x90 | 0x93..=0xa2)
            }
            PacketType::Auth => matches!(number, 0x00 | 0x18 | 0x19),
            PacketType::Connect
            | PacketType::Publish
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::PingResp => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_convert_both_ways() {
        for number in 0..=u8::MAX {
            match ReasonCode::try_from(number) {
                Ok(code) => assert_eq!(u8::from(code), number),
                Err(unknown) => assert_eq!(unknown, number),
            }
        }
        assert_eq!(ReasonCode::ALL.len(), 43);
        assert_eq!(ConnectReturnCode::try_from(6), Err(6));
    }

    #[test]
    fn each_packet_allows_only_the_codes_of_its_own_table() {
        let allowed = |packet| ReasonCode::ALL.iter().filter(|code| code.is_allowed_in(packet)).count();
        assert_eq!(allowed(PacketType::ConnAck), 22);
        assert_eq!(allowed(PacketType::PubAck), 9);
        assert_eq!(allowed(PacketType::PubRel), 2);
        assert_eq!(allowed(PacketType::SubAck), 12);
        assert_eq!(allowed(PacketType::UnsubAck), 7);
        assert_eq!(allowed(PacketType::Disconnect), 29);
        assert_eq!(allowed(PacketType::Auth), 3);
        assert_eq!(allowed(PacketType::Publish), 0);
    }
}
