//! The IMDS sidecar at 169.254.169.254:80.
//!
//! Requests and responses follow the documentation of the VM IMDS; the responses of the Nexus sidecar when it is
//! not ready are not published, so they are in `replies/` and marked there.

use serde_json::{json, Value};

use crate::http1::{play, Answer, Request};
use crate::nexus::spec::{HttpAct, Identity, IdentityKind, TokenShape};
use crate::token;
use crate::world::{Server, State, World};

const NEWEST_VERSIONS: [&str; 3] = ["2025-04-07", "2024-07-17", "2023-11-15"];

/// Answers and records one request.
pub fn answer(world: &World, request: &Request) -> Answer {
    let answer = decide(&mut world.state(), request);
    world.note(Server::Imds, "169.254.169.254", request, answer.status());
    answer
}

fn decide(state: &mut State, request: &Request) -> Answer {
    match request.path() {
        "/healthz" => {
            let act = state.healthz.next();
            play(act, || Answer::new(200, "text/plain", "ok"))
        }
        "/metadata/identity/oauth2/token" => token_route(state, request),
        path if path.starts_with("/metadata/") => match refused(request) {
            Some(refusal) => refusal,
            None => metadata(state, path),
        },
        _ => Answer::new(404, "text/plain", "404 page not found\n"),
    }
}

fn token_route(state: &mut State, request: &Request) -> Answer {
    match state.token.next() {
        Some(HttpAct::Token(shape)) => token(state, request, &shape),
        act => play(act, || token(state, request, &TokenShape::default())),
    }
}

/// The requests that IMDS refuses regardless of the path.
fn refused(request: &Request) -> Option<Answer> {
    if request.method != "GET" {
        return Some(Answer::json(405, &error("method_not_allowed", "The HTTP method is not allowed.")));
    }
    if request.header("x-forwarded-for").is_some() || request.header("via").is_some() {
        return Some(Answer::json(400, &error("invalid_request", "Forwarded requests are not allowed")));
    }
    if request.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return Some(Answer::json(400, &error("invalid_request", "Required metadata header not specified")));
    }
    let query = request.query();
    for (index, (name, _)) in query.iter().enumerate() {
        if query.iter().skip(index + 1).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            let text = format!("Query parameter '{name}' is specified more than once");
            return Some(Answer::json(400, &error("invalid_request", &text)));
        }
    }
    let version = parameter(&query, "api-version");
    if version.as_deref().is_none_or(|version| !is_version(version)) {
        let text = "Bad request. api-version is invalid or was not specified in the request. \
                    For more information refer to aka.ms/azureimds";
        return Some(Answer::json(400, &json!({"error": text, "newest-versions": NEWEST_VERSIONS})));
    }
    None
}

/// `2018-02-01` and the like.
fn is_version(text: &str) -> bool {
    let digits = text.split('-').all(|part| part.chars().all(|c| c.is_ascii_digit()));
    digits && text.split('-').map(str::len).eq([4, 2, 2])
}

fn token(state: &mut State, request: &Request, shape: &TokenShape) -> Answer {
    if let Some(refusal) = refused(request) {
        return refusal;
    }
    let query = request.query();
    let Some(resource) = parameter(&query, "resource").filter(|resource| !resource.is_empty()) else {
        let text = "Required audience parameter not specified";
        return Answer::json(400, &error("invalid_request", text));
    };
    if !resource.contains("://") && resource.len() != 36 {
        let text = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant named \
             {tenant}. This can happen if the application has not been installed by the administrator of \
             the tenant or consented to by any user in the tenant.",
            tenant = state.imds.tenant
        );
        return Answer::json(400, &error("invalid_resource", &text));
    }
    let identity = match choose(&state.imds.identities, &query) {
        Ok(identity) => identity.clone(),
        Err(refusal) => return *refusal,
    };
    let issued = token::issue(state, &identity, &resource, shape);
    Answer::json(200, &token::reply(&issued, &identity, &resource, shape))
}

/// The identity that a query names, or the default one.
fn choose<'a>(identities: &'a [Identity], query: &[(String, String)]) -> Result<&'a Identity, Box<Answer>> {
    let refusal = |text: &str| Err(Box::new(Answer::json(400, &error("invalid_request", text))));
    let names = ["client_id", "object_id", "msi_res_id"];
    let given: Vec<(&str, String)> =
        names.iter().filter_map(|name| parameter(query, name).map(|value| (*name, value))).collect();
    match given.as_slice() {
        [] => {}
        [(name, value)] => {
            let found = identities.iter().find(|identity| match *name {
                "client_id" => identity.client_id.eq_ignore_ascii_case(value),
                "object_id" => identity.object_id.eq_ignore_ascii_case(value),
                _ => identity.resource_id.eq_ignore_ascii_case(value),
            });
            return found.map_or_else(|| refusal("Identity not found"), Ok);
        }
        _ => return refusal("More than one of client_id, object_id and msi_res_id is specified"),
    }
    if let Some(system) = identities.iter().find(|identity| identity.kind == IdentityKind::System) {
        return Ok(system);
    }
    match identities {
        [] => refusal("Identity not found"),
        [only] => Ok(only),
        _ => refusal(
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the \
             identity in the token request",
        ),
    }
}

fn metadata(state: &State, path: &str) -> Answer {
    match path {
        "/metadata/identity/info" => Answer::json(200, &json!({"tenantId": state.imds.tenant})),
        "/metadata/versions" => Answer::json(200, &json!({"apiVersions": ["2018-02-01", "2021-02-01"]})),
        "/metadata/instance/compute" | "/metadata/instance" => match &state.imds.instance {
            Some(reply) => Answer::of(reply),
            None => Answer::json(404, &json!({"error": "Not found"})),
        },
        _ => Answer::json(404, &json!({"error": "Not found"})),
    }
}

fn parameter(query: &[(String, String)], name: &str) -> Option<String> {
    query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

fn error(code: &str, description: &str) -> Value {
    json!({"error": code, "error_description": description})
}
