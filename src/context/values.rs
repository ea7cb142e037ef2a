//! The values of the catalogue's variables, from this VM and from faults.

use std::io::ErrorKind;

use super::{Context, Facts};
use crate::catalogue;
use crate::clients::{imds, packages};
use crate::formats::egress_list;
use crate::host::files::FileError;
use crate::host::{describe, lock, system};
use crate::model::fault::Fault;
use crate::model::var::{one, Var, Word, Words};
use crate::settings::Identity;

/// The value of a variable in this run, if it is known.
pub fn value(context: &Context, facts: &Facts, var: Var) -> Option<Words> {
    let settings = &context.settings;
    let azure = &settings.azure;
    let claims = &facts.identity.claims;
    let proxy = settings.proxy.url.as_ref();
    let text = match var {
        Var::SubscriptionId => context.has_target.then(|| azure.subscription_id.to_string()),
        Var::ResourceGroup => context.has_target.then(|| azure.resource_group.to_string()),
        Var::Location => context.has_target.then(|| azure.location.to_string()),
        Var::Scope => context.has_target.then(|| azure.scope()),
        Var::ResourceName => context.resource_name(claims).map(|name| name.to_string()),
        Var::Vm => claims.vm_name(),
        Var::PrincipalId => claims.oid.clone(),
        Var::Imds => Some(settings.imds.endpoint.clone()),
        Var::ImdsHost => settings.imds.host().map(str::to_owned),
        Var::TokenUrl => {
            // The guide's request, which the operator can compare with.
            Some(imds::token_url(&settings.imds.endpoint, "https://management.azure.com/", &Identity::System))
        }
        Var::ProxyHost => proxy.map(|url| url.host().to_owned()),
        Var::Proxy => proxy.map(|url| url.without_credentials()),
        Var::ProxyAddress => proxy.map(|url| format!("{}:{}", url.host(), url.port())),
        Var::Log => Some(settings.log.file.display().to_string()),
        Var::Config => Some(context.config.clone()),
        Var::Holder => lock::holder(&context.host.files),
        Var::Packages => Some(packages::manager(&context.host).to_owned()),
        Var::Cloud => Some(azure.cloud.name().to_owned()),
        Var::TenantOption => {
            return azure.tenant_id.as_ref().map(|id| vec!["--tenant".into(), Word::Text(id.to_string())])
        }
        _ => None,
    };
    text.map(one)
}

/// The fault with the endpoints that it concerns as values for its steps.
pub fn about_endpoints(fault: Fault, hosts: &[String]) -> Fault {
    let Some(first) = hosts.first() else { return fault };
    let endpoints: Vec<String> = hosts.iter().map(|host| egress_list::endpoint(host, Some(443))).collect();
    let json = format!("[{}]", egress_list::category("azure-arc", &endpoints));
    fault
        .with_arg(Var::Endpoint, one(first.as_str()))
        .with_arg(Var::Endpoints, hosts.iter().map(|host| host.as_str().into()).collect())
        .with_arg(Var::EgressJson, one(json))
}

/// The fault of a file that cannot be written: the disk is full, or the file system does not allow it.
pub fn not_writable(error: &FileError) -> Fault {
    let seen = describe(error);
    let fault = if error.source.kind() == ErrorKind::StorageFull {
        let free = system::free_bytes(&error.path, true).unwrap_or_default() >> 20;
        catalogue::HOST_DISK_FULL.with_evidence(format!("{seen}; {free} MiB free"))
    } else {
        catalogue::HOST_READ_ONLY.with_evidence(seen)
    };
    fault.with_arg(Var::Path, one(error.path.display().to_string()))
}
