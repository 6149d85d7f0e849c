//! Lists: which recordings or rooms, in which order, from where on (contract `recordings.md` 2, `rooms.md` 4,
//! `storage.md` 1.4).
//!
//! Owns the rules that the lists of every adapter follow: what a filter lets through, what comes before what,
//! where a page begins. Looks nothing up.

use std::cmp::Ordering;
use std::fmt;

use crate::ids::{InvalidId, RoomId};
use crate::meeting::{Room, RoomStatus};
use crate::recording::{Recording, RecordingStatus};

/// Largest page that a list may ask for.
pub const PAGE_MAX: usize = 100;
/// Digits of a document's id.
const ID_DIGITS: usize = 24;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The documents, in the order asked for.
    pub items: Vec<T>,
    /// Its last document, if more follow.
    pub next: Option<Cursor>,
}

/// A place in a list: right behind the document with this value and id, whether or not it is still there.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// What the list is sorted by.
    pub value: SortValue,
    /// Decides between equal values.
    pub id: DocumentId,
}

/// What a document is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub enum SortValue {
    /// The document does not have it. Lower than everything.
    Missing,
    /// A number.
    Number(f64),
    /// A text, compared by its bytes.
    Text(String),
}

/// The store's own id of a document: 24 hex digits, as MongoDB has them, or the number of its insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(u128);

/// Which way a list goes. Equal values follow the order of their ids, the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Lowest first.
    Ascending,
    /// Highest first.
    Descending,
}

/// What recordings are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordingSort {
    /// When it began.
    StartDate,
    /// The display name of its room.
    RoomName,
    /// How long it plays.
    Duration,
    /// How large its file is.
    Size,
}

/// A part of a name, found letter case aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePart(String);

/// Which recordings a page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingQuery {
    /// Only of this room, whatever the filters say: what a caller may see. None: of all rooms.
    pub within: Option<RoomId>,
    /// Filter: of this room. With `room_name` too, one of the two is enough.
    pub room_id: Option<RoomId>,
    /// Filter: of rooms with this in their name.
    pub room_name: Option<NamePart>,
    /// Filter: with this status.
    pub status: Option<RecordingStatus>,
    /// What they are sorted by.
    pub sort: RecordingSort,
    /// Which way.
    pub order: Order,
    /// At most so many; from 1 to [`PAGE_MAX`], anything else is brought there.
    pub limit: usize,
    /// Only what follows this place. None: from the beginning.
    pub after: Option<Cursor>,
}

/// What rooms are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomSort {
    /// When it was made.
    CreationDate,
    /// Its display name.
    RoomName,
    /// When it is to be deleted.
    AutoDeletionDate,
}

/// Which rooms a page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomQuery {
    /// Filter: with this in their name.
    pub room_name: Option<NamePart>,
    /// Filter: with this status.
    pub status: Option<RoomStatus>,
    /// What they are sorted by.
    pub sort: RoomSort,
    /// Which way.
    pub order: Order,
    /// At most so many; from 1 to [`PAGE_MAX`], anything else is brought there.
    pub limit: usize,
    /// Only what follows this place. None: from the beginning.
    pub after: Option<Cursor>,
}

/// How a list is walked, whatever it lists.
#[derive(Debug, Clone, Copy)]
pub struct Walk<'a> {
    /// The field that it is sorted by, as documents name it.
    pub field: &'static str,
    /// Which way.
    pub order: Order,
    /// At most so many; from 1 to [`PAGE_MAX`], anything else is brought there.
    pub limit: usize,
    /// Only what follows this place.
    pub after: Option<&'a Cursor>,
}

impl Walk<'_> {
    /// Whether what it is sorted by are texts; else they are numbers.
    #[must_use]
    pub fn is_by_text(&self) -> bool {
        self.field == RoomSort::RoomName.name()
    }
}

/// A list of documents: what it shows, and in which order.
pub trait Listing {
    /// What it lists.
    type Item: Clone;

    /// How it is walked.
    fn walk(&self) -> Walk<'_>;

    /// Whether the filters let this document through.
    fn shows(&self, item: &Self::Item) -> bool;

    /// What this document is sorted by.
    fn value(&self, item: &Self::Item) -> SortValue;

    /// How many documents a page has at most.
    fn page_size(&self) -> usize {
        self.walk().limit.clamp(1, PAGE_MAX)
    }

    /// The place of a document.
    fn place(&self, id: DocumentId, item: &Self::Item) -> Cursor {
        Cursor { value: self.value(item), id }
    }

    /// Which of two places comes first.
    fn compare(&self, one: &Cursor, other: &Cursor) -> Ordering {
        let ascending = one.value.compare(&other.value).then(one.id.cmp(&other.id));
        match self.walk().order {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        }
    }

    /// The page, for whoever has all documents at hand, in any order.
    fn page<'a>(&self, documents: impl Iterator<Item = (DocumentId, &'a Self::Item)>) -> Page<Self::Item>
    where
        Self::Item: 'a,
    {
        let shown = documents.filter(|(_, item)| self.shows(item));
        let placed = shown.map(|(id, item)| (self.place(id, item), item));
        let follows =
            |place: &Cursor| self.walk().after.is_none_or(|after| self.compare(after, place).is_lt());
        let mut found: Vec<_> = placed.filter(|(place, _)| follows(place)).collect();
        found.sort_by(|(one, _), (other, _)| self.compare(one, other));
        let size = self.page_size();
        let next = (found.len() > size).then(|| found[size - 1].0.clone());
        Page { items: found.into_iter().take(size).map(|(_, item)| item.clone()).collect(), next }
    }
}

impl RecordingQuery {
    /// The newest recordings of all rooms.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        Self {
            within: None,
            room_id: None,
            room_name: None,
            status: None,
            sort: RecordingSort::StartDate,
            order: Order::Descending,
            limit,
            after: None,
        }
    }

    /// Whether the filters by room let a room through.
    #[must_use]
    pub fn shows_room(&self, room_id: &str, room_name: &str) -> bool {
        let by_id = self.room_id.as_ref().map(|wanted| wanted.as_str() == room_id);
        let by_name = self.room_name.as_ref().map(|part| part.is_in(room_name));
        match (by_id, by_name) {
            (None, None) => true,
            (by_id, by_name) => by_id == Some(true) || by_name == Some(true),
        }
    }
}

impl Listing for RecordingQuery {
    type Item = Recording;

    fn walk(&self) -> Walk<'_> {
        let Self { sort, order, limit, after, .. } = self;
        Walk { field: sort.name(), order: *order, limit: *limit, after: after.as_ref() }
    }

    fn shows(&self, recording: &Recording) -> bool {
        let status = self.status.is_none_or(|status| status == recording.status);
        let within = self.within.as_ref().is_none_or(|room| *room == recording.room_id);
        status && within && self.shows_room(recording.room_id.as_str(), &recording.room_name)
    }

    fn value(&self, recording: &Recording) -> SortValue {
        let number = |value: Option<f64>| value.map_or(SortValue::Missing, SortValue::Number);
        match self.sort {
            RecordingSort::StartDate => SortValue::Number(recording.start_date),
            RecordingSort::RoomName => SortValue::Text(recording.room_name.clone()),
            RecordingSort::Duration => number(recording.duration),
            RecordingSort::Size => number(recording.size),
        }
    }
}

impl RoomQuery {
    /// The newest rooms.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        let (sort, order) = (RoomSort::CreationDate, Order::Descending);
        Self { room_name: None, status: None, sort, order, limit, after: None }
    }
}

impl Listing for RoomQuery {
    type Item = Room;

    fn walk(&self) -> Walk<'_> {
        let Self { sort, order, limit, after, .. } = self;
        Walk { field: sort.name(), order: *order, limit: *limit, after: after.as_ref() }
    }

    fn shows(&self, room: &Room) -> bool {
        let status = self.status.is_none_or(|status| status == room.status);
        status && self.room_name.as_ref().is_none_or(|part| part.is_in(&room.room_name))
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 stay below 2^53 for 285 000 years"
    )]
    fn value(&self, room: &Room) -> SortValue {
        match self.sort {
            RoomSort::CreationDate => SortValue::Number(room.creation_date as f64),
            RoomSort::RoomName => SortValue::Text(room.room_name.clone()),
            RoomSort::AutoDeletionDate => {
                room.auto_deletion_date.map_or(SortValue::Missing, SortValue::Number)
            }
        }
    }
}

impl RoomSort {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::CreationDate, Self::RoomName, Self::AutoDeletionDate];

    /// The field's name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreationDate => "creationDate",
            Self::RoomName => "roomName",
            Self::AutoDeletionDate => "autoDeletionDate",
        }
    }

    /// Whether a document can have this value.
    #[must_use]
    pub fn sorts_by(self, value: &SortValue) -> bool {
        match value {
            SortValue::Missing => true,
            SortValue::Number(_) => self != Self::RoomName,
            SortValue::Text(_) => self == Self::RoomName,
        }
    }
}

impl RecordingSort {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::StartDate, Self::RoomName, Self::Duration, Self::Size];

    /// The field's name as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StartDate => "startDate",
            Self::RoomName => "roomName",
            Self::Duration => "duration",
            Self::Size => "size",
        }
    }

    /// Whether a document can have this value.
    #[must_use]
    pub fn sorts_by(self, value: &SortValue) -> bool {
        match value {
            SortValue::Missing => true,
            SortValue::Number(_) => self != Self::RoomName,
            SortValue::Text(_) => self == Self::RoomName,
        }
    }
}

impl SortValue {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

impl DocumentId {
    /// The id of the document that was inserted as this one.
    #[must_use]
    pub fn of_insertion(number: u64) -> Self {
        Self(number.into())
    }

    /// The number of its insertion; the largest one for an id that is larger.
    #[must_use]
    pub fn insertion(self) -> u64 {
        u64::try_from(self.0).unwrap_or(u64::MAX)
    }

    /// Reads 24 hex digits.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let is_id = text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or(InvalidId::new("a document's id has 24 hex digits"))
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0ID_DIGITS$x}", self.0)
    }
}

impl NamePart {
    /// Takes the text literally: nothing in it is a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(folded(text))
    }

    /// The text, letter case folded, for stores that look for it by themselves.
    #[must_use]
    pub fn folded(&self) -> &str {
        &self.0
    }

    /// Whether a name holds it.
    #[must_use]
    pub fn is_in(&self, name: &str) -> bool {
        folded(name).contains(&self.0)
    }
}

/// Letter by letter, so that a letter's place in a word changes nothing; by way of its capital, so that those
/// with several small forms have one.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_part_letter_case_aside() {
        let cases = [
            ("Town Hall", "town", true),
            ("Town Hall", "N H", true),
            ("Town Hall", "", true),
            ("Town Hall", "Town.*", false),
            ("100%_[a]", "%_[A]", true),
            ("100", "%", false),
            ("ÜBUNG", "übung", true),
            ("ΟΔΟΣ", "Σ", true),
            ("οδος", "ΟΔΟΣ", true),
            ("Straße", "STRASSE", true),
            ("", "a", false),
        ];
        for (name, part, found) in cases {
            assert_eq!(NamePart::new(part).is_in(name), found, "{part:?} in {name:?}");
        }
    }

    #[test]
    fn an_id_has_24_hex_digits() {
        for number in [0, 1, u64::MAX] {
            let id = DocumentId::of_insertion(number);
            assert_eq!(id.to_string().len(), 24);
            assert_eq!(DocumentId::parse(&id.to_string()).unwrap(), id);
            assert_eq!(id.insertion(), number);
        }
        let large = DocumentId::parse("65F0c0ffee0000000000ffff").unwrap();
        assert_eq!((large.to_string().as_str(), large.insertion()), ("65f0c0ffee0000000000ffff", u64::MAX));
        for text in
            ["", "1", "+00000000000000000000001", "65f0c0ffee0000000000fffg", "é0c0ffee0000000000fffff"]
        {
            assert!(DocumentId::parse(text).is_err(), "{text}");
        }
    }
}
