//! Telemetry to record headers and back.
