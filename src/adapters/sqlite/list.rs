//! Lists of recordings in SQLite, walked along an index.
//!
//! Owns how a query becomes statements. SQL compares nothing with a missing value, though the index holds them
//! at its low end; so a list is walked in stretches, one after the other, until the page is full.

use std::time::{Duration, Instant};

use reelkeeper_actors::ids::RoomId;
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::catalog::list::{
    Cursor, DocumentId, Order, Page, RecordingQuery, RecordingSort, SortValue,
};
use reelkeeper_actors::recording::Recording;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::catalog::read;
use super::connection::{failed, unavailable};
use crate::adapters::unreadable::Unreadable;

/// What is listed, in errors.
const SUBJECT: &str = "recordings";

/// A condition, and the values for its question marks.
type Condition = (String, Vec<Value>);

/// Reads one page. Documents that cannot be read are stepped over.
pub(super) fn page(
    connection: &Connection,
    query: &RecordingQuery,
    unreadable: &Unreadable,
    limit: Duration,
) -> Result<Page<Recording>, PortError> {
    let began = Instant::now();
    let mut page = Page { items: Vec::new(), next: None };
    let mut last = None;
    for stretch in stretches(query) {
        let (sql, values) = statement(query, stretch);
        let mut statement = connection.prepare_cached(&sql).map_err(|error| failed(&SUBJECT, &error))?;
        let mut rows = statement.query(params_from_iter(values)).map_err(|error| failed(&SUBJECT, &error))?;
        while let Some(row) = rows.next().map_err(|error| failed(&SUBJECT, &error))? {
            // A name that is nowhere is looked for everywhere; whoever asked does not wait any longer.
            if began.elapsed() > limit {
                return Err(unavailable(&SUBJECT, format_args!("not listed within {limit:?}")));
            }
            let Some(found) = found(row, query, unreadable).map_err(|error| failed(&SUBJECT, &error))? else {
                continue;
            };
            if page.items.len() == query.page_size() {
                page.next = last;
                return Ok(page);
            }
            last = Some(query.sort.place(found.0, &found.1));
            page.items.push(found.1);
        }
    }
    Ok(page)
}

/// The row's document, if the list shows it and it can be read.
fn found(
    row: &Row<'_>,
    query: &RecordingQuery,
    unreadable: &Unreadable,
) -> rusqlite::Result<Option<(DocumentId, Recording)>> {
    if query.room_name.is_some() {
        let (room_id, room_name) = (row.get_ref("room_id")?, row.get_ref("room_name")?);
        let shown = query.shows_room(
            room_id.as_str_or_null()?.unwrap_or_default(),
            room_name.as_str_or_null()?.unwrap_or_default(),
        );
        if !shown {
            return Ok(None);
        }
    }
    let id: String = row.get("recording_id")?;
    match read(&id, row.get_ref("document")?.as_str()?) {
        Ok(recording) => {
            let number: i64 = row.get("inserted")?;
            Ok(Some((DocumentId::of_insertion(number.cast_unsigned()), recording)))
        }
        Err(error) => {
            unreadable.left_out(&id, &error);
            Ok(None)
        }
    }
}

/// What follows the cursor, in the order of the list.
fn stretches(query: &RecordingQuery) -> Vec<Option<Condition>> {
    let column = column(query.sort);
    let missing = || Some((format!("{column} IS NULL"), Vec::new()));
    let beyond = match query.order {
        Order::Ascending => ">",
        Order::Descending => "<",
    };
    let Some(Cursor { value, id }) = &query.after else { return vec![None] };
    // The largest number of an insertion is below the largest that SQLite holds.
    let id = Value::from(i64::try_from(id.insertion()).unwrap_or(i64::MAX));
    let value = match value {
        SortValue::Missing => None,
        SortValue::Number(number) => Some(Value::from(*number)),
        SortValue::Text(text) => Some(Value::from(text.clone())),
    };
    match (value, query.order) {
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
pub(super) fn statement(query: &RecordingQuery, stretch: Option<Condition>) -> (String, Vec<Value>) {
    let mut conditions: Vec<Condition> = Vec::new();
    for room in rooms(query) {
        conditions.push(("room_id = ?".to_owned(), vec![Value::from(room.to_string())]));
    }
    if let Some(status) = query.status {
        conditions.push(("status = ?".to_owned(), vec![Value::from(status.name().to_owned())]));
    }
    conditions.extend(stretch);
    let (texts, values): (Vec<String>, Vec<Vec<Value>>) = conditions.into_iter().unzip();
    let filter = if texts.is_empty() { String::new() } else { format!("WHERE {}", texts.join(" AND ")) };
    let (index, column) = (index(query), column(query.sort));
    let way = match query.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let sql = format!(
        "SELECT inserted, recording_id, room_id, room_name, document FROM recordings
        INDEXED BY {index} {filter} ORDER BY {column} {way}, inserted {way}"
    );
    (sql, values.concat())
}

/// The rooms that a recording must be of. A filter by id does not say so if a name would do instead.
fn rooms(query: &RecordingQuery) -> impl Iterator<Item = &RoomId> {
    let by_id = query.room_id.as_ref().filter(|_| query.room_name.is_none());
    query.within.iter().chain(by_id)
}

/// The index that is walked. A room's leads to the fewest documents, whatever else is asked. We choose, since
/// SQLite's own guess knows nothing of how many there are of each status.
fn index(query: &RecordingQuery) -> &'static str {
    match (rooms(query).next(), query.status, query.sort) {
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

/// Where the table holds what recordings are sorted by.
fn column(sort: RecordingSort) -> &'static str {
    match sort {
        RecordingSort::StartDate => "start_date",
        RecordingSort::RoomName => "room_name",
        RecordingSort::Duration => "duration",
        RecordingSort::Size => "size",
    }
}

#[cfg(test)]
mod tests {
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
    fn every_list_walks_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::bring_up_to_date(&mut connection).unwrap();
        for query in every_query() {
            for stretch in stretches(&query) {
                let (sql, values) = statement(&query, stretch);
                let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                let plan = explained.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
                let plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
                // Named alone, or with what of it bounds the walk.
                let walks = format!("{} ", plan[0]).contains(&format!(" INDEX {} ", index(&query)));
                assert!(walks, "{plan:?} of {sql}");
                // Only a room's few are ever sorted.
                let sorted = rooms(&query).next().is_some() && query.sort != RecordingSort::StartDate;
                let bounded = query.after.is_none() || plan[0].starts_with("SEARCH ");
                assert!(bounded && (plan.len() == 1 || sorted), "{plan:?} of {sql}");
            }
        }
    }
}
