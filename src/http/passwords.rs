//! Passwords: bcrypt with the contract's cost, beside the async threads and a few at a time (contract
//! `access.md` 4).
//!
//! A crowd of logins waits in line here, within its deadlines, and starves nothing else. Never logs a
//! password or a hash.

use std::sync::Arc;

use reelkeeper_actors::ports::PortError;
use tokio::sync::Semaphore;

/// bcrypt's cost: 2^10 rounds.
const COST: u32 = 10;
/// Hashes that are computed at once.
const AT_ONCE: usize = 2;
/// Compared with when there is no such user, so that the time tells nothing. Nobody knows its password.
const DECOY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyemG7JU9.Ww2ie5xQ46SVbHmcUmM3Tte2";

/// Computes and compares hashes.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Semaphore>);

/// How a password compares with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// It is the one.
    Same,
    /// It is another, or there is no hash.
    Other,
}

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Passwords {
    /// The hash of a password, with a salt of its own. Only its first 72 bytes count, as bcrypt has it.
    ///
    /// # Errors
    /// `Misused` when there is no randomness, or by a bug of ours.
    pub async fn hash(&self, password: String) -> Result<String, PortError> {
        self.beside(move || bcrypt::hash(password, COST)).await
    }

    /// Compares a password with a hash; without one it takes as long.
    ///
    /// # Errors
    /// `Misused` when the hash cannot be read.
    pub async fn compare(&self, password: String, hash: Option<String>) -> Result<Compared, PortError> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        let same = self.beside(move || bcrypt::verify(password, &hash)).await?;
        Ok(if same && is_known { Compared::Same } else { Compared::Other })
    }

    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> bcrypt::BcryptResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let permit = self.0.clone().acquire_owned().await.map_err(broken)?;
        let done = tokio::task::spawn_blocking(move || {
            // Goes with the work, which goes on even if nobody waits for it any more.
            let _permit = permit;
            work()
        });
        done.await.map_err(broken)?.map_err(broken)
    }
}

fn broken(detail: impl std::fmt::Display) -> PortError {
    PortError::misused("password hash", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_compared_with_its_hash() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$2b$10$"), "{hash}");
        assert_ne!(passwords.hash("correct horse".to_owned()).await.unwrap(), hash, "each has its salt");
        let table = [
            ("correct horse", Some(hash.clone()), Compared::Same),
            ("Correct horse", Some(hash.clone()), Compared::Other),
            ("", Some(hash), Compared::Other),
            ("correct horse", None, Compared::Other),
        ];
        for (password, hash, expected) in table {
            assert_eq!(passwords.compare(password.to_owned(), hash).await.unwrap(), expected, "{password}");
        }
        let (long, odd) = ("x".repeat(10_000), "a\0b\u{1f600}");
        for password in [long.as_str(), odd] {
            let hash = passwords.hash(password.to_owned()).await.unwrap();
            let compared = passwords.compare(password.to_owned(), Some(hash)).await.unwrap();
            assert_eq!(compared, Compared::Same, "{} bytes", password.len());
        }
        let unreadable = passwords.compare("x".to_owned(), Some("plain".to_owned())).await;
        assert!(unreadable.is_err());
    }

    #[tokio::test]
    async fn a_hash_that_another_implementation_made_is_read() {
        // By crypt(3).
        let hash = "$2b$10$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu".to_owned();
        let compared = Passwords::default().compare("correct horse".to_owned(), Some(hash)).await;
        assert_eq!(compared.unwrap(), Compared::Same);
    }
}
