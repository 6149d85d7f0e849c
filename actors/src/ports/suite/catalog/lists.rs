//! What every adapter's list of recordings must do.

use super::{insert, recording, remove, stored};
use crate::ids::RoomId;
use crate::ports::catalog::Catalog;
use crate::ports::catalog::list::Order::{Ascending, Descending};
use crate::ports::catalog::list::{
    Cursor, DocumentId, Listing as _, NamePart, Order, PAGE_MAX, RecordingQuery, RecordingSort, SortValue,
};
use crate::ports::suite::{fresh, fresh_room};
use crate::recording::Recording;
use crate::recording::RecordingStatus::{self, Active, Complete, Failed};

/// Later than whatever else a shared store holds, in milliseconds since 1970.
const FAR: f64 = 4e15;
/// Beyond whole numbers of 32 bits, and still exact.
const LARGE: f64 = 8e15;

/// Runs every case about lists.
pub(super) async fn lists(catalog: &dyn Catalog) {
    the_newest_come_first(catalog).await;
    each_sort_and_filter_pages_through_all(catalog).await;
    names_are_found_by_their_parts(catalog).await;
    a_list_within_a_room_never_leaves_it(catalog).await;
    other_documents_come_and_go_between_pages(catalog).await;
    a_place_outlives_its_document(catalog).await;
    places_that_no_document_has_are_places(catalog).await;
}

/// Documents of one case, in the order of their insertion.
struct Shelf<'a> {
    catalog: &'a dyn Catalog,
    /// In every room's name of this shelf, and in no other's.
    mark: String,
    rooms: [RoomId; 2],
    documents: Vec<Recording>,
}

/// Room, name, status, start date after [`FAR`], duration, size.
type Row = (usize, &'static str, RecordingStatus, f64, Option<f64>, Option<f64>);

/// With ties and gaps in every column. Missing values are lowest; equal ones follow the insertion.
const ROWS: [Row; 8] = [
    (0, "b", Complete, 0.0, Some(2.5), Some(7.0)),
    (1, "a", Complete, 2.5, None, None),
    (0, "C", Failed, 1.0, Some(0.25), Some(7.0)),
    (1, "a", Complete, 2.5, Some(2.5), Some(LARGE)),
    (0, "é", Active, -1.0, None, None),
    (0, "a", Complete, 3.0, Some(LARGE), Some(1.0)),
    (1, "B", Failed, 1.0, Some(2.5), None),
    (1, "", Complete, 2.5, Some(0.25), Some(1.5)),
];

/// The numbers of the rows above, lowest first.
const LOWEST_FIRST: [(RecordingSort, [usize; 8]); 4] = [
    (RecordingSort::StartDate, [4, 0, 2, 6, 1, 3, 7, 5]),
    (RecordingSort::RoomName, [7, 6, 2, 1, 3, 5, 0, 4]),
    (RecordingSort::Duration, [1, 4, 2, 7, 0, 3, 6, 5]),
    (RecordingSort::Size, [1, 4, 6, 5, 7, 0, 2, 3]),
];

impl<'a> Shelf<'a> {
    async fn filled(catalog: &'a dyn Catalog) -> Self {
        let rooms = [fresh_room(), fresh_room()];
        let mut shelf = Self { catalog, mark: fresh(), rooms, documents: Vec::new() };
        for (room, name, status, start_date, duration, size) in ROWS {
            let room = shelf.rooms[room].clone();
            let room_name = format!("{name} {}", shelf.mark);
            let start_date = FAR + start_date;
            let plain = recording(&room);
            shelf.add(Recording { room_name, status, start_date, duration, size, ..plain }).await;
        }
        shelf
    }

    async fn add(&mut self, recording: Recording) {
        insert(self.catalog, &stored(recording.clone(), 1)).await;
        self.documents.push(recording);
    }

    /// All of this shelf and nothing else.
    fn query(&self) -> RecordingQuery {
        RecordingQuery { room_name: Some(NamePart::new(&self.mark)), ..RecordingQuery::newest(PAGE_MAX) }
    }

    /// The numbers of what a query shows, page by page until the end.
    async fn pages(&self, query: &RecordingQuery) -> Vec<usize> {
        let mut query = query.clone();
        let mut found = Vec::new();
        loop {
            let page = self.catalog.recordings(&query).await.expect("list");
            assert!(page.items.len() <= query.page_size(), "{} of {}", page.items.len(), query.limit);
            let full = page.items.len() == query.page_size();
            assert!(page.next.is_none() || full, "only a full page is followed by another");
            found.extend(page.items.iter().map(|one| self.number(one)));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return found,
            }
        }
    }

    /// Which one it is; it must be whole.
    fn number(&self, recording: &Recording) -> usize {
        self.documents.iter().position(|known| known == recording).expect("a document of this shelf")
    }

    async fn cleared(self) {
        for document in &self.documents {
            remove(self.catalog, &document.recording_id).await;
        }
    }
}

async fn the_newest_come_first(catalog: &dyn Catalog) {
    let shelf = Shelf::filled(catalog).await;
    for limit in [0, 1, 3, 8, PAGE_MAX, usize::MAX] {
        let query = RecordingQuery::newest(limit);
        let page = catalog.recordings(&query).await.expect("list");
        assert!(page.items.len() <= query.page_size(), "{} of {limit}", page.items.len());
        assert!(page.next.is_some() || page.items.len() >= 8, "nothing follows at {limit}");
        let ours: Vec<_> = page.items.iter().filter(|one| shelf.rooms.contains(&one.room_id)).collect();
        let ours: Vec<_> = ours.into_iter().map(|one| shelf.number(one)).collect();
        let expected = [5, 7, 3, 1, 6, 2, 0, 4];
        assert_eq!(ours, expected[..query.page_size().min(8)], "limit {limit}");
    }
    shelf.cleared().await;
}

async fn each_sort_and_filter_pages_through_all(catalog: &dyn Catalog) {
    let shelf = Shelf::filled(catalog).await;
    let [first, second] = &shelf.rooms;
    let marked = shelf.query();
    let named = |name: &str| Some(NamePart::new(&format!("{name} {}", shelf.mark)));
    let of =
        |room: &RoomId| RecordingQuery { room_name: None, room_id: Some(room.clone()), ..marked.clone() };
    let filters: [(&str, RecordingQuery, &[usize]); 8] = [
        ("by name", marked.clone(), &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("by part of the name", RecordingQuery { room_name: named("A"), ..marked.clone() }, &[1, 3, 5]),
        ("by room", of(first), &[0, 2, 4, 5]),
        ("by room and status", RecordingQuery { status: Some(Failed), ..of(second) }, &[6]),
        ("by room or name", RecordingQuery { room_name: named("b"), ..of(second) }, &[0, 1, 3, 6, 7]),
        ("by name and status", RecordingQuery { status: Some(Complete), ..marked.clone() }, &[0, 1, 3, 5, 7]),
        (
            "within a room, by name and status",
            RecordingQuery { within: Some(second.clone()), status: Some(Complete), ..marked.clone() },
            &[1, 3, 7],
        ),
        ("by a room without any", of(&fresh_room()), &[]),
    ];
    for (name, filter, shown) in filters {
        for (sort, lowest_first) in LOWEST_FIRST {
            let mut expected: Vec<_> = lowest_first.into_iter().filter(|n| shown.contains(n)).collect();
            for order in [Ascending, Descending] {
                for limit in [1, 3, 8, PAGE_MAX] {
                    let query = RecordingQuery { sort, order, limit, ..filter.clone() };
                    assert_eq!(shelf.pages(&query).await, expected, "{name}: {sort:?} {order:?} by {limit}");
                }
                expected.reverse();
            }
        }
    }
    shelf.cleared().await;
}

async fn names_are_found_by_their_parts(catalog: &dyn Catalog) {
    let room = fresh_room();
    let names = ["100% [a]_", "Ünder Score", "ünder.score", "x", "'\"\\", ""];
    let rooms = [room.clone(), room.clone()];
    let mut shelf = Shelf { catalog, mark: fresh(), rooms, documents: Vec::new() };
    for name in names {
        shelf.add(Recording { room_name: name.to_owned(), ..recording(&room) }).await;
    }
    let parts: [(&str, &[usize]); 10] = [
        ("", &[0, 1, 2, 3, 4, 5]),
        ("%", &[0]),
        ("100% [A]_", &[0]),
        ("ünder", &[1, 2]),
        ("ÜNDER.", &[2]),
        ("_", &[0]),
        (".*", &[]),
        ("[a-z]", &[]),
        ("\\", &[4]),
        ("'\"", &[4]),
    ];
    for (part, expected) in parts {
        let query = RecordingQuery {
            within: Some(room.clone()),
            room_name: Some(NamePart::new(part)),
            order: Ascending,
            ..RecordingQuery::newest(2)
        };
        assert_eq!(shelf.pages(&query).await, expected, "{part:?}");
    }
    shelf.cleared().await;
}

async fn a_list_within_a_room_never_leaves_it(catalog: &dyn Catalog) {
    let shelf = Shelf::filled(catalog).await;
    let [own, other] = &shelf.rooms;
    let within = RecordingQuery { room_name: None, within: Some(own.clone()), ..shelf.query() };
    let by_other = RecordingQuery { room_id: Some(other.clone()), ..within.clone() };
    let by_name = RecordingQuery { room_name: Some(NamePart::new(&shelf.mark)), ..by_other.clone() };
    let anything = RecordingQuery { room_name: Some(NamePart::new("")), ..by_other.clone() };
    for (name, query, expected) in [
        ("no filter", within, vec![5, 2, 0, 4]),
        ("another room", by_other, vec![]),
        ("another room or a name", by_name, vec![5, 2, 0, 4]),
        ("another room or any name", anything, vec![5, 2, 0, 4]),
    ] {
        assert_eq!(shelf.pages(&query).await, expected, "{name}");
    }
    shelf.cleared().await;
}

async fn other_documents_come_and_go_between_pages(catalog: &dyn Catalog) {
    for (sort, lowest_first) in LOWEST_FIRST {
        for order in [Ascending, Descending] {
            let mut shelf = Shelf::filled(catalog).await;
            let query = RecordingQuery { sort, order, limit: 2, ..shelf.query() };
            let mut seen = Vec::new();
            let mut after = None;
            let mut removed = Vec::new();
            loop {
                let page =
                    catalog.recordings(&RecordingQuery { after, ..query.clone() }).await.expect("list");
                seen.extend(page.items.iter().map(|one| shelf.number(one)));
                let Some(next) = page.next else { break };
                after = Some(next);
                // One that was shown goes, and its like comes.
                let shown = &page.items[0];
                remove(catalog, &shown.recording_id).await;
                let twin = recording(&shown.room_id).recording_id;
                shelf.add(Recording { recording_id: twin, ..shown.clone() }).await;
                removed.push(shelf.number(shown));
            }
            let mut before: Vec<_> = seen.iter().copied().filter(|n| *n < ROWS.len()).collect();
            if order == Descending {
                before.reverse();
            }
            assert_eq!(before, lowest_first, "{sort:?} {order:?}: none is lost or shown twice");
            assert!(!removed.is_empty(), "there was more than one page");
            for number in 0..shelf.documents.len() {
                if !removed.contains(&number) {
                    remove(catalog, &shelf.documents[number].recording_id).await;
                }
            }
        }
    }
}

async fn a_place_outlives_its_document(catalog: &dyn Catalog) {
    for (sort, lowest_first) in LOWEST_FIRST {
        for behind in 0..ROWS.len() - 1 {
            let mut shelf = Shelf::filled(catalog).await;
            let query = RecordingQuery { sort, order: Ascending, limit: behind + 1, ..shelf.query() };
            let page = catalog.recordings(&query).await.expect("list");
            let last = &page.items[behind];
            remove(catalog, &last.recording_id).await;
            let rest = RecordingQuery { after: page.next.clone(), limit: PAGE_MAX, ..query };
            assert_eq!(shelf.pages(&rest).await, lowest_first[behind + 1..], "{sort:?} behind {behind}");
            shelf.documents.retain(|kept| kept != last);
            shelf.cleared().await;
        }
    }
}

/// A client may make a place up: it is no error, and never more than a place.
async fn places_that_no_document_has_are_places(catalog: &dyn Catalog) {
    use RecordingSort::{Duration, RoomName, Size, StartDate};
    let shelf = Shelf::filled(catalog).await;
    let number = SortValue::Number;
    let highest = || DocumentId::parse("ffffffffffffffffffffffff").expect("an id");
    let lowest = || DocumentId::of_insertion(0);
    let cases: [(RecordingSort, Order, SortValue, DocumentId, &[usize]); 10] = [
        (StartDate, Ascending, number(FAR + 1.0), highest(), &[1, 3, 7, 5]),
        (StartDate, Ascending, number(FAR + 1.0), lowest(), &[2, 6, 1, 3, 7, 5]),
        (StartDate, Descending, number(FAR + 1.0), lowest(), &[0, 4]),
        (StartDate, Ascending, SortValue::Missing, lowest(), &[4, 0, 2, 6, 1, 3, 7, 5]),
        (StartDate, Descending, SortValue::Missing, highest(), &[]),
        (Duration, Descending, number(1.0), highest(), &[7, 2, 4, 1]),
        (Duration, Ascending, SortValue::Missing, highest(), &[2, 7, 0, 3, 6, 5]),
        (Size, Descending, SortValue::Missing, highest(), &[6, 4, 1]),
        (Size, Ascending, number(f64::MAX), lowest(), &[]),
        (RoomName, Ascending, SortValue::Text("c".to_owned()), lowest(), &[4]),
    ];
    for (sort, order, value, id, expected) in cases {
        let what = format!("{sort:?} {order:?} behind {value:?}, {id}");
        let after = Some(Cursor { value, id });
        let query = RecordingQuery { sort, order, after, limit: 3, ..shelf.query() };
        assert_eq!(shelf.pages(&query).await, expected, "{what}");
    }
    shelf.cleared().await;
}
