//! What is written of a document that changed: what differs and nothing else, so that what a newer release or an operator
//! keeps beside it survives, and another's change at the same time is noticed.

use ::mongodb::bson::{Bson, Document, doc};

use super::documents::{ROOM_VERSION, whole};

/// What brings a document from one state to another.
pub(super) struct Difference {
    /// Holds as long as nobody changed the same.
    pub(super) unchanged: Document,
    pub(super) update: Document,
}

impl Difference {
    /// Only fields that differ are touched, and of those that are documents only what differs in them. `stored` is the
    /// document as it was read.
    pub(super) fn between(stored: &Document, before: &Document, after: &Document) -> Self {
        let (mut unchanged, mut set, mut unset) = (Document::new(), Document::new(), Document::new());
        let differs = |field: &&String| before.get(*field) != after.get(*field);
        let gone = before.keys().filter(|field| !after.contains_key(*field));
        for field in after.keys().chain(gone).filter(differs) {
            let seen = stored.get(field).cloned();
            unchanged.insert(field, seen.unwrap_or_else(|| doc! {"$exists": false}.into()));
            match after.get(field) {
                Some(value) => set.insert(field, overlaid(stored.get(field), before.get(field), value)),
                None => unset.insert(field, ""),
            };
        }
        let parts = [("$set", set), ("$unset", unset)].into_iter().filter(|(_, fields)| !fields.is_empty());
        Self {
            unchanged,
            update: parts.map(|(name, fields)| (name.to_owned(), Bson::Document(fields))).collect(),
        }
    }

    /// A room's document of an older version is one of this version once its configuration is written, which has all
    /// that makes it one: nobody may migrate it again.
    pub(super) fn raise_version(&mut self, stored: &Document) {
        let is_older =
            stored.get("schemaVersion").and_then(whole).is_none_or(|version| version < ROOM_VERSION.into());
        if let Ok(set) = self.update.get_document_mut("$set")
            && set.contains_key("config")
            && is_older
        {
            set.insert("schemaVersion", ROOM_VERSION);
        }
    }
}

/// The new value of a field, with what the stored one holds beyond our knowledge.
fn overlaid(stored: Option<&Bson>, before: Option<&Bson>, after: &Bson) -> Bson {
    let (Some(Bson::Document(stored)), Some(Bson::Document(before)), Bson::Document(after)) =
        (stored, before, after)
    else {
        return after.clone();
    };
    let mut whole = stored.clone();
    for gone in before.keys().filter(|field| !after.contains_key(*field)) {
        whole.remove(gone);
    }
    for (field, value) in after {
        whole.insert(field, overlaid(stored.get(field), before.get(field), value));
    }
    Bson::Document(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_our_knowledge_survives_at_every_depth() {
        let stored = doc! {"a": 1, "b": {"c": {"d": 1, "ours": "x"}, "theirs": [1]}, "more": true};
        let (before, after) =
            (doc! {"a": 1, "b": {"c": {"d": 1, "ours": "x"}}}, doc! {"a": 1, "b": {"c": {"d": 2}}});
        let Difference { unchanged, update } = Difference::between(&stored, &before, &after);
        assert_eq!(unchanged, doc! {"b": stored.get("b").cloned()});
        assert_eq!(update, doc! {"$set": {"b": {"c": {"d": 2}, "theirs": [1]}}});
    }

    #[test]
    fn a_room_whose_configuration_is_written_has_our_version() {
        let written = doc! {"config": {"chat": {"enabled": false}}};
        let table = [
            (doc! {}, &written, Some(ROOM_VERSION)),
            (doc! {"schemaVersion": 1}, &written, Some(ROOM_VERSION)),
            (doc! {"schemaVersion": 3}, &written, None),
            (doc! {"schemaVersion": 1}, &doc! {"status": "closed"}, None),
        ];
        for (stored, after, expected) in table {
            let mut difference = Difference::between(&stored, &doc! {}, after);
            difference.raise_version(&stored);
            let set = difference.update.get_document("$set").unwrap();
            assert_eq!(set.get_i32("schemaVersion").ok(), expected, "{stored}");
        }
    }
}
