//! Admission: the one place that turns what a connection presents into a grant, or into one log
//! line and one count.

use std::sync::Arc;

use certs::judge::{AuthGrant, AuthReject, ClaimedIdentity, Evidence, OperatorGrant};
use model::Rights;
use thiserror::Error;

use crate::hub::Hub;

/// Why an operator's request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum OperatorRefusal {
    /// Its token or certificate does not hold.
    #[error(transparent)]
    Unauthorized(AuthReject),
    /// It holds, but its policy lacks the right.
    #[error("the policy {name} lacks the right for this operation")]
    Forbidden {
        /// The policy's or certificate's name.
        name: String,
    },
}

impl Hub {
    /// Admits a device or module, or says why not.
    ///
    /// # Errors
    /// [`AuthReject`] for the log; the peer learns less.
    pub(crate) fn admit(&self, evidence: Evidence<'_>, claim: &ClaimedIdentity) -> Result<AuthGrant, AuthReject> {
        self.judge_device(evidence, claim).inspect_err(|reject| {
            self.metrics.auth_refused(reject.name());
            tracing::warn!(identity = %claim.identity, reason = reject.name(), detail = %reject, "refused a device");
        })
    }

    /// Judges until the registry's record is still the one that was judged by, so that a change
    /// in between never admits on what it replaced.
    fn judge_device(&self, evidence: Evidence<'_>, claim: &ClaimedIdentity) -> Result<AuthGrant, AuthReject> {
        let mut record = self.twins.identity(&claim.identity);
        loop {
            let judged = self.judge.admit(evidence, claim, record.as_deref(), self.clock.now());
            let present = self.twins.identity(&claim.identity);
            if present.as_ref().map(Arc::as_ptr) == record.as_ref().map(Arc::as_ptr) {
                return judged;
            }
            record = present;
        }
    }

    /// Admits an operator who wants `wanted` on `resource` (host and path), or says why not.
    ///
    /// # Errors
    /// [`OperatorRefusal`]
    pub(crate) fn admit_operator(&self, evidence: Evidence<'_>, resource: &str, wanted: Rights) -> Result<OperatorGrant, OperatorRefusal> {
        let judged = self.judge.admit_operator(evidence, resource, self.clock.now());
        let grant = judged.map_err(|reject| {
            self.metrics.auth_refused(reject.name());
            tracing::warn!(resource, reason = reject.name(), detail = %reject, "refused an operator");
            OperatorRefusal::Unauthorized(reject)
        })?;
        if grant.rights.contains(wanted) {
            return Ok(grant);
        }
        self.metrics.auth_refused("right_missing");
        tracing::warn!(resource, operator = grant.name, reason = "right_missing", "refused an operator");
        Err(OperatorRefusal::Forbidden { name: grant.name })
    }
}
