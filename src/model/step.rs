//! Remediation steps. Variables are rendered and quoted only in [`Step::render`].

use super::var::{Var, Word, Words};

/// Where a step is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On this VM, as root.
    VmAsRoot,
    /// On this VM, as any user.
    Vm,
    /// On the operator's workstation, where `az` is signed in.
    Workstation,
    /// Nowhere: another person is asked to do it.
    Ask,
}

impl Where {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::VmAsRoot => "vm-root",
            Self::Vm => "vm",
            Self::Workstation => "workstation",
            Self::Ask => "ask",
        }
    }
}

/// Who has the rights to do a step, or is asked to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root of this VM.
    Root,
    /// Any user.
    Anyone,
    /// Any account that is signed in to az.
    SignedIn,
    /// An account that may read the resource.
    Reader,
    /// An account that may create VMs in the resource group.
    VmContributor,
    /// An account that may assign roles.
    UserAccessAdministrator,
    /// An account that may delete Arc machines.
    ArcAdministrator,
    /// An account that may register resource providers.
    SubscriptionContributor,
    /// The owner of the cloud services network.
    NetworkOwner,
    /// The operator of the Nexus cluster.
    ClusterOperator,
    /// An account that may create managed identities.
    IdentityContributor,
    /// The maintainer of the VM's image.
    ImageOwner,
    /// The owner of the subscription and its policies.
    SubscriptionOwner,
}

impl Who {
    /// Its name for operators.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Anyone => "any user",
            Self::SignedIn => "any account that is signed in",
            Self::Reader => "Reader of the resource",
            Self::VmContributor => "Contributor on the VM's resource group",
            Self::UserAccessAdministrator => "User Access Administrator on the resource group",
            Self::ArcAdministrator => "Azure Connected Machine Resource Administrator on the resource group",
            Self::SubscriptionContributor => "Contributor on the subscription",
            Self::NetworkOwner => "owner of the cloud services network",
            Self::ClusterOperator => "operator of the Nexus cluster",
            Self::IdentityContributor => "Managed Identity Contributor on the resource group",
            Self::ImageOwner => "maintainer of the VM's image",
            Self::SubscriptionOwner => "owner of the subscription",
        }
    }
}

/// One step. Text and command contain variables as `{name}` (see [`Var`]). In a command a variable is never inside
/// quotes, since its value is quoted when it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is carried out.
    pub place: Where,
    /// Who has the rights to do it.
    pub who: Who,
    /// The instruction; it ends with a colon if there is a command.
    pub text: &'static str,
    /// The command; empty if there is none.
    pub command: &'static str,
}

/// A step on this VM, as root.
pub const fn as_root(text: &'static str, command: &'static str) -> Step {
    Step { place: Where::VmAsRoot, who: Who::Root, text, command }
}

/// A step on this VM that needs no rights.
pub const fn on_vm(text: &'static str, command: &'static str) -> Step {
    Step { place: Where::Vm, who: Who::Anyone, text, command }
}

/// A step on the workstation, by an account with the rights to do it.
pub const fn workstation(who: Who, text: &'static str, command: &'static str) -> Step {
    Step { place: Where::Workstation, who, text, command }
}

/// A request to another person.
pub const fn ask(who: Who, text: &'static str) -> Step {
    Step { place: Where::Ask, who, text, command: "" }
}

/// A step with its variables replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedStep {
    /// Where it is carried out.
    pub place: Where,
    /// Who has the rights to do it.
    pub who: Who,
    /// The instruction.
    pub text: String,
    /// The command, quoted for a shell; empty if there is none.
    pub command: String,
}

impl RenderedStep {
    /// Instruction and command on one line.
    pub fn line(&self) -> String {
        self.joined("", "")
    }

    /// Instruction and command on one line, with the command in backticks.
    pub fn marked(&self) -> String {
        self.joined("`", "`")
    }

    /// Parses the output of [`RenderedStep::marked`], which does not contain place and person.
    pub fn parse_marked(text: &str) -> Self {
        let mut parts = text.splitn(3, '`').map(str::trim);
        let mut next = || parts.next().unwrap_or_default().to_owned();
        Self { place: Where::Vm, who: Who::Anyone, text: next(), command: next() }
    }

    fn joined(&self, before: &str, after: &str) -> String {
        match (self.text.as_str(), self.command.as_str()) {
            (text, "") => text.to_owned(),
            ("", command) => format!("{before}{command}{after}"),
            (text, command) => format!("{text} {before}{command}{after}"),
        }
    }
}

impl Step {
    /// Renders the step with these values; a missing or malformed value becomes a placeholder.
    pub fn render(&self, values: &dyn Fn(Var) -> Option<Words>) -> RenderedStep {
        let prose = |value: Words| value.iter().map(Word::shown).collect::<Vec<_>>().join(" ");
        let words = |value: Words| value.iter().map(Word::in_command).collect::<Vec<_>>().join(" ");
        RenderedStep {
            place: self.place,
            who: self.who,
            text: fill(self.text, &|var| prose(var.take(values(var)))),
            command: fill(self.command, &|var| words(var.take(values(var)))).trim_end().to_owned(),
        }
    }
}

/// The template with its variables replaced; other braces are kept.
fn fill(template: &str, value: &dyn Fn(Var) -> String) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        match after.split_once('}').and_then(|(name, behind)| Some((Var::named(name)?, behind))) {
            Some((var, behind)) => {
                text.push_str(&value(var));
                rest = behind;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::var::one;

    const STEP: Step = as_root(
        "Look at {resource_group} in {config}, {unknown} and {a: b}:",
        "printf '%s\\0' {resource_group}/x {imds}/y {tenant_option} {unknown} '%{http_code}' \"$(printf %s {path})\" {",
    );

    #[expect(clippy::disallowed_methods, reason = "the commands are tested with the system's shell")]
    fn words(command: &str) -> Vec<String> {
        let mut sh = std::process::Command::new("sh");
        let ran = sh.args(["-c", command]).env("RESOURCE_GROUP", "from the environment").output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{command}");
        let text = String::from_utf8(ran.stdout).unwrap();
        text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
    }

    #[test]
    fn values_are_single_arguments_and_other_braces_are_kept() {
        for hostile in
            ["plain", "edge(1)", "it's \"two\" words", "$(id) `id`", "-rf", "a;id", "{vm} {path}", "\\"]
        {
            let step = STEP.render(&|var| match var {
                Var::TenantOption => Some(vec!["--tenant".into(), hostile.into()]),
                _ => Some(one(hostile)),
            });
            let slashed = |end: &str| format!("{hostile}/{end}");
            assert_eq!(
                words(&step.command),
                [
                    &slashed("x"),
                    &slashed("y"),
                    "--tenant",
                    hostile,
                    "{unknown}",
                    "%{http_code}",
                    hostile,
                    "{"
                ]
            );
        }
    }

    #[test]
    fn an_unknown_value_is_a_placeholder() {
        let step = STEP.render(&|_| None);
        assert_eq!(
            words(&step.command),
            ["from the environment/x", "http://169.254.169.254/y", "{unknown}", "%{http_code}", "/", "{"]
        );
        assert_eq!(
            step.text,
            "Look at $RESOURCE_GROUP in /etc/arc-enroll/config.yaml, {unknown} and {a: b}:"
        );
        let hostile = STEP.render(&|_| Some(one("line\nbreak")));
        assert_eq!(hostile, step);
    }

    #[test]
    fn values_in_an_instruction_are_not_quoted() {
        let step = ask(Who::NetworkOwner, "Allow these: {endpoints}");
        let hosts = |_| Some(vec!["a.example".into(), "b.example".into()]);
        assert_eq!(step.render(&hosts).line(), "Allow these: a.example b.example");
    }

    #[test]
    fn a_command_does_not_end_with_a_space() {
        let step = workstation(Who::SignedIn, "Sign in:", "az login {tenant_option}");
        assert_eq!(step.render(&|_| None).line(), "Sign in: az login");
        assert_eq!(step.render(&|_| None).marked(), "Sign in: `az login`");
        let tenant = |_| Some(vec!["--tenant".into(), "t".into()]);
        assert_eq!(step.render(&tenant).command, "az login --tenant t");
    }
}
