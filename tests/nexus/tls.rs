//! The simulated certificate authority and the certificates of the Azure names.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring::{default_provider, sign::any_ecdsa_type};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::nexus::spec::Certificate;
use crate::world::World;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Name of the authority that a VM trusts.
pub const AZURE: &str = "Simulated Azure CA";

/// A certificate authority with its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate_pem: String,
    key_pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Result<Self, AnyError> {
        let parameters = authority_parameters(name);
        let key = KeyPair::generate()?;
        let key_pem = key.serialize_pem();
        let certificate_pem = parameters.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate_pem, key_pem })
    }

    /// The authority kept in FILE and FILE.key; made there when missing, so that an image can trust it before
    /// the servers start.
    pub fn kept_in(file: &Path) -> Result<Self, AnyError> {
        let key_file = file.with_extension("key");
        if let (Ok(certificate_pem), Ok(key_pem)) = (fs::read_to_string(file), fs::read_to_string(&key_file))
        {
            // Name and key are all that an issued certificate says of its issuer.
            let issuer = Issuer::new(authority_parameters(AZURE), KeyPair::from_pem(&key_pem)?);
            return Ok(Self { issuer, certificate_pem, key_pem });
        }
        let made = Self::new(AZURE)?;
        fs::write(file, &made.certificate_pem)?;
        fs::write(&key_file, &made.key_pem)?;
        Ok(made)
    }

    fn certify(&self, host: &str, expired: bool) -> Result<CertifiedKey, AnyError> {
        let mut parameters = CertificateParams::new(vec![host.to_owned()])?;
        parameters.distinguished_name = named(host);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if expired {
            parameters.not_before = date_time_ymd(2020, 1, 1);
            parameters.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(CertifiedKey::new(vec![certificate.der().clone()], any_ecdsa_type(&secret)?))
    }
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Makes a certificate for whatever name a client asks for.
struct Certifier {
    trusted: Authority,
    stranger: Authority,
    world: World,
    made: Mutex<HashMap<(String, u8), Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Certifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certifier")
    }
}

impl ResolvesServerCert for Certifier {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().unwrap_or("localhost").to_owned();
        let form = self.world.state().azure.certificate;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&(host.clone(), form as u8)) {
            return Some(known.clone());
        }
        let certified = match form {
            Certificate::Trusted => self.trusted.certify(&host, false),
            Certificate::Untrusted => self.stranger.certify(&host, false),
            Certificate::Expired => self.trusted.certify(&host, true),
            Certificate::WrongName => self.trusted.certify("intercepted.example", false),
        };
        let certified = Arc::new(certified.ok()?);
        made.insert((host, form as u8), certified.clone());
        Some(certified)
    }
}

/// TLS for all Azure names.
pub fn acceptor(world: &World, trusted: Authority) -> Result<TlsAcceptor, AnyError> {
    let stranger = Authority::new("Contoso TLS Inspection CA")?;
    let certifier = Certifier { trusted, stranger, world: world.clone(), made: Mutex::default() };
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certifier));
    Ok(TlsAcceptor::from(Arc::new(config)))
}
