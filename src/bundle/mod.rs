//! The support bundle: one archive with the data that support asks for (guide, "If you're still experiencing issues").
//!
//! [`TABLE`] lists the sources; [`collect`] reads them, running commands concurrently; [`crate::host::redaction`]
//! redacts secrets; [`manifest`] lists the entries, and the missing ones with the reason.

mod archive;
mod collect;
mod derived;
mod manifest;

pub use collect::{collect, read_file, Collected, Content, Part};
pub use derived::{fetch_page, identity_part, list_proxy_settings, PAGES};
pub use manifest::OUTSIDE;

use crate::context::{Context, Facts};
use archive::Archive;

/// Size limit of one entry, in bytes; the end of a larger one is kept.
pub const LARGEST_ENTRY: usize = 1 << 20;

/// Size limit of all entries together, in bytes, uncompressed.
pub const LARGEST_WHOLE: usize = 16 << 20;

/// The entry with the environment of himds.
const HIMDS: &str = "proxy/himds-environment.txt";

/// The sources, one per line: the name of the entry, and a file, a file pattern or a command.
///
/// Earlier lines have priority within the size limit, so that the folders, whose size is unknown, come last. Of two
/// lines with the same name, the second is for other distributions. One text is much smaller in the binary than a list
/// of pairs.
///
/// The guide asks for the journal of `azcmagent`, a unit that does not exist; it is included besides the four services
/// of the package, so that a reader of the guide finds an entry. The environment of the himds process is read by its
/// process id. The asset tag of the chassis identifies hosts of Azure.
const TABLE: &str = "\
cloud-init/cloud-init-output.log /var/log/cloud-init-output.log
cloud-init/cloud-init.log /var/log/cloud-init.log
cloud-init/status.json /run/cloud-init/status.json
cloud-init/result.json /run/cloud-init/result.json
cloud-init/status.txt cloud-init status --long
record/status.json /var/lib/arc-enroll/status.json
azcmagent/version.txt azcmagent version
azcmagent/show.json azcmagent show -j
azcmagent/config-list.txt azcmagent config list
proxy/azcmagent.txt azcmagent config get proxy.url
proxy/systemd-environment.txt systemctl show-environment
proxy/himds-environment.txt systemctl show --property=MainPID himdsd.service
proxy/systemd-azcmagent.conf /lib/systemd/system.conf.d/azcmagent.conf
versions/curl.txt curl --version
versions/packages.txt dpkg-query -W azcmagent cloud-init curl systemd ca-certificates
versions/packages.txt rpm -q azcmagent cloud-init curl systemd ca-certificates
vm/os-release /etc/os-release
vm/uname.txt uname -a
vm/hostname.txt hostname --fqdn
vm/hosts /etc/hosts
vm/resolv.conf /etc/resolv.conf
vm/ip-address.txt ip address
vm/ip-route.txt ip route show table all
vm/ip-rule.txt ip rule
vm/sockets.txt ss -ltn
vm/df.txt df -hT
vm/df-inodes.txt df -i
vm/meminfo.txt /proc/meminfo
vm/uptime.txt /proc/uptime
vm/timedatectl.txt timedatectl status
vm/failed-units.txt systemctl --failed --no-pager
vm/dmi-sys-vendor.txt /sys/class/dmi/id/sys_vendor
vm/dmi-product-name.txt /sys/class/dmi/id/product_name
vm/dmi-chassis-asset-tag.txt /sys/class/dmi/id/chassis_asset_tag
vm/ds-identify.log /run/cloud-init/ds-identify.log
journal/himdsd.txt journalctl --no-pager -o short-iso -n 3000 -u himdsd
journal/arcproxyd.txt journalctl --no-pager -o short-iso -n 3000 -u arcproxyd
journal/gcad.txt journalctl --no-pager -o short-iso -n 3000 -u gcad
journal/extd.txt journalctl --no-pager -o short-iso -n 3000 -u extd
journal/azcmagent.txt journalctl --no-pager -o short-iso -n 3000 -u azcmagent
journal/arc-enroll.txt journalctl --no-pager -o short-iso -n 3000 -u arc-enroll
journal/cloud-final.txt journalctl --no-pager -o short-iso -n 3000 -u cloud-final
journal/status.txt systemctl status --no-pager --full himdsd arcproxyd gcad extd arc-enroll arc-enroll.timer cloud-final
azcmagent/log/ /var/opt/azcmagent/log/*.log
guest-configuration/arc_policy_logs/ /var/lib/GuestConfig/arc_policy_logs/*
guest-configuration/ext_mgr_logs/ /var/lib/GuestConfig/ext_mgr_logs/*";

/// The archive and its summary.
pub struct Bundle {
    /// The .tar.gz.
    pub bytes: Vec<u8>,
    /// Number of files, without the manifest.
    pub entries: usize,
    /// Number of truncated files.
    pub truncated: usize,
    /// Missing entries: name and reason.
    pub missing: Vec<(String, String)>,
}

/// Redacts secrets, applies the size limits and builds the archive. `folder` is the top folder, `time` is in seconds
/// since 1970.
pub fn pack(context: &Context, facts: &Facts, folder: &str, time: u64, mut collected: Collected) -> Bundle {
    derived::add_errors(&mut collected);
    let parts = collected.parts(&context.host.mask);
    let mut archive = Archive::new(folder, time);
    archive.add("manifest.json", manifest::render(context, facts, collected.elapsed(), &parts).as_bytes());
    let mut bundle = Bundle { bytes: Vec::new(), entries: 0, truncated: 0, missing: Vec::new() };
    for part in parts {
        match part.content {
            Content::Text(text, _, is_cut) => {
                archive.add(&part.name, text.as_bytes());
                bundle.entries += 1;
                bundle.truncated += usize::from(is_cut);
            }
            Content::Missing(why) => bundle.missing.push((part.name, why)),
            Content::Json(_) => {}
        }
    }
    bundle.bytes = archive.tar_gz();
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_has_a_name_and_an_origin() {
        let rows: Vec<(&str, &str)> = TABLE.lines().filter_map(|line| line.split_once(' ')).collect();
        assert_eq!(rows.len(), TABLE.lines().count());
        assert!(rows
            .iter()
            .all(|(name, from)| name.contains('/') && !from.is_empty() && from.trim() == *from));
        assert!(rows.contains(&("record/status.json", crate::output::record::PATH)));
        assert!(rows.iter().any(|(name, _)| *name == HIMDS));
    }
}
