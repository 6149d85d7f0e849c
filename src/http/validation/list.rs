//! What requests for lists of recordings and rooms, and about several of them at once, may hold (contract
//! `recordings.md` 2, `rooms.md` 4).

use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::meeting::RoomStatus;
use reelkeeper_actors::ports::catalog::list::{
    Cursor, NamePart, Order, PAGE_MAX, RecordingQuery, RecordingSort, RoomQuery, RoomSort, SortValue,
};
use reelkeeper_actors::ports::outbox::LetterState;
use reelkeeper_actors::recording::RecordingStatus;

use super::Faults;
use crate::http::error::Failure;
use crate::http::page_token;
use crate::http::projection::Projection;
use crate::http::request::QueryText;

/// Recordings on a page unless the client says otherwise.
const PAGE_DEFAULT: usize = 10;
/// Recordings that one request may name: as many as a page shows.
const IDS_MAX: usize = PAGE_MAX;
/// The field with several ids.
const IDS: &str = "recordingIds";

/// What every list reads.
const PAGING: [&str; 5] = ["fields", "maxItems", "nextPageToken", "sortField", "sortOrder"];
const ORDERS: [(&str, Order); 2] = [("asc", Order::Ascending), ("desc", Order::Descending)];

/// Reads the query of a list, and which parts of each recording are wanted. `within` bounds what the caller
/// may see.
///
/// # Errors
/// 422 with every broken rule.
pub fn recordings(
    query: &QueryText,
    within: Option<&RoomId>,
) -> Result<(RecordingQuery, Projection), Failure> {
    let mut faults = Faults::default();
    let scalars = ["roomId", "roomName", "status"];
    once(query, &[scalars.as_slice(), &PAGING].concat(), &mut faults);
    let read = recording_query(query, within, &mut faults);
    let fields = faults.take(Projection::parse(query.get("fields").as_deref()));
    faults.finish(fields.map(|fields| (read, fields)))
}

/// What is wrong reads as left out: with a fault there is no list anyway.
fn recording_query(query: &QueryText, within: Option<&RoomId>, faults: &mut Faults) -> RecordingQuery {
    // Empty means the same as left out, as in the original.
    let given = |name| query.get(name).filter(|text| !text.is_empty());
    let statuses = RecordingStatus::ALL.map(|status| (status.name(), status));
    let sorts = RecordingSort::ALL.map(|sort| (sort.name(), sort));
    let room_id = query.get("roomId").and_then(|text| room_id(&text, faults));
    let status = one_of(query, "status", &statuses, faults);
    let limit = max_items(query.get("maxItems").as_deref(), faults).unwrap_or(PAGE_DEFAULT);
    let sort = one_of(query, "sortField", &sorts, faults).unwrap_or(RecordingSort::StartDate);
    let order = one_of(query, "sortOrder", &ORDERS, faults).unwrap_or(Order::Descending);
    let after = given("nextPageToken").and_then(|text| place(&text, |value| sort.sorts_by(value), faults));
    let room_name = given("roomName").map(|text| NamePart::new(&text));
    RecordingQuery { within: within.cloned(), room_id, room_name, status, sort, order, limit, after }
}

/// Which outgoing webhooks are to be shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// In this state.
    pub state: LetterState,
    /// Behind this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Reads the query of a list of outgoing webhooks: those that were given up unless it says otherwise.
///
/// # Errors
/// 422 with every broken rule.
pub fn deliveries(query: &QueryText) -> Result<Deliveries, Failure> {
    let mut faults = Faults::default();
    let states = LetterState::ALL.map(|state| (state.name(), state));
    let state = one_of(query, "state", &states, &mut faults).unwrap_or(LetterState::Dead);
    let limit = max_items(query.get("maxItems").as_deref(), &mut faults).unwrap_or(PAGE_DEFAULT);
    faults.finish(Some(Deliveries { state, after: query.get("after"), limit }))
}

/// Reads the query of a list of rooms, and which parts of each are wanted.
///
/// # Errors
/// 422 with every broken rule.
pub fn rooms(query: &QueryText) -> Result<(RoomQuery, Projection), Failure> {
    let mut faults = Faults::default();
    once(query, &[["roomName", "status"].as_slice(), &PAGING].concat(), &mut faults);
    let given = |name| query.get(name).filter(|text| !text.is_empty());
    let statuses = RoomStatus::ALL.map(|status| (status.name(), status));
    let sorts = RoomSort::ALL.map(|sort| (sort.name(), sort));
    let room_name = given("roomName").map(|text| NamePart::new(&text));
    let status = one_of(query, "status", &statuses, &mut faults);
    let limit = max_items(query.get("maxItems").as_deref(), &mut faults).unwrap_or(PAGE_DEFAULT);
    let sort = one_of(query, "sortField", &sorts, &mut faults).unwrap_or(RoomSort::CreationDate);
    let order = one_of(query, "sortOrder", &ORDERS, &mut faults).unwrap_or(Order::Descending);
    let after = given("nextPageToken");
    let after = after.and_then(|text| place(&text, |value| sort.sorts_by(value), &mut faults));
    let read = RoomQuery { room_name, status, sort, order, limit, after };
    let fields = faults.take(Projection::parse(query.get("fields").as_deref()));
    faults.finish(fields.map(|fields| (read, fields)))
}

/// Reports what stands there more than once: the original reads it as an array.
pub(super) fn once(query: &QueryText, names: &[&str], faults: &mut Faults) {
    for name in names.iter().filter(|name| query.count(name) > 1) {
        faults.add(*name, "Expected string, received array");
    }
}

fn room_id(text: &str, faults: &mut Faults) -> Option<RoomId> {
    let read = RoomId::clean(text);
    read.map_err(|fault| faults.add("roomId", fault.to_string())).ok()
}

/// The place that a token names, if the list can be sorted so.
fn place(text: &str, sorts_by: impl Fn(&SortValue) -> bool, faults: &mut Faults) -> Option<Cursor> {
    let place = page_token::decode(text).filter(|place| sorts_by(&place.value));
    if place.is_none() {
        faults.add("nextPageToken", "Invalid page token");
    }
    place
}

/// Reads one of some names; none if it is left out, or with a fault.
pub(super) fn one_of<T: Copy>(
    query: &QueryText,
    field: &str,
    names: &[(&str, T)],
    faults: &mut Faults,
) -> Option<T> {
    let text = query.get(field)?;
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        faults.not_one_of(field, &names, &text);
    }
    found
}

/// Reads `maxItems` as JavaScript turns texts into numbers: above 0, rounded down, at most [`PAGE_MAX`].
fn max_items(text: Option<&str>, faults: &mut Faults) -> Option<usize> {
    let Some(text) = text.map(str::trim) else { return Some(PAGE_DEFAULT) };
    let number = if text.is_empty() { Some(0.0) } else { number(text) };
    let Some(number) = number else {
        faults.add("maxItems", "Expected number, received nan");
        return None;
    };
    if number <= 0.0 {
        faults.add("maxItems", "Number must be greater than 0");
        return None;
    }
    // Saturates; a fraction below 1 would round down to a page of nothing, which helps nobody.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and above 0")]
    Some((number.min(1e6) as usize).clamp(1, PAGE_MAX))
}

fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain || text == "Infinity" { text.parse().ok() } else { None }
}

/// Reads `recordingIds`: separated by commas, at least one, at most 100; repeated ones stay.
///
/// # Errors
/// 422 with every id that is none.
pub fn recording_ids(query: &QueryText) -> Result<Vec<RecordingId>, Failure> {
    let text = query.get(IDS).unwrap_or_default();
    let texts: Vec<_> = text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Err(Failure::invalid(IDS, "At least one recordingId is required"));
    }
    if texts.len() > IDS_MAX {
        return Err(Failure::invalid(IDS, format!("Array must contain at most {IDS_MAX} element(s)")));
    }
    let mut faults = Faults::default();
    let mut ids = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        match RecordingId::parse(text) {
            Ok(id) => ids.push(id),
            Err(fault) => faults.add(format!("{IDS}.{index}"), fault.to_string()),
        }
    }
    faults.finish(Some(ids))
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::ports::catalog::list::{DocumentId, SortValue};

    use super::*;

    fn fields<T>(read: Result<T, Failure>) -> Vec<String> {
        match read {
            Err(Failure::Invalid(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            _ => Vec::new(),
        }
    }

    fn read(query: &str) -> Result<(RecordingQuery, Projection), Failure> {
        recordings(&QueryText::of(query), None)
    }

    #[test]
    fn a_list_is_read_with_all_it_may_have() {
        let (query, fields) = read("").unwrap();
        assert_eq!((query, fields), (RecordingQuery::newest(10), Projection::Everything));

        let place = Cursor { value: SortValue::Number(1.5), id: DocumentId::of_insertion(7) };
        let text = format!(
            "roomId=%20a%2Fb&roomName=Hall&status=limit_reached&maxItems=7&sortField=size&sortOrder=asc\
             &nextPageToken={}&fields=size&unknown=1",
            form_urlencoded::byte_serialize(page_token::encode(&place).as_bytes()).collect::<String>()
        );
        let own = RoomId::from_trusted("own");
        let (query, fields) = recordings(&QueryText::of(&text), Some(&own)).unwrap();
        let expected = RecordingQuery {
            within: Some(own),
            room_id: Some(RoomId::from_trusted("ab")),
            room_name: Some(NamePart::new("hall")),
            status: Some(RecordingStatus::LimitReached),
            sort: RecordingSort::Size,
            order: Order::Ascending,
            limit: 7,
            after: Some(place),
        };
        assert_eq!((query, fields), (expected, Projection::Only(vec!["size".to_owned()])));
        let (empty, _) = read("roomName=&nextPageToken=&fields=").unwrap();
        assert_eq!(empty, RecordingQuery::newest(10));
    }

    #[test]
    fn every_fault_of_a_list_is_named() {
        let cases = [
            ("roomId=", vec!["roomId"]),
            ("roomId=%2F.", vec!["roomId"]),
            ("status=", vec!["status"]),
            ("status=Complete", vec!["status"]),
            ("sortField=", vec!["sortField"]),
            ("sortField=startdate", vec!["sortField"]),
            ("sortOrder=ASC", vec!["sortOrder"]),
            ("nextPageToken=x", vec!["nextPageToken"]),
            ("fields=a,-b", vec!["fields"]),
            ("status=active&maxItems=1&status=failed&maxItems=1", vec!["status", "maxItems"]),
            ("sortField=x&nextPageToken=x", vec!["sortField", "nextPageToken"]),
            (
                "fields=a,-b&nextPageToken=%00&sortOrder=&sortField=&maxItems=0&status=x&roomId=%2F",
                vec!["roomId", "status", "maxItems", "sortField", "sortOrder", "nextPageToken", "fields"],
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(fields(read(query)), expected, "{query}");
        }
    }

    #[test]
    fn a_token_fits_the_sort_or_is_malformed() {
        let token = |value| {
            let token = page_token::encode(&Cursor { value, id: DocumentId::of_insertion(7) });
            form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>()
        };
        let (number, text) = (token(SortValue::Number(1.0)), token(SortValue::Text("a".to_owned())));
        let missing = token(SortValue::Missing);
        for sort in RecordingSort::ALL.map(RecordingSort::name) {
            let fits = |token: &str| read(&format!("sortField={sort}&nextPageToken={token}")).is_ok();
            assert_eq!((fits(&number), fits(&text)), (sort != "roomName", sort == "roomName"), "{sort}");
            assert!(fits(&missing), "{sort}");
        }
    }

    #[test]
    fn a_page_has_1_to_100_items() {
        let cases = [
            (None, Some(10)),
            (Some("1"), Some(1)),
            (Some("2.9"), Some(2)),
            (Some(" 7 "), Some(7)),
            (Some("1e3"), Some(100)),
            (Some("Infinity"), Some(100)),
            (Some("99999999999999999999999"), Some(100)),
            (Some("0.5"), Some(1)),
            (Some("0"), None),
            (Some("-1"), None),
            (Some(""), None),
            (Some("x"), None),
            (Some("nan"), None),
            (Some("inf"), None),
        ];
        for (text, expected) in cases {
            let mut faults = Faults::default();
            assert_eq!(max_items(text, &mut faults), expected, "{text:?}");
            assert_eq!(faults.finish(Some(())).is_ok(), expected.is_some(), "{text:?}");
        }
    }

    #[test]
    fn several_ids_are_read_or_named_by_their_place() {
        let ids = |text: &str| recording_ids(&QueryText::of(&format!("recordingIds={text}")));
        let read = ids("a--EG_1--u,%20b--EG_2--u%20,,a--EG_1--u,").unwrap();
        let shown: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a--EG_1--u", "b--EG_2--u", "a--EG_1--u"]);
        for text in ["", ",", "%20,%20"] {
            assert_eq!(fields(ids(text)), [IDS], "{text}");
        }
        assert_eq!(fields(recording_ids(&QueryText::of("recordingId=a--EG_1--u"))), [IDS]);
        assert_eq!(fields(ids("x,a--EG_1--u,,y")), ["recordingIds.0", "recordingIds.2"]);
        assert_eq!(ids(&["a--EG_1--u"; 100].join(",")).unwrap().len(), 100);
        assert_eq!(fields(ids(&["a--EG_1--u"; 101].join(","))), [IDS]);
    }
}
