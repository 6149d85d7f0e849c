//! Which dependency a request waits for, so that one whose time is over can say what kept it (design 10).
//!
//! Every adapter notes its name around each call. Outside of [`Awaited::noting`] nothing is noted.

use std::sync::{Arc, Mutex, PoisonError};

tokio::task_local! {
    static AWAITED: Awaited;
}

/// The note of one request. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Awaited(Arc<Mutex<Option<&'static str>>>);

impl Awaited {
    /// That of the request that this task serves; a fresh one if it serves none.
    #[must_use]
    pub fn of_this_request() -> Self {
        AWAITED.try_with(Self::clone).unwrap_or_default()
    }

    /// Carries out a part of a request whose calls are noted here.
    pub async fn noting<T>(self, part: impl Future<Output = T>) -> T {
        AWAITED.scope(self, part).await
    }

    /// The dependency whose call is under way, or was when its request was given up.
    #[must_use]
    pub fn dependency(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, dependency: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = dependency;
    }
}

/// One call of a dependency.
pub(super) async fn awaiting<T>(dependency: &'static str, call: impl Future<Output = T>) -> T {
    let note = |what| {
        let _ = AWAITED.try_with(|awaited| awaited.note(what));
    };
    note(Some(dependency));
    let answer = call.await;
    note(None);
    answer
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_request_waited_for_is_known_when_it_is_given_up() {
        let awaited = Awaited::default();
        awaiting("nobody's", ready(())).await;
        let part = awaited.clone().noting(async {
            awaiting("store", ready(())).await;
            assert_eq!(Awaited::of_this_request().dependency(), None, "it answered");
            awaiting("blobs", pending::<()>()).await;
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), part).await.is_err());
        assert_eq!(awaited.dependency(), Some("blobs"));
    }
}
