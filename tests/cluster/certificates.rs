//! An authority of a cluster, and certificates that it signs.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Files in PEM: a node's certificate, its key, and the authority.
pub struct Certificates {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

impl Certificates {
    /// Writes those of an authority of its own into a folder; every node may show them.
    pub fn write(folder: &Path) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &authority).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            cert: write("node.crt", cert.pem()),
            key: write("node.key", key.serialize_pem()),
            ca: write("authority.crt", authority.pem()),
        }
    }

    /// The options of a node.
    pub fn options(&self) -> [(&'static str, &str); 3] {
        [
            ("REELKEEPER_CLUSTER_TLS_CERT", self.cert.to_str().unwrap()),
            ("REELKEEPER_CLUSTER_TLS_KEY", self.key.to_str().unwrap()),
            ("REELKEEPER_CLUSTER_TLS_CA", self.ca.to_str().unwrap()),
        ]
    }
}
