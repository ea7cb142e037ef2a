//! The VM's network, mounts and host name: kernel namespaces, so that the machine is not
//! changed and concurrent VMs do not interfere. Root is not needed if user namespaces are allowed.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::mount::{mount, MsFlags};
use nix::sched::{setns, unshare, CloneFlags};
use nix::sys::socket::{recv, send, socket, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::statvfs::{statvfs, FsFlags};
use nix::unistd::{getgid, getuid, sethostname};

use crate::nexus::spec::Spec;

/// Addresses of the sidecar and of the CSN proxy.
const ADDRESSES: [[u8; 4]; 2] = [[169, 254, 169, 254], [169, 254, 0, 11]];
/// Folders of the machine that the VM sees but cannot change.
const READ_ONLY: [&str; 8] = ["/etc", "/usr", "/var", "/opt", "/boot", "/srv", "/root", "/home"];

/// Moves this process, which must have one thread, into new namespaces and sets them up.
pub fn enter_new(spec: &Spec) -> io::Result<()> {
    // Some machines refuse the first step, others only a later one.
    furnish_new(spec).map_err(|error| {
        io::Error::other(format!(
            "this machine does not allow private namespaces ({error}). Where user namespaces are switched off, \
             run as root or allow them: sysctl kernel.unprivileged_userns_clone=1 \
             kernel.apparmor_restrict_unprivileged_userns=0; in a container, give it CAP_SYS_ADMIN"
        ))
    })
}

fn furnish_new(spec: &Spec) -> io::Result<()> {
    let (uid, gid) = (getuid(), getgid());
    let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
    match unshare(own | CloneFlags::CLONE_NEWUSER) {
        Ok(()) => {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
        }
        // Root needs no user namespace if these are disabled.
        Err(_) if uid.is_root() => unshare(own)?,
        Err(error) => return Err(error.into()),
    }
    sethostname(&spec.hostname)?;
    mounts(spec)?;
    loopback()
}

fn mounts(spec: &Spec) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("tmpfs"), &spec.root.join("run"), Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=16m"))?;
    if let Some(hosts) = &spec.hosts {
        let file = spec.root.join(crate::nexus::spec::MARKER).join("hosts");
        fs::write(&file, hosts)?;
        mount(Some(&file), "/etc/hosts", none, MsFlags::MS_BIND, none)?;
    }
    if spec.silent_dns {
        let file = spec.root.join(crate::nexus::spec::MARKER).join("resolv.conf");
        fs::write(&file, "nameserver 169.254.0.11\n")?;
        mount(Some(&file), "/etc/resolv.conf", none, MsFlags::MS_BIND, none)?;
    }
    let nothing = spec.root.join(crate::nexus::spec::MARKER).join("nothing");
    fs::write(&nothing, "")?;
    for name in &spec.hidden {
        for folder in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"] {
            // A file without execute permission is not a program.
            let program = Path::new(folder).join(name);
            if program.is_file() {
                mount(Some(&nothing), &program, none, MsFlags::MS_BIND, none)?;
            }
        }
    }
    for folder in READ_ONLY {
        if !spec.root.starts_with(folder) && Path::new(folder).is_dir() {
            // Only a safeguard: the VM is usable if the kernel refuses it.
            read_only(folder).ok();
        }
    }
    Ok(())
}

fn read_only(folder: &str) -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(Some(folder), folder, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    // Flags that the mount has already are locked and have to be given again.
    let flags = statvfs(folder)?.flags();
    let mut again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (has, keep) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ] {
        again.set(keep, flags.contains(has));
    }
    mount(none, folder, none, again, none)
}

/// Brings the loopback interface up, with the two link-local addresses.
fn loopback() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const RTM_NEWADDR: u16 = 20;
    const LOOPBACK: u32 = 1;
    const IFF_UP: u32 = 1;
    let mut link = vec![0u8; 4];
    for word in [LOOPBACK, IFF_UP, IFF_UP] {
        link.extend(word.to_ne_bytes());
    }
    netlink(RTM_NEWLINK, &link)?;
    for address in ADDRESSES {
        // family, prefix length, flags, scope (link), interface, then the attributes "address" and "local"
        let mut message = vec![2u8, 32, 0, 253];
        message.extend(LOOPBACK.to_ne_bytes());
        for attribute in [1u16, 2] {
            message.extend(8u16.to_ne_bytes());
            message.extend(attribute.to_ne_bytes());
            message.extend(address);
        }
        netlink(RTM_NEWADDR, &message)?;
    }
    Ok(())
}

/// Sends one request to the kernel's routing socket and waits for the acknowledgement.
fn netlink(kind: u16, message: &[u8]) -> io::Result<()> {
    // request, acknowledge, create
    const FLAGS: u16 = 0x1 | 0x4 | 0x400;
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    let mut packet = Vec::new();
    packet.extend(u32::try_from(message.len() + 16).unwrap_or(0).to_ne_bytes());
    packet.extend(kind.to_ne_bytes());
    packet.extend(FLAGS.to_ne_bytes());
    packet.extend(1u32.to_ne_bytes());
    packet.extend(0u32.to_ne_bytes());
    packet.extend(message);
    send(socket.as_raw_fd(), &packet, MsgFlags::empty())?;
    let mut answer = [0u8; 1024];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::other("the kernel's answer is too short")),
    }
}

/// Takes this process, which must have one thread, into the namespaces of another.
pub fn enter_of(pid: u32) -> io::Result<()> {
    // The user namespace comes first: it gives the right to the others.
    for name in ["user", "uts", "net", "mnt"] {
        let path = format!("/proc/{pid}/ns/{name}");
        if fs::read_link(&path)? != fs::read_link(format!("/proc/self/ns/{name}"))? {
            setns(fs::File::open(&path)?, CloneFlags::empty())?;
        }
    }
    Ok(())
}
