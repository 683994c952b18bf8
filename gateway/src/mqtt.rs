//! One MQTT connection.
