//! `nexus serve`: the servers alone, for a VM that is not simulated and for real clients.

use std::fs;
use std::path::PathBuf;

use crate::nexus::spec::Spec;
use crate::servers::{self, Addresses};
use crate::tls::{self, Authority};
use crate::world::World;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    addresses: Addresses,
    spec: Spec,
    state: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// Serves until it is stopped.
pub fn run(words: &[&str]) -> Result<(), AnyError> {
    let options = parse(words)?;
    if let Some(folder) = &options.state {
        fs::create_dir_all(folder)?;
    }
    let authority = match &options.ca {
        Some(file) => Authority::kept_in(file)?,
        None => Authority::new(tls::AZURE)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let world = World::new(options.spec, options.state);
        let tls = tls::acceptor(&world, authority)?;
        servers::start(&world, &tls, options.addresses).await?;
        world.save();
        println!("IMDS sidecar at http://{}", options.addresses.imds);
        println!("CSN proxy at http://{}", options.addresses.csn);
        std::future::pending().await
    })
}

fn parse(words: &[&str]) -> Result<Options, AnyError> {
    let mut options = Options {
        addresses: Addresses { imds: "127.0.0.1:8080".parse()?, csn: "127.0.0.1:3128".parse()? },
        spec: Spec::default(),
        state: None,
        ca: None,
    };
    let mut packages = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = *words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match *word {
            "--sidecar" => options.addresses.imds = value.parse()?,
            "--proxy" => options.addresses.csn = value.parse()?,
            "--packages" => packages = Some(PathBuf::from(value)),
            "--state" => options.state = Some(PathBuf::from(value)),
            "--ca-out" => options.ca = Some(PathBuf::from(value)),
            "--plan" => options.spec = serde_json::from_str(&fs::read_to_string(value)?)?,
            other => return Err(format!("unknown option {other}; see nexus --help").into()),
        }
    }
    if packages.is_some() {
        options.spec.azure.packages = packages;
    }
    Ok(options)
}
