//! The files that TLS between nodes rests on.

use std::path::Path;
use std::sync::Arc;

use reelkeeper_actors::cluster::encryption::Encryption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::TlsConfig;

/// Reads them. Whoever comes must show a certificate of the authority's, and so must whoever is dialled.
///
/// # Errors
/// With the file and what is wrong with it; never with what it holds.
pub(super) fn encryption(config: &TlsConfig) -> Result<Encryption, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&config.cert)?;
    let key = || {
        let read = PrivateKeyDer::from_pem_file(&config.key);
        read.map_err(|error| format!("{}: no private key in PEM: {error}", config.key.display()))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&config.ca)? {
        roots.add(root).map_err(|error| format!("{}: {error}", config.ca.display()))?;
    }
    let roots = Arc::new(roots);
    let unfit = |error: &dyn std::fmt::Display| {
        format!("{} and {} do not do: {error}", config.cert.display(), config.key.display())
    };
    let server = accepting(&provider, &roots, chain.clone(), key()?).map_err(|error| unfit(&error))?;
    let client = dialling(&provider, roots, chain, key()?).map_err(|error| unfit(&error))?;
    let name = config.name.clone().map(ServerName::try_from).transpose();
    let name = name.map_err(|error| format!("cluster.tls_name: {error}"))?;
    let (acceptor, connector) = (Arc::new(server).into(), Arc::new(client).into());
    Ok(Encryption { acceptor, connector, name })
}

fn accepting(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let config =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(config.with_client_cert_verifier(verifier).with_single_cert(chain, key)?)
}

fn dialling(
    provider: &Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let config =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_client_auth_cert(chain, key)?)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unreadable(&error))?;
    if found.is_empty() { Err(unreadable(&"no certificate in PEM")) } else { Ok(found) }
}
