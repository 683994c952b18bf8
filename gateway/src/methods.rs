//! Direct methods: at most once, never stored.
