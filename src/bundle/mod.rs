//! One archive with what support asks for (guide, "If you're still experiencing issues").
//!
//! [`TABLE`] says what is collected; [`collect`] takes it, everything at the same time; [`crate::host::redaction`] takes the
//! secrets out; [`manifest`] says what is there and what could not be had. What cannot be had is content too.

mod archive;
mod collect;
mod derived;
mod manifest;

pub use collect::{collect, read_file, Collected, Content, Part};
pub use derived::{ask, identity, places, PAGES};
pub use manifest::OUTSIDE;

use crate::context::{Context, Facts};
use archive::Archive;

/// Most of one entry, in bytes; of a longer one the end is kept.
pub const LARGEST_ENTRY: usize = 1 << 20;

/// Most of all entries together, in bytes, uncompressed.
pub const LARGEST_WHOLE: usize = 16 << 20;

/// The entry with the environment of himds.
const HIMDS: &str = "proxy/himds-environment.txt";

/// What is collected, a line for each: the entry's name, and the file, the files or the command it comes from. What
/// comes first has the first claim to the room, so the folders, which may hold anything, come last. Of two with one
/// name the second is for other distributions. It is one text, since that is much smaller than a list of pairs.
///
/// The guide asks for the journal of `azcmagent`; there is no such unit, and the four services of the package have
/// what was meant. It is asked for all the same, so that whoever looks for it finds the answer. himds keeps the
/// environment that it was started with, which is looked at by its process id. Hosts of Azure itself carry a tag of
/// their own as the asset tag of the chassis.
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

/// The archive, and what there is to say about it.
pub struct Bundle {
    /// The .tar.gz.
    pub bytes: Vec<u8>,
    /// Files in it, besides the manifest.
    pub entries: usize,
    /// How many of them were cut.
    pub truncated: usize,
    /// What could not be had: the entry's name, and why.
    pub missing: Vec<(String, String)>,
}

/// Takes the secrets out, keeps to the limits, and packs; `folder` is the one on top, `time` in seconds since 1970.
pub fn pack(context: &Context, facts: &Facts, folder: &str, time: u64, mut collected: Collected) -> Bundle {
    derived::add_errors(&mut collected);
    let parts = collected.parts(&context.host.mask);
    let mut archive = Archive::new(folder, time);
    archive.add("manifest.json", manifest::write(context, facts, collected.elapsed(), &parts).as_bytes());
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
