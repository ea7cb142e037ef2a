//! Starts the servers of one VM and keeps their ports as the plan says: open, closed for a while, closed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::nexus::spec::PortState;
use crate::world::{Server, World};
use crate::{csn, http1, sidecar};

/// Where the two servers listen.
#[derive(Clone, Copy)]
pub struct Addresses {
    pub imds: SocketAddr,
    pub csn: SocketAddr,
}

/// Binds the ports that are to be open now, so that they accept connections on return, and serves in the background.
pub async fn start(world: &World, tls: &TlsAcceptor, addresses: Addresses) -> io::Result<()> {
    for (server, address) in [(Server::Imds, addresses.imds), (Server::Csn, addresses.csn)] {
        let listener = match port_state(world, server) {
            PortState::Open => Some(TcpListener::bind(address).await?),
            PortState::Closed | PortState::ClosedFor(_) => None,
        };
        tokio::spawn(keep(world.clone(), tls.clone(), server, address, listener));
    }
    Ok(())
}

fn port_state(world: &World, server: Server) -> PortState {
    let state = world.state();
    let port_state = match server {
        Server::Imds => state.imds.port_state,
        Server::Csn | Server::Azure => state.csn.port_state,
    };
    match port_state {
        PortState::ClosedFor(ms) if world.elapsed_ms() >= ms => PortState::Open,
        port_state => port_state,
    }
}

async fn keep(
    world: World,
    tls: TlsAcceptor,
    server: Server,
    address: SocketAddr,
    mut listener: Option<TcpListener>,
) {
    let mut changed = world.changed.subscribe();
    loop {
        let port_state = port_state(&world, server);
        if port_state != PortState::Open {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let pause = match port_state {
            PortState::ClosedFor(ms) => Duration::from_millis(ms.saturating_sub(world.elapsed_ms()) + 1),
            _ if listener.is_none() && port_state == PortState::Open => Duration::from_millis(20),
            _ => Duration::from_secs(3600),
        };
        tokio::select! {
            result = changed.changed() => if result.is_err() { return },
            () = tokio::time::sleep(pause) => {}
            accepted = accept(listener.as_ref()) => {
                if let Ok(stream) = accepted {
                    tokio::spawn(connection(world.clone(), tls.clone(), server, stream));
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn connection(world: World, tls: TlsAcceptor, server: Server, stream: TcpStream) {
    // A client that disconnects early is not an error.
    drop(match server {
        Server::Imds => {
            let offset = || world.state().imds.clock_offset_s;
            let mut stream = BufReader::new(stream);
            http1::serve(&mut stream, offset, |request| sidecar::answer(&world, request)).await
        }
        Server::Csn | Server::Azure => csn::serve(world, tls, stream).await,
    });
}
