//! The repairs by name; what each is and does is in `repairs`.

/// A repair, by its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairId {
    /// Write the proxy settings into the system's files.
    PersistProxy,
    /// Ask the host's time service to step.
    StepClock,
    /// Drop the token, so that a new one is asked for.
    RenewToken,
    /// Install azcmagent.
    InstallAgent,
    /// Install a newer azcmagent over the old one.
    UpgradeAgent,
    /// Finish an interrupted installation.
    FinishInstallation,
    /// Start azcmagent's services.
    StartServices,
    /// Restart azcmagent's services.
    RestartServices,
    /// Set azcmagent's proxy.
    SetAgentProxy,
    /// Set azcmagent's override for Azure VMs, where the configuration allows it.
    AllowAzureVm,
    /// Connect the machine.
    Connect,
    /// Delete the Expired Arc machine and its state on the VM, where the configuration allows it.
    RecreateExpired,
}
