//! `hubctl module …`

use std::io::Write;

use hubctl::HubClient;
use hubctl::client::{IdentityChange, NewIdentity};
use model::Identity;
use model::api::Module;

use super::{identity, moment, name};
use crate::args::ModuleVerb;
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: ModuleVerb) -> Result<(), Failure> {
    match verb {
        ModuleVerb::Create { device, module, proof } => {
            let authentication = identity::authentication(proof.auth, &proof.thumbprint)?;
            let new = NewIdentity { authentication, ..NewIdentity::default() };
            let module = hub.put_module(&Identity::module(device, module), &new, IdentityChange::Create).await?;
            Ok(output.result(&module, |module| details(module, hub.host()))?)
        }
        ModuleVerb::Show { device, module } => {
            let module = hub.module(&Identity::module(device, module)).await?;
            Ok(output.result(&module, |module| details(module, hub.host()))?)
        }
        ModuleVerb::List { device } => {
            let modules = hub.modules(&Identity::device(device)).await?;
            Ok(output.result(&modules, |modules| overview(modules))?)
        }
        ModuleVerb::Delete { device, module, etag } => {
            let identity = Identity::module(device, module);
            hub.delete_identity(&identity, etag.as_deref().unwrap_or("*")).await?;
            Ok(output.done(&format!("module {identity} deleted"))?)
        }
    }
}

fn overview(modules: &[Module]) -> Table {
    let row = |module: &Module| {
        let kind = module.authentication.kind.as_ref().map(name).unwrap_or_default();
        vec![module.module_id.clone(), kind, name(&module.connection_state), moment(module.last_activity_time)]
    };
    Table::rows(&["module", "authentication", "connection", "last activity"], modules.iter().map(row))
}

fn details(module: &Module, host: &str) -> Table {
    let mut fields = vec![("device", module.device_id.clone()), ("module", module.module_id.clone())];
    fields.extend(identity::fields(&module.authentication, host, &module.device_id, Some(&module.module_id)));
    fields.extend([
        ("connection", name(&module.connection_state)),
        ("last activity", moment(module.last_activity_time)),
        ("commands waiting", module.cloud_to_device_message_count.to_string()),
        ("etag", module.etag.clone()),
    ]);
    Table::fields(fields)
}
