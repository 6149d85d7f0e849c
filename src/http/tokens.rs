//! Our tokens as they travel: JWTs, HS256, signed with LiveKit's secret (contract `access.md` 2).
//!
//! Owns signature and issuer. What tokens say and when they are good is `reelkeeper_actors::access::claims`'s.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reelkeeper_actors::access::Denied;
use reelkeeper_actors::access::claims::{Frame, TokenUse, UserClaims};
use reelkeeper_actors::access::user::User;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::recording::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::error::Failure;
use crate::config::Secret;

/// Makes and checks tokens in the name of one key.
pub struct Tokens {
    issuer: String,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Signs with LiveKit's secret, in the name of its key.
    #[must_use]
    pub fn new(api_key: &str, api_secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[api_key]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        // Times are judged against the given clock, with the claims.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let secret = api_secret.expose().as_bytes();
        Self {
            issuer: api_key.to_owned(),
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// What every token of this use says.
    #[must_use]
    pub fn frame(&self, used_for: TokenUse, now: Timestamp) -> Frame {
        Frame::new(&self.issuer, used_for, now)
    }

    /// A token for this user.
    ///
    /// # Errors
    /// 500 when it cannot be signed.
    pub fn of_user(&self, user: &User, used_for: TokenUse, now: Timestamp) -> Result<String, Failure> {
        self.sign(&UserClaims::of(user, self.frame(used_for, now)))
    }

    /// The token with these claims.
    ///
    /// # Errors
    /// 500 when it cannot be signed.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, Failure> {
        let signed = jsonwebtoken::encode(&Header::default(), claims, &self.signing);
        signed.map_err(|error| PortError::misused("token signer", error).into())
    }

    /// What a token says, if we signed it; neither its time nor its use is looked at.
    ///
    /// # Errors
    /// [`Denied::BadToken`].
    pub fn claims(&self, token: &str) -> Result<Value, Denied> {
        let decoded = jsonwebtoken::decode::<Value>(token, &self.checking, &self.validation);
        decoded.map(|token| token.claims).map_err(|_| Denied::BadToken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};
    use proptest::sample::Index;
    use reelkeeper_actors::access::claims::{read_member, read_user};

    use super::*;
    use crate::http::odd;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn token(key: &str, secret: &str) -> String {
        let user = User::first_admin("admin", "$2b$10$x".to_owned());
        Tokens::new(key, &Secret::new(secret)).of_user(&user, TokenUse::Access, NOW).unwrap()
    }

    #[test]
    fn only_our_own_signature_and_issuer_are_taken() {
        let ours = Tokens::new("key", &Secret::new("a secret"));
        let claims = ours.claims(&token("key", "a secret")).unwrap();
        assert_eq!(read_user(&claims, TokenUse::Access, NOW).unwrap().username, "admin");
        let unsigned = {
            let good = token("key", "a secret");
            let (_, rest) = good.split_once('.').unwrap();
            let (payload, _) = rest.split_once('.').unwrap();
            // {"alg":"none"}
            format!("eyJhbGciOiJub25lIn0.{payload}.")
        };
        let bad =
            [token("key", "another"), token("another", "a secret"), unsigned, String::new(), "a.b.c".into()];
        for token in bad {
            assert_eq!(ours.claims(&token), Err(Denied::BadToken), "{token}");
        }
        assert!(!format!("{ours:?}").contains("a secret"));
    }

    fn good() -> Value {
        serde_json::json!({
            "iss": "key", "nbf": 0, "exp": 1_700_003_600, "use": "member", "sub": "ann", "name": "Ann",
            "mark": "x", "video": {"room": "room-1", "roomJoin": true},
            "metadata": r#"{"livekitUrl":"ws://x","role":"speaker","permissions":{}}"#,
        })
    }

    proptest! {
        #![proptest_config(odd::repeatable())]
        #[test]
        fn a_token_that_was_touched_is_none(at in any::<Index>(), with in any::<u8>(), cut in any::<bool>()) {
            let (ours, good) = (Tokens::new("key", &Secret::new("a secret")), token("key", "a secret"));
            let mut touched = good.clone().into_bytes();
            let at = at.index(touched.len());
            if cut { touched.truncate(at) } else { touched[at] = with }
            let touched = String::from_utf8_lossy(&touched).into_owned();
            // The last character of a part may say the same in another way: two of its bits mean nothing.
            if let Ok(claims) = ours.claims(&touched) {
                proptest::prop_assert_eq!(claims, ours.claims(&good).unwrap(), "{}", touched);
            }
        }

        #[test]
        fn any_text_is_no_token(text in odd::text(), parts in vec(odd::text(), 3)) {
            let ours = Tokens::new("key", &Secret::new("a secret"));
            for text in [text, parts.join(".")] {
                proptest::prop_assert_eq!(ours.claims(&text), Err(Denied::BadToken));
            }
        }

        #[test]
        fn what_we_signed_is_read_or_refused_whatever_it_says(claims in odd::changed(good())) {
            let ours = Tokens::new("key", &Secret::new("a secret"));
            let read = ours.claims(&ours.sign(&claims).unwrap());
            proptest::prop_assert!(read.is_err() || claims["iss"].is_array() || claims["iss"] == "key");
            // A token that says another use is never taken for this one.
            if read_user(&claims, TokenUse::Access, NOW).is_ok() {
                proptest::prop_assert_eq!(&claims["use"], "access");
            }
            if read_member(&claims, NOW).is_ok() {
                proptest::prop_assert_eq!(&claims["use"], "member");
                proptest::prop_assert!(claims["exp"].as_f64().unwrap() > 1_700_000_000.0);
            }
        }
    }
}
