//! LiveKit's signature on a webhook, made by hand so that it can be made wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{LIVEKIT_KEY, LIVEKIT_SECRET};

/// What goes into a signature. The default is right.
#[derive(Debug, Clone)]
pub struct Signature {
    pub issuer: &'static str,
    pub secret: &'static str,
    pub algorithm: Algorithm,
    /// Seconds from now.
    pub expires_in: i64,
    /// Seconds from now.
    pub not_before: Option<i64>,
    /// Whether the body's hash is among the claims.
    pub hashed: bool,
}

impl Default for Signature {
    fn default() -> Self {
        Self {
            issuer: LIVEKIT_KEY,
            secret: LIVEKIT_SECRET,
            algorithm: Algorithm::HS256,
            expires_in: 300,
            not_before: None,
            hashed: true,
        }
    }
}

impl Signature {
    /// The token for a body.
    pub fn of(&self, body: &[u8]) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let mut claims = json!({"iss": self.issuer, "exp": now + self.expires_in});
        if let Some(not_before) = self.not_before {
            claims["nbf"] = Value::from(now + not_before);
        }
        if self.hashed {
            claims["sha256"] = Value::from(STANDARD.encode(Sha256::digest(body)));
        }
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, &key).unwrap()
    }
}
