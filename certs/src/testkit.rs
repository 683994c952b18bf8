//! Certificates for tests, sane and hostile.
