//! `azcmagent connect` and `check` of the stand-in, which connect through the proxy to the simulated ARM.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{json, Value};

use crate::azcmagent::{fail, proxy, Options};
use crate::azcmagent_show::services;
use crate::guest::{hang, Guest};
use crate::https_client::{imds_status, Call, Response};
use crate::nexus::spec::{Outcome, AGENT_VERSION};

const API_VERSION: &str = "api-version=2024-07-10";
const AZURE_VM_PROBE: &str = "/metadata/instance/compute?api-version=2019-06-01";
const ENDPOINTS: [&str; 5] = [
    "login.microsoftonline.com",
    "management.azure.com",
    "gbl.his.arc.azure.com",
    "agentserviceapi.guestconfiguration.azure.com",
    "guestnotificationservice.azure.com",
];
const STEP: Duration = Duration::from_millis(5);

/// One run of connect.
struct Connect<'a> {
    guest: &'a Guest,
    token: &'a str,
    subscription: &'a str,
    group: &'a str,
    location: String,
    name: String,
    proxy: Option<String>,
    correlation: String,
}

/// A failure: code and message of the trailer.
type Failure = (u16, String);

pub fn run(guest: &Guest, options: &Options, outcome: &Outcome) -> u8 {
    if !nix::unistd::geteuid().is_root() {
        println!("You must be root to execute /usr/bin/azcmagent");
        return 18;
    }
    for name in ["subscription-id", "resource-group", "location"] {
        if options.get(name).is_none() {
            return fail(16, &format!("required flag(s) \"{name}\" not set"));
        }
    }
    if let Some(id) = connected_to(guest) {
        return fail(67, &format!("Message: Machine is already connected to Azure. Resource ID: {id}"));
    }
    say("INFO    Connecting machine to Azure... This might take a few minutes. ");
    say(&format!("INFO    Cloud: {}", options.get("cloud").unwrap_or("AzureCloud")));
    say("INFO    Testing connectivity to endpoints that are needed to connect to Azure... \
         This might take a few minutes. ");
    let ignored = matches!(outcome, Outcome::IgnoreFileToken);
    let token = if ignored {
        options.flags.get("access-token").map(String::as_str)
    } else {
        options.get("access-token")
    };
    let Some(token) = token.filter(|_| !matches!(outcome, Outcome::DeviceCode)) else {
        return sign_in();
    };
    if matches!(outcome, Outcome::EchoToken) {
        say(&format!("DEBUG   Request headers: Authorization: Bearer {token}"));
    }
    let connect = Connect {
        guest,
        token,
        subscription: options.get("subscription-id").unwrap_or(""),
        group: options.get("resource-group").unwrap_or(""),
        location: options.get("location").unwrap_or("").replace(' ', ""),
        name: options.get("resource-name").map_or_else(hostname, str::to_owned),
        proxy: proxy(guest),
        correlation: options
            .get("correlation-id")
            .unwrap_or("2989a600-f32a-47d9-884d-c5d59e211ba7")
            .to_owned(),
    };
    match connect.perform(options, outcome) {
        Ok(()) => 0,
        Err((code, message)) => fail(code, &message),
    }
}

/// Without a credential it asks the user to sign in and waits, here for longer than any test does.
pub fn sign_in() -> u8 {
    let page = "https://microsoft.com/devicelogin";
    let text = format!(
        "To sign in, use a web browser to open the page {page} and enter the code CSWUL5ZFG to authenticate.\n"
    );
    hang(&text, Duration::from_secs(3600));
    fail(41, "Failed to acquire authorization token device flow: context deadline exceeded")
}

impl Connect<'_> {
    fn perform(&self, options: &Options, outcome: &Outcome) -> Result<(), Failure> {
        self.check_name()?;
        self.refuse_azure_vm()?;
        self.test_endpoints(options)?;
        self.need_himds()?;
        say(&format!("INFO    Cloud: {}", options.get("cloud").unwrap_or("AzureCloud")));
        progress(20);
        let vm_id = vm_id(self.guest);
        self.look_for_namesake(&vm_id)?;
        progress(30);
        say(&format!(
            "  INFO    Creating resource in Azure...                 Correlation ID={} Resource ID={}",
            self.correlation,
            self.id()
        ));
        self.register(options.is("verbose"));
        self.create(options, &vm_id)?;
        progress(60);
        let tenant = options.get("tenant-id").map_or_else(|| tenant_of(self.token), str::to_owned);
        let config = json!({
            "subscriptionId": self.subscription, "resourceGroup": self.group, "resourceName": self.name,
            "tenantId": tenant, "location": self.location, "vmId": vm_id, "correlationId": self.correlation,
            "cloud": options.get("cloud").unwrap_or("AzureCloud"), "resourceId": self.id(),
        });
        self.guest.write_json(&self.guest.path("var/opt/azcmagent/agentconfig.json"), &config);
        if let Outcome::HalfMade { azcm } = outcome {
            return Err((
                *azcm,
                format!("RequestCorrelationId:{} Message: stopped half-way", self.correlation),
            ));
        }
        self.certificate()?;
        progress(80);
        let cloud = json!({"connected": true, "at_ms": crate::guest::now_ms()});
        self.guest.write_json(&self.guest.path("var/opt/azcmagent/cloudconfig.json"), &cloud);
        progress(100);
        say("INFO    Connected machine to Azure");
        let portal = format!("https://portal.azure.com/#@{tenant}/resource{}/overview", self.id());
        say(&format!("INFO    Machine overview page: {portal} "));
        if options.is("json") {
            say(&json!({"resourceId": self.id(), "portalUrl": portal}).to_string());
        }
        Ok(())
    }

    fn id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.HybridCompute/machines/{}",
            self.subscription, self.group, self.name
        )
    }

    fn check_name(&self) -> Result<(), Failure> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let good = self.name.chars().all(legal) && self.name.len() <= 54 && !self.name.ends_with(['-', '_']);
        if good && !self.name.is_empty() {
            return Ok(());
        }
        Err((
            102,
            format!("resource name {:?} must be alphanumeric, `-` or `_`, 54 characters at most", self.name),
        ))
    }

    /// The message of this refusal is not public.
    fn refuse_azure_vm(&self) -> Result<(), Failure> {
        let allowed = std::env::var("MSFT_ARC_TEST").is_ok_and(|value| value == "true");
        if imds_status(AZURE_VM_PROBE) != 200 {
            say("INFO    Azure not detected");
        } else if !allowed {
            return Err((1, "Message: Machine is already an Azure resource".to_owned()));
        }
        Ok(())
    }

    fn test_endpoints(&self, options: &Options) -> Result<(), Failure> {
        if options.is("ignore-network-check") {
            return Ok(());
        }
        for host in ENDPOINTS {
            if let Err(error) = self.send(host, "GET", "/", None) {
                say("INFO    AZCM0026: Network Error");
                return Err((26, format!("Message: {error}")));
            }
        }
        Ok(())
    }

    fn need_himds(&self) -> Result<(), Failure> {
        let state = services(self.guest).into_iter().find(|(name, _, _)| *name == "himdsd.service");
        match state {
            Some((_, _, state)) if state == "active" => Ok(()),
            _ => Err((
                61,
                "Message: dial unix /var/opt/azcmagent/socks/himds.sock: connection refused".to_owned(),
            )),
        }
    }

    fn send(&self, host: &str, method: &str, path: &str, body: Option<String>) -> Result<Response, String> {
        let token = (host == "management.azure.com" && path != "/").then_some(self.token);
        Call { proxy: self.proxy.as_deref(), host, method, path, token, body }.send()
    }

    fn arm(&self, method: &str, body: Option<String>) -> Result<Response, Failure> {
        let path = format!("{}?{API_VERSION}", self.id());
        self.send("management.azure.com", method, &path, body)
            .map_err(|error| (26, format!("Message: {error}")))
    }

    fn look_for_namesake(&self, vm_id: &str) -> Result<(), Failure> {
        let response = self.arm("GET", None)?;
        let body: Value = serde_json::from_str(&response.body).unwrap_or(Value::Null);
        match response.status {
            200 if body["properties"]["vmId"].as_str() == Some(vm_id) => Ok(()),
            200 => {
                let text = format!("Message: The resource {} already exists in Azure", self.id());
                Err((44, text))
            }
            404 if body["error"]["code"] == "ResourceNotFound" => Ok(()),
            403 => {
                say("Get ARM Resource Response:");
                let message = body["error"]["message"].as_str().unwrap_or("");
                say(&format!("{message}\"}}}}\" Status Code=403"));
                Err(self.refused(&response))
            }
            _ => Err(self.refused(&response)),
        }
    }

    /// A refusal of this call is not a failure; only verbose mode shows it.
    fn register(&self, is_verbose: bool) {
        let path = format!("/subscriptions/{}/providers/Microsoft.HybridCompute/register", self.subscription);
        let path = format!("{path}?api-version=2021-04-01");
        let answer = self.send("management.azure.com", "POST", &path, Some("{}".to_owned()));
        if let Some(refusal) = answer.ok().filter(|answer| answer.status >= 400 && is_verbose) {
            say(&format!("DEBUG   Registering Microsoft.HybridCompute: {}", refusal.body));
        }
    }

    fn create(&self, options: &Options, vm_id: &str) -> Result<(), Failure> {
        let mut body = json!({
            "location": self.location,
            "properties": {"vmId": vm_id, "agentVersion": AGENT_VERSION, "osName": "linux", "osType": "linux"},
        });
        if let Some(tags) = options.get("tags") {
            body["tags"] = json!(tags_of(tags).map_err(|error| (23, error))?);
        }
        if let Some(scope) = options.get("private-link-scope") {
            body["properties"]["privateLinkScopeResourceId"] = json!(scope);
        }
        if let Some(gateway) = options.get("gateway-id") {
            body["properties"]["gatewayResourceId"] = json!(gateway);
        }
        let response = self.arm("PUT", Some(body.to_string()))?;
        if matches!(response.status, 200 | 201) {
            return Ok(());
        }
        Err(self.refused(&response))
    }

    fn certificate(&self) -> Result<(), Failure> {
        let host = "gbl.his.arc.azure.com";
        match self.send(host, "GET", "/discovery?api-version=1.0-preview", None) {
            Ok(_) => Ok(()),
            Err(error) => Err((81, format!("Message: failed to get MSI certificate: {error}"))),
        }
    }

    /// The code and the trailer for an ARM refusal.
    fn refused(&self, response: &Response) -> Failure {
        let body: Value = serde_json::from_str(&response.body).unwrap_or(Value::Null);
        let code = body["error"]["code"].as_str().unwrap_or("Unknown");
        let message = body["error"]["message"].as_str().unwrap_or(&response.body);
        let azcm = match code {
            "InvalidAuthenticationToken" | "AuthenticationFailed" => 12,
            "InvalidAuthenticationTokenTenant" => 41,
            _ => 42,
        };
        let text = format!(
            "RequestCorrelationId:{} Message: {message} Code: {code} httpStatusCode:{}",
            self.correlation, response.status
        );
        (azcm, text)
    }
}

/// Deletes the machine's resource, for `disconnect`.
pub fn delete_resource(guest: &Guest, token: &str) -> Result<(), u8> {
    let Some(id) = connected_to(guest) else { return Ok(()) };
    let path = format!("{id}?{API_VERSION}");
    let proxy = proxy(guest);
    let host = "management.azure.com";
    let call =
        Call { proxy: proxy.as_deref(), host, method: "DELETE", path: &path, token: Some(token), body: None };
    match call.send() {
        Ok(response) if response.status < 300 => Ok(()),
        Ok(response) => {
            Err(fail(43, &format!("Message: {} httpStatusCode:{}", response.body, response.status)))
        }
        Err(error) => Err(fail(26, &format!("Message: {error}"))),
    }
}

/// The resource that this machine is connected to.
pub fn connected_to(guest: &Guest) -> Option<String> {
    if !guest.path("var/opt/azcmagent/cloudconfig.json").exists() {
        return None;
    }
    let config: Value = guest.read_json(&guest.path("var/opt/azcmagent/agentconfig.json"));
    config["resourceId"].as_str().map(str::to_owned)
}

/// `check`: a table of the endpoints, or the object of `check -j`.
pub fn check(guest: &Guest, options: &Options) -> u8 {
    let proxy = proxy(guest);
    let mut all = BTreeMap::new();
    for host in ENDPOINTS {
        let call = Call { proxy: proxy.as_deref(), host, method: "GET", path: "/", token: None, body: None };
        all.insert(format!("https://{host}"), call.send().is_ok());
    }
    if options.is("json") {
        let entry = |reachable: bool| {
            json!({"reachable": reachable, "required": true, "private": false,
            "tls": "TLS 1.3", "proxyStatus": if proxy.is_some() { "set" } else { "none" }})
        };
        let body: BTreeMap<&String, Value> =
            all.iter().map(|(url, reachable)| (url, entry(*reachable))).collect();
        println!("{}", serde_json::to_string_pretty(&body).expect("a table is JSON"));
    } else {
        println!("{:<60} REACHABLE", "ENDPOINT");
        for (url, reachable) in &all {
            println!("{url:<60} {reachable}");
        }
    }
    u8::from(all.values().any(|reachable| !reachable))
}

/// Reads `A=1,B='two words',C=a\,b`.
pub fn tags_of(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    let mut parts = vec![String::new()];
    let (mut quoted, mut name_done) = (false, false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let part = parts.last_mut().expect("there is always a part");
        match c {
            '\\' => part.push(characters.next().ok_or("tags end in a backslash")?),
            '\'' => quoted = !quoted,
            '=' if !quoted && !name_done => {
                name_done = true;
                parts.push(String::new());
            }
            ',' if !quoted => {
                add_tag(&mut tags, &mut parts)?;
                name_done = false;
            }
            c => part.push(c),
        }
    }
    if quoted {
        return Err("a single quote in the tags is not closed".to_owned());
    }
    add_tag(&mut tags, &mut parts)?;
    Ok(tags)
}

fn add_tag(tags: &mut BTreeMap<String, String>, parts: &mut Vec<String>) -> Result<(), String> {
    let parts = std::mem::replace(parts, vec![String::new()]);
    match parts.as_slice() {
        [name, value] if !name.is_empty() => {
            tags.insert(name.clone(), value.clone());
            Ok(())
        }
        [name] if name.is_empty() && tags.is_empty() => Ok(()),
        other => Err(format!("tag {other:?} is not of the form name=value")),
    }
}

fn say(line: &str) {
    println!("{line}");
    // Flushed, so that a reader of a pipe sees each step when it happens.
    drop(std::io::stdout().flush());
    sleep(STEP);
}

fn progress(percent: usize) {
    let filled = percent * 15 / 100;
    let arrow = if percent < 100 { ">" } else { "" };
    let bar = format!("{}{arrow}", "=".repeat(filled));
    say(&format!(" {percent:>3}% [{bar:<15}]"));
}

fn hostname() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The id under which Azure knows this machine: made of its machine-id, so that it stays the same.
pub fn vm_id(guest: &Guest) -> String {
    let text = fs::read_to_string(guest.path("etc/machine-id")).unwrap_or_default();
    let id = format!("{:0<32}", text.trim());
    let piece = |from: usize, to: usize| id.get(from..to).unwrap_or("").to_owned();
    [piece(0, 8), piece(8, 12), piece(12, 16), piece(16, 20), piece(20, 32)].join("-")
}

fn tenant_of(token: &str) -> String {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap_or("");
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&decoded).unwrap_or(Value::Null);
    claims["tid"].as_str().unwrap_or("").to_owned()
}
