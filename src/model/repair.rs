//! The identifiers of repairs; their implementations are in `repairs`.

/// The identifier of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairId {
    /// Write the proxy settings into the system's files.
    PersistProxy,
    /// Make the host's time service step the clock.
    StepClock,
    /// Invalidate the token, so that a new one is requested.
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
    /// Set azcmagent's override for Azure VMs, if the configuration allows it.
    AllowAzureVm,
    /// Connect the machine.
    Connect,
    /// Delete the Expired Arc machine and its state on the VM, if the configuration allows it.
    RecreateExpired,
}
