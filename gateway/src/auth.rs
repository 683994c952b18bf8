//! Admission: one log line and one count per refusal.
