//! `nexus vm SPEC`: the process that is a VM's network and everything that answers in it; and `nexus in PID`,
//! which starts a program there.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::namespaces;
use crate::nexus::control::Order;
use crate::nexus::spec::{Spec, MARKER};
use crate::servers::{self, Addresses};
use crate::tls::{self, Authority};
use crate::world::World;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const ADDRESSES: Addresses = Addresses {
    imds: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80),
    csn: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 0, 11)), 3128),
};

/// Serves a VM until standard input ends.
pub fn run(file: &str) -> Result<(), AnyError> {
    let spec: Spec = serde_json::from_str(&fs::read_to_string(file)?)?;
    namespaces::enter_new(&spec)?;
    // Bound and never read: name queries are never answered.
    let _silent =
        spec.silent_dns.then(|| UdpSocket::bind((Ipv4Addr::new(169, 254, 0, 11), 53))).transpose()?;
    let authority = Authority::new(tls::AZURE)?;
    fs::write(ca_file(&spec.root), &authority.certificate_pem)?;
    // Started only now: only a single-threaded process can enter the namespaces.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(spec, authority))
}

fn ca_file(root: &Path) -> std::path::PathBuf {
    root.join(MARKER).join("ca.pem")
}

async fn serve(spec: Spec, authority: Authority) -> Result<(), AnyError> {
    let world = World::new(spec, None);
    let tls = tls::acceptor(&world, authority)?;
    servers::start(&world, &tls, ADDRESSES).await?;
    println!("{}", json!({"ready": true}));
    let (sender, mut orders) = tokio::sync::mpsc::unbounded_channel();
    // Reading blocks, so it has a thread of its own; the end of the input ends the VM.
    std::thread::spawn(move || {
        io::stdin().lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    while let Some(line) = orders.recv().await {
        let answer = match serde_json::from_str(&line)? {
            Order::Observe => serde_json::to_value(&world.state().seen)?,
            Order::Imds(plan) => done(&world, |world| world.state().set_imds(plan)),
            Order::Csn(plan) => done(&world, |world| world.state().set_csn(plan)),
            Order::Azure(plan) => done(&world, |world| world.state().set_azure(plan)),
        };
        println!("{answer}");
    }
    Ok(())
}

fn done(world: &World, change: impl FnOnce(&World)) -> serde_json::Value {
    change(world);
    world.changed.send_modify(|count| *count += 1);
    json!({"done": true})
}

/// Becomes a program inside the VM of a process.
pub fn enter(pid: &str, command: &[String]) -> Result<(), AnyError> {
    let folder = std::env::current_dir()?;
    namespaces::enter_of(pid.parse()?)?;
    // Joining the mounts leads to their root.
    drop(std::env::set_current_dir(folder));
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("nothing to run"))?;
    Err(Command::new(program).args(arguments).exec().into())
}
