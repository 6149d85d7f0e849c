//! Documents that cannot be read and are left out of lists.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use reelkeeper_actors::ports::PortError;

/// Ids remembered; beyond it all are forgotten, and logged anew.
const REMEMBERED: usize = 1024;

/// Remembers which were logged, so that each sweep over a list does not log them again.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    logged: Mutex<HashSet<String>>,
}

impl Unreadable {
    /// Logs a document that is left out, unless that was done before.
    pub(super) fn left_out(&self, id: &str, error: &PortError) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= REMEMBERED {
            logged.clear();
        }
        if logged.insert(id.to_owned()) {
            tracing::error!(document.id = id, %error, "left out what cannot be read");
        }
    }
}
