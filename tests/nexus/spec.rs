//! The specification of a simulated VM as data: written by a test or the demo, read by the servers and the
//! stand-in programs. Every part has a healthy default, so that a test specifies only failures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

pub const SUBSCRIPTION: &str = "11111111-1111-4111-8111-111111111111";
pub const TENANT: &str = "22222222-2222-4222-8222-222222222222";
pub const RESOURCE_GROUP: &str = "contoso-nexus-rg";
pub const LOCATION: &str = "eastus";
pub const VM_NAME: &str = "contoso-vm-01";
pub const SYSTEM_OBJECT: &str = "33333333-3333-4333-8333-333333333333";
pub const SYSTEM_CLIENT: &str = "44444444-4444-4444-8444-444444444444";
pub const USER_OBJECT: &str = "55555555-5555-4555-8555-555555555555";
pub const USER_CLIENT: &str = "66666666-6666-4666-8666-666666666666";
/// Fingerprint of `replies/repository-key.asc`, which the simulated packages.microsoft.com serves.
pub const REPOSITORY_KEY: &str = "A3378026EEDA317BE4EA08322C70ADC61E424A89";
/// What the simulated packages.microsoft.com serves as any package file, and its digest.
pub const PACKAGE: &str = "!<arch>\nstand-in of the azcmagent package\n";
pub const PACKAGE_SHA256: &str = "477af40fa5af6c445f37e48ea536d162440940f7c2ba102f18a352b7f9c09d0a";
/// What the stand-in calls itself when nothing else is asked for.
pub const AGENT_VERSION: &str = "1.58.03228.700";
/// The folder of a VM that marks its root and holds what the stand-ins are told and what they saw.
pub const MARKER: &str = ".nexus";

/// One simulated VM and the Azure around it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// Folder that stands for `/` of the VM.
    pub root: PathBuf,
    pub hostname: String,
    /// Lines that the VM sees as its /etc/hosts instead of the machine's own.
    pub hosts: Option<String>,
    /// Whether the VM's name server never answers.
    pub silent_dns: bool,
    /// Programs of the machine that the VM does not have, such as `curl`.
    pub hidden: Vec<String>,
    pub imds: ImdsPlan,
    pub csn: CsnPlan,
    pub azure: AzurePlan,
}

/// The duration of a scene of a playbook.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    Times(u32),
    /// Milliseconds since the scene was first played.
    For(u64),
    Forever,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scene<A> {
    pub act: A,
    pub span: Span,
}

/// The scenes in order; after the last one the part is healthy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Playbook<A>(pub Vec<Scene<A>>);

impl<A> Default for Playbook<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A> Playbook<A> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one act, once.
    pub fn once(self, act: A) -> Self {
        self.times(1, act)
    }

    pub fn times(mut self, times: u32, act: A) -> Self {
        self.0.push(Scene { act, span: Span::Times(times) });
        self
    }

    pub fn lasting(mut self, time: Duration, act: A) -> Self {
        self.0.push(Scene { act, span: Span::For(millis(time)) });
        self
    }

    pub fn forever(mut self, act: A) -> Self {
        self.0.push(Scene { act, span: Span::Forever });
        self
    }
}

/// What a server does with one request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpAct {
    Reply(Reply),
    /// Takes the request and never answers.
    Hang,
    /// Closes the connection without a byte.
    Close,
    /// Healthy, but only after so many milliseconds.
    Late(u64),
    /// IMDS only: healthy, with a token of another shape.
    Token(TokenShape),
    /// CSN only: opens the tunnel and closes it at once.
    EmptyTunnel,
}

/// A reply as written in `replies/`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub delay_ms: u64,
    /// Bytes of the body after which the connection is closed although more was announced.
    pub cut: Option<usize>,
}

impl Reply {
    pub fn text(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }.header("Content-Type", "text/plain")
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), ..Self::default() }
            .header("Content-Type", "application/json; charset=utf-8")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay_ms = millis(delay);
        self
    }

    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// A reply of `replies/`, by the name of its file.
    pub fn named(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nexus/replies");
        Self::from_file(&folder.join(format!("{name}.json")))
    }

    /// A reply from a file of the form `{"response": {"status", "headers", "body"}}`.
    pub fn from_file(path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("reply {} cannot be read: {error}", path.display()));
        let file: Value = serde_json::from_str(&text).expect("a reply is JSON");
        serde_json::from_value(file.get("response").cloned().unwrap_or(file)).expect("a reply has a status")
    }

    pub fn act(self) -> HttpAct {
        HttpAct::Reply(self)
    }
}

/// How a token differs from a healthy one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenShape {
    /// Seconds from now until it expires; a negative number makes an expired one.
    pub lifetime_s: Option<i64>,
    /// Seconds from now until it begins to be valid.
    pub not_before_s: Option<i64>,
    pub audience: Option<String>,
    pub tenant: Option<String>,
    /// No JWT at all.
    pub opaque: bool,
    pub expires_on: ExpiresOn,
}

/// The forms in which `expires_on` has been seen.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresOn {
    #[default]
    EpochText,
    EpochNumber,
    Iso,
    UsDate,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    System,
    User,
}

/// A managed identity of the VM.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    pub kind: IdentityKind,
    pub object_id: String,
    pub client_id: String,
    pub resource_id: String,
}

impl Identity {
    pub fn system() -> Self {
        Self {
            kind: IdentityKind::System,
            object_id: SYSTEM_OBJECT.to_owned(),
            client_id: SYSTEM_CLIENT.to_owned(),
            resource_id: vm_resource_id(),
        }
    }

    pub fn user() -> Self {
        Self::user_named("contoso-arc-uami", USER_OBJECT, USER_CLIENT)
    }

    pub fn user_named(name: &str, object_id: &str, client_id: &str) -> Self {
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}");
        Self {
            kind: IdentityKind::User,
            object_id: object_id.to_owned(),
            client_id: client_id.to_owned(),
            resource_id: format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"),
        }
    }
}

/// The VM's own resource id; what it really is on Nexus is not published.
pub fn vm_resource_id() -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourcegroups/{RESOURCE_GROUP}/providers/\
         Microsoft.NetworkCloud/virtualMachines/{VM_NAME}"
    )
}

/// Resource id of an Arc machine of the simulated subscription.
pub fn machine_id(name: &str) -> String {
    format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/\
         Microsoft.HybridCompute/machines/{name}"
    )
}

/// Whether a server's port takes connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortState {
    #[default]
    Open,
    /// Refuses connections for so many milliseconds after the start.
    ClosedFor(u64),
    Closed,
}

/// The IMDS sidecar.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ImdsPlan {
    pub port_state: PortState,
    pub identities: Vec<Identity>,
    pub tenant: String,
    pub token: Playbook<HttpAct>,
    pub healthz: Playbook<HttpAct>,
    /// What `/metadata/instance/compute` answers; 404 when not given.
    pub instance: Option<Reply>,
    /// How far the sidecar's clock is ahead.
    pub clock_offset_s: i64,
}

impl Default for ImdsPlan {
    fn default() -> Self {
        Self {
            port_state: PortState::Open,
            identities: vec![Identity::system()],
            tenant: TENANT.to_owned(),
            token: Playbook::new(),
            healthz: Playbook::new(),
            instance: None,
            clock_offset_s: 0,
        }
    }
}

/// The cloud services network's proxy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct CsnPlan {
    pub port_state: PortState,
    /// `--enable-default-egress-endpoints`.
    pub default_egress: bool,
    /// `--additional-egress-endpoints`: names, or suffixes that begin with a dot.
    pub additional: Vec<String>,
    /// Names refused although the lists allow them.
    pub refused: Vec<String>,
    /// `user:password` that the proxy asks for.
    pub credentials: Option<String>,
    /// Played for every CONNECT.
    pub connect: Playbook<HttpAct>,
    /// Played for the CONNECTs to one name.
    pub hosts: BTreeMap<String, Playbook<HttpAct>>,
    pub clock_offset_s: i64,
}

impl Default for CsnPlan {
    fn default() -> Self {
        Self {
            port_state: PortState::Open,
            default_egress: true,
            additional: vec!["packages.microsoft.com".to_owned()],
            refused: Vec::new(),
            credentials: None,
            connect: Playbook::new(),
            hosts: BTreeMap::new(),
            clock_offset_s: 0,
        }
    }
}

/// Which certificate the Azure names show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    #[default]
    Trusted,
    /// Issued by an authority that the VM does not know, as a TLS-inspecting proxy does.
    Untrusted,
    Expired,
    WrongName,
}

/// How ARM refuses an identity that has no role yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    #[default]
    Forbidden,
    /// The permissions call answers 200 with an empty list.
    Empty,
    SubscriptionNotFound,
}

/// The role of the identity, and when it arrives.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// ARM requests that are refused first.
    pub denials: u32,
    /// Milliseconds from the start during which they are refused.
    pub denied_for_ms: u64,
    pub never: bool,
    pub form: Denial,
    /// Tokens that ARM saw before the role arrived stay refused.
    pub fresh_token: bool,
    /// The role's actions; those of the onboarding role when empty.
    pub actions: Vec<String>,
}

/// ARM and the other names of Azure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct AzurePlan {
    pub tenant: String,
    pub subscription: String,
    pub resource_group: String,
    pub location: String,
    pub access: Access,
    pub providers_registered: bool,
    pub certificate: Certificate,
    /// Playbooks by route: `permissions`, `machine.get`, `machine.put`, `machine.patch`, `machine.delete`,
    /// `group`, `subscription`, `provider`, `packages`, `script`, or the name of a host.
    pub routes: BTreeMap<String, Playbook<HttpAct>>,
    /// Machines that exist already, by name.
    pub machines: BTreeMap<String, Value>,
    /// Folder served as packages.microsoft.com; a small built-in one when not given.
    pub packages: Option<PathBuf>,
    pub clock_offset_s: i64,
}

impl Default for AzurePlan {
    fn default() -> Self {
        Self {
            tenant: TENANT.to_owned(),
            subscription: SUBSCRIPTION.to_owned(),
            resource_group: RESOURCE_GROUP.to_owned(),
            location: LOCATION.to_owned(),
            access: Access::default(),
            providers_registered: true,
            certificate: Certificate::Trusted,
            routes: BTreeMap::new(),
            machines: BTreeMap::new(),
            packages: None,
            clock_offset_s: 0,
        }
    }
}

/// What a stand-in program does with one call instead of its usual work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Prints this and exits; `{token}` is replaced by the given token.
    Exit {
        code: u8,
        stdout: String,
        stderr: String,
    },
    /// Prints this and hangs.
    Hang {
        stdout: String,
    },
    /// Like `Hang`, and ignores SIGTERM.
    Deaf {
        stdout: String,
    },
    /// Usual work after so many milliseconds.
    Late(u64),
    /// azcmagent connect: takes no token and waits for a person to sign in.
    DeviceCode,
    /// azcmagent: fails with this code and message, in the documented form.
    Fail {
        azcm: u16,
        message: String,
    },
    /// azcmagent connect: makes the Azure resource, then fails with this code.
    HalfMade {
        azcm: u16,
    },
    /// azcmagent connect: usual work, with the token in its output.
    EchoToken,
    /// azcmagent connect: does not know `access-token` in the file.
    IgnoreFileToken,
    /// azcmagent show -j: usual answer with these members put over it.
    Patch(Value),
    Usual,
}

impl Outcome {
    pub fn exit(code: u8, stdout: &str) -> Self {
        Self::Exit { code, stdout: stdout.to_owned(), stderr: String::new() }
    }

    /// The output of apt-get while another program holds the lock.
    pub fn apt_locked() -> Self {
        let lock = "/var/lib/dpkg/lock-frontend";
        Self::Exit {
            code: 100,
            stdout: String::new(),
            stderr: format!(
                "E: Could not get lock {lock}. It is held by process 123 (unattended-upgr)\n\
                 N: Be aware that removing the lock file is not a solution and may break your system.\n\
                 E: Unable to acquire the dpkg frontend lock ({lock}), is another process using it?\n"
            ),
        }
    }

    pub fn fail(azcm: u16, message: &str) -> Self {
        Self::Fail { azcm, message: message.to_owned() }
    }
}

/// What is installed and how the stand-in programs behave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestPlan {
    /// Playbooks by call: `azcmagent connect`, `azcmagent show`, `azcmagent config set`, `apt-get update`,
    /// `apt-get install`, `systemctl start`, `systemctl start himdsd.service` …
    pub calls: BTreeMap<String, Playbook<Outcome>>,
    /// Version that a package manager installs; the usual one when empty.
    pub version: String,
    /// `azcmagent show` reports Disconnected this many times after connecting.
    pub connected_after_shows: u32,
}

/// One systemd unit as the stand-in keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub load: String,
    pub active: String,
    pub sub: String,
    pub file: String,
    /// What systemd has read of its files; nothing for a unit that has none here.
    #[serde(default)]
    pub text: Option<String>,
    /// More properties by name: NRestarts, Result, MainPID, ExecMainStartTimestampMonotonic.
    #[serde(default)]
    pub more: BTreeMap<String, String>,
}

impl Unit {
    pub fn running() -> Self {
        Self::of("active", "running", "enabled")
    }

    pub fn stopped() -> Self {
        Self::of("inactive", "dead", "enabled")
    }

    pub fn failed() -> Self {
        Self::of("failed", "failed", "enabled")
    }

    fn of(active: &str, sub: &str, file: &str) -> Self {
        Self {
            load: "loaded".into(),
            active: active.into(),
            sub: sub.into(),
            file: file.into(),
            text: None,
            more: BTreeMap::new(),
        }
    }

    /// The same with a property of another name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.more.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// systemd as the stand-in keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// What `is-system-running` says; `offline` stands for a host without systemd.
    pub state: String,
    pub units: BTreeMap<String, Unit>,
    pub environment: BTreeMap<String, String>,
}

impl Default for System {
    fn default() -> Self {
        Self { state: "running".to_owned(), units: BTreeMap::new(), environment: BTreeMap::new() }
    }
}

/// The four services of azcmagent.
pub const SERVICES: [&str; 4] = ["himdsd.service", "arcproxyd.service", "extd.service", "gcad.service"];

pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A machine as ARM returns it.
pub fn machine(name: &str, status: &str, vm_id: &str) -> Value {
    json!({
        "id": machine_id(name),
        "name": name,
        "type": "Microsoft.HybridCompute/machines",
        "location": LOCATION,
        "tags": {},
        "identity": {"type": "SystemAssigned", "principalId": SYSTEM_OBJECT, "tenantId": TENANT},
        "properties": {
            "provisioningState": "Succeeded", "status": status, "vmId": vm_id,
            "lastStatusChange": "2026-10-09T08:50:00.0000000Z",
            "agentVersion": AGENT_VERSION, "osName": "linux", "osType": "linux",
        },
    })
}
