//! `hubctl ca …`

use std::io::Write;

use hubctl::HubClient;
use model::Thumbprint;
use model::api::{Ca, CaRequest, CaState};

use super::{name, read_text};
use crate::args::CaVerb;
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: CaVerb) -> Result<(), Failure> {
    match verb {
        CaVerb::Add { file, verified, id_scope } => {
            let ca = hub.add_ca(&CaRequest { certificate: read_text(&file)?, verified, id_scope }).await?;
            Ok(output.result(&ca, details)?)
        }
        CaVerb::Show { thumbprint } => {
            let ca = hub.ca(&id(thumbprint)?).await?;
            Ok(output.result(&ca, details)?)
        }
        CaVerb::List => {
            let cas = hub.cas().await?;
            Ok(output.result(&cas, |cas| overview(cas))?)
        }
        CaVerb::Disable { thumbprint } => set_state(hub, output, thumbprint, CaState::Disabled).await,
        CaVerb::Enable { thumbprint } => set_state(hub, output, thumbprint, CaState::Enabled).await,
        CaVerb::Delete { thumbprint } => {
            hub.delete_ca(&id(thumbprint)?).await?;
            Ok(output.done(&format!("certificate authority {thumbprint} deleted"))?)
        }
    }
}

async fn set_state<W: Write>(hub: &HubClient, output: &mut Output<W>, thumbprint: Thumbprint, state: CaState) -> Result<(), Failure> {
    hub.set_ca_state(&id(thumbprint)?, state).await?;
    Ok(output.done(&format!("certificate authority {thumbprint} {}", name(&state)))?)
}

/// A CA's name in paths: its SHA-256 thumbprint in lower case.
fn id(thumbprint: Thumbprint) -> Result<String, Failure> {
    match thumbprint {
        Thumbprint::Sha256(_) => Ok(thumbprint.to_string().to_lowercase()),
        Thumbprint::Sha1(_) => Err(Failure::Usage("a certificate authority is named by its SHA-256 thumbprint, 64 digits".into())),
    }
}

fn overview(cas: &[Ca]) -> Table {
    let row = |ca: &Ca| vec![ca.thumbprint.clone(), name(&ca.state), ca.not_after.to_string(), ca.subject.clone()];
    Table::rows(&["thumbprint", "state", "expires", "subject"], cas.iter().map(row))
}

fn details(ca: &Ca) -> Table {
    Table::fields([
        ("thumbprint", ca.thumbprint.clone()),
        ("subject", ca.subject.clone()),
        ("state", name(&ca.state)),
        ("id scope", ca.id_scope.join(" ")),
        ("valid from", ca.not_before.to_string()),
        ("expires", ca.not_after.to_string()),
    ])
}
