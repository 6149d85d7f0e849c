//! Lists of recordings and rooms in SQLite, walked along an index.
//!
//! Owns how a query becomes statements. SQL compares nothing with a missing value, though the index holds them
//! at its low end; so a list is walked in stretches, one after the other, until the page is full.

use std::time::{Duration, Instant};

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::meeting::Room;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{
    Cursor, DocumentId, Listing, Order, Page, RecordingQuery, RecordingSort, RoomQuery, RoomSort, SortValue,
    Walk,
};
use reelkeeper_actors::recording::Recording;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use serde::de::DeserializeOwned;

use super::catalog::read;
use super::connection::{failed, unavailable};
use crate::adapters::unreadable::Unreadable;

/// A condition, and the values for its question marks.
type Condition = (String, Vec<Value>);

/// A list of what lies in a table.
pub(super) trait Table: Listing<Item: DeserializeOwned> {
    /// The table, in errors too.
    const NAME: &'static str;
    /// The column with the documents' own ids.
    const ID: &'static str;

    /// The index that is walked. We choose, since SQLite's own guess knows nothing of how many there are of each
    /// status.
    fn index(&self) -> &'static str;

    /// The column that the list is sorted by.
    fn column(&self) -> &'static str;

    /// What the filters ask of columns.
    fn conditions(&self) -> Vec<Condition>;

    /// Whether a row may be shown, before its document is read.
    fn may_show(&self, row: &Row<'_>) -> rusqlite::Result<bool>;
}

impl Table for RecordingQuery {
    const NAME: &'static str = "recordings";
    const ID: &'static str = "recording_id";

    /// A room's leads to the fewest documents, whatever else is asked.
    fn index(&self) -> &'static str {
        match (rooms(self).next(), self.status, self.sort) {
            (Some(_), ..) => "recordings_by_room",
            (None, None, RecordingSort::StartDate) => "recordings_newest",
            (None, None, RecordingSort::RoomName) => "recordings_by_room_name",
            (None, None, RecordingSort::Duration) => "recordings_by_duration",
            (None, None, RecordingSort::Size) => "recordings_by_size",
            (None, Some(_), RecordingSort::StartDate) => "recordings_by_status",
            (None, Some(_), RecordingSort::RoomName) => "recordings_by_status_and_room_name",
            (None, Some(_), RecordingSort::Duration) => "recordings_by_status_and_duration",
            (None, Some(_), RecordingSort::Size) => "recordings_by_status_and_size",
        }
    }

    fn column(&self) -> &'static str {
        match self.sort {
            RecordingSort::StartDate => "start_date",
            RecordingSort::RoomName => "room_name",
            RecordingSort::Duration => "duration",
            RecordingSort::Size => "size",
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let of_rooms =
            rooms(self).map(|room| ("room_id = ?".to_owned(), vec![Value::from(room.to_string())]));
        of_rooms.chain(self.status.map(|status| with_status(status.name()))).collect()
    }

    fn may_show(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        if self.room_name.is_none() {
            return Ok(true);
        }
        let (room_id, room_name) = (row.get_ref("room_id")?, row.get_ref("room_name")?);
        Ok(self.shows_room(
            room_id.as_str_or_null()?.unwrap_or_default(),
            room_name.as_str_or_null()?.unwrap_or_default(),
        ))
    }
}

impl Table for RoomQuery {
    const NAME: &'static str = "meet_rooms";
    const ID: &'static str = "room_id";

    fn index(&self) -> &'static str {
        match (self.status, self.sort) {
            (None, RoomSort::CreationDate) => "rooms_newest",
            (None, RoomSort::RoomName) => "rooms_by_name",
            (None, RoomSort::AutoDeletionDate) => "rooms_by_auto_deletion",
            (Some(_), RoomSort::CreationDate) => "rooms_by_status",
            (Some(_), RoomSort::RoomName) => "rooms_by_status_and_name",
            (Some(_), RoomSort::AutoDeletionDate) => "rooms_by_status_and_auto_deletion",
        }
    }

    fn column(&self) -> &'static str {
        match self.sort {
            RoomSort::CreationDate => "creation_date",
            RoomSort::RoomName => "room_name",
            RoomSort::AutoDeletionDate => "auto_deletion_date",
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        self.status.map(|status| with_status(status.name())).into_iter().collect()
    }

    fn may_show(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let Some(part) = &self.room_name else { return Ok(true) };
        Ok(part.is_in(row.get_ref("room_name")?.as_str_or_null()?.unwrap_or_default()))
    }
}

fn with_status(name: &str) -> Condition {
    ("status = ?".to_owned(), vec![Value::from(name.to_owned())])
}

/// Reads one page of recordings.
pub(super) fn recordings(
    connection: &Connection,
    query: &RecordingQuery,
    unreadable: &Unreadable,
    limit: Duration,
) -> Result<Page<Recording>, PortError> {
    page(connection, query, unreadable, limit)
}

/// Reads one page of rooms.
pub(super) fn rooms_page(
    connection: &Connection,
    query: &RoomQuery,
    unreadable: &Unreadable,
    limit: Duration,
) -> Result<Page<Room>, PortError> {
    page(connection, query, unreadable, limit)
}

/// Reads one page. Documents that cannot be read are stepped over.
fn page<L: Table>(
    connection: &Connection,
    list: &L,
    unreadable: &Unreadable,
    limit: Duration,
) -> Result<Page<L::Item>, PortError> {
    let (began, failed) = (Instant::now(), |error| failed(&L::NAME, &error));
    let mut page = Page { items: Vec::new(), next: None };
    let mut behind = None;
    for stretch in stretches(list.column(), &list.walk()) {
        let (sql, values) = statement(list, stretch);
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            // A name that is nowhere is looked for everywhere; whoever asked does not wait any longer.
            if began.elapsed() > limit {
                return Err(unavailable(&L::NAME, format_args!("not listed within {limit:?}")));
            }
            let Some((id, item)) = found(row, list, unreadable).map_err(failed)? else { continue };
            if page.items.len() == list.page_size() {
                page.next = behind;
                return Ok(page);
            }
            behind = Some(list.place(id, &item));
            page.items.push(item);
        }
    }
    Ok(page)
}

/// The row's document, if the list shows it and it can be read.
fn found<L: Table>(
    row: &Row<'_>,
    list: &L,
    unreadable: &Unreadable,
) -> rusqlite::Result<Option<(DocumentId, L::Item)>> {
    if !list.may_show(row)? {
        return Ok(None);
    }
    let id: String = row.get(L::ID)?;
    match read(&id, row.get_ref("document")?.as_str()?) {
        Ok(item) => {
            let number: i64 = row.get("inserted")?;
            Ok(Some((DocumentId::of_insertion(number.cast_unsigned()), item)))
        }
        Err(error) => {
            unreadable.left_out(&id, &error);
            Ok(None)
        }
    }
}

/// What follows the cursor, in the order of the list.
fn stretches(column: &str, walk: &Walk<'_>) -> Vec<Option<Condition>> {
    let missing = || Some((format!("{column} IS NULL"), Vec::new()));
    let beyond = match walk.order {
        Order::Ascending => ">",
        Order::Descending => "<",
    };
    let Some(Cursor { value, id }) = walk.after else { return vec![None] };
    // The largest number of an insertion is below the largest that SQLite holds.
    let id = Value::from(i64::try_from(id.insertion()).unwrap_or(i64::MAX));
    let value = match value {
        SortValue::Missing => None,
        SortValue::Number(number) => Some(Value::from(*number)),
        SortValue::Text(text) => Some(Value::from(text.clone())),
    };
    match (value, walk.order) {
        (Some(value), order) => {
            let behind = Some((format!("({column}, inserted) {beyond} (?, ?)"), vec![value, id]));
            if order == Order::Ascending { vec![behind] } else { vec![behind, missing()] }
        }
        (None, order) => {
            let behind = Some((format!("{column} IS NULL AND inserted {beyond} ?"), vec![id]));
            let rest = Some((format!("{column} IS NOT NULL"), Vec::new()));
            if order == Order::Ascending { vec![behind, rest] } else { vec![behind] }
        }
    }
}

/// The statement that walks one stretch.
pub(super) fn statement<L: Table>(list: &L, stretch: Option<Condition>) -> (String, Vec<Value>) {
    let conditions = list.conditions().into_iter().chain(stretch);
    let (texts, values): (Vec<String>, Vec<Vec<Value>>) = conditions.unzip();
    let filter = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
    let (table, index, column) = (L::NAME, list.index(), list.column());
    let way = match list.walk().order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let sql =
        format!("SELECT * FROM {table} INDEXED BY {index} {filter} ORDER BY {column} {way}, inserted {way}");
    (sql, values.concat())
}

/// The rooms that a recording must be of. A filter by id does not say so if a name would do instead.
fn rooms(query: &RecordingQuery) -> impl Iterator<Item = &RoomId> {
    let by_id = query.room_id.as_ref().filter(|_| query.room_name.is_none());
    query.within.iter().chain(by_id)
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::meeting::RoomStatus;
    use reelkeeper_actors::ports::catalog::list::NamePart;
    use reelkeeper_actors::recording::RecordingStatus;

    use super::super::schema;
    use super::*;

    /// Every form that a query can take.
    fn every_query() -> Vec<RecordingQuery> {
        let room = Some(RoomId::from_trusted("room"));
        let filters = [
            RecordingQuery::newest(10),
            RecordingQuery { room_name: Some(NamePart::new("a")), ..RecordingQuery::newest(10) },
            RecordingQuery { room_id: room.clone(), ..RecordingQuery::newest(10) },
            RecordingQuery { within: room.clone(), room_id: room, ..RecordingQuery::newest(10) },
        ];
        let statuses = [None, Some(RecordingStatus::Complete)];
        let orders = [Order::Ascending, Order::Descending];
        let mut queries = Vec::new();
        for filter in filters {
            for status in statuses {
                for sort in RecordingSort::ALL {
                    for order in orders {
                        let value = match sort {
                            RecordingSort::RoomName => SortValue::Text("a".to_owned()),
                            _ => SortValue::Number(1.5),
                        };
                        for value in [None, Some(SortValue::Missing), Some(value)] {
                            let id = DocumentId::of_insertion(7);
                            let after = value.map(|value| Cursor { value, id });
                            queries.push(RecordingQuery { status, sort, order, after, ..filter.clone() });
                        }
                    }
                }
            }
        }
        queries
    }

    #[test]
    fn every_list_of_rooms_walks_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        for sort in RoomSort::ALL {
            for status in [None, Some(RoomStatus::Open)] {
                let value = match sort {
                    RoomSort::RoomName => SortValue::Text("a".to_owned()),
                    _ => SortValue::Number(1.5),
                };
                for value in [None, Some(SortValue::Missing), Some(value)] {
                    let after = value.map(|value| Cursor { value, id: DocumentId::of_insertion(7) });
                    let query = RoomQuery { sort, status, after, ..RoomQuery::newest(10) };
                    for stretch in stretches(query.column(), &query.walk()) {
                        let (sql, values) = statement(&query, stretch);
                        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                        let plan = explained.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
                        let plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
                        let walks = format!("{} ", plan[0]).contains(&format!(" INDEX {} ", query.index()));
                        assert!(walks && plan.len() == 1, "{plan:?} of {sql}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_list_walks_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        for query in every_query() {
            for stretch in stretches(query.column(), &query.walk()) {
                let (sql, values) = statement(&query, stretch);
                let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let plan = explained.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
                let plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
                // Named alone, or with what of it bounds the walk.
                let walks = format!("{} ", plan[0]).contains(&format!(" INDEX {} ", query.index()));
                assert!(walks, "{plan:?} of {sql}");
                // Only a room's few are ever sorted.
                let sorted = rooms(&query).next().is_some() && query.sort != RecordingSort::StartDate;
                let bounded = query.after.is_none() || plan[0].starts_with("SEARCH ");
                assert!(bounded && (plan.len() == 1 || sorted), "{plan:?} of {sql}");
            }
        }
    }
}
