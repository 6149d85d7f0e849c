//! What every adapter must do with rooms.

use futures::future::join_all;
use serde_json::json;

use super::{CROWD, fresh, fresh_room};
use crate::ids::RoomId;
use crate::meeting::config::ConfigPatch;
use crate::meeting::status::{MeetingNews, RoomChange};
use crate::meeting::{MeetingEndAction, Room, RoomStatus, Switch, WithRecordings};
use crate::ports::PortErrorKind;
use crate::ports::catalog::list::Order::{Ascending, Descending};
use crate::ports::catalog::list::{Listing as _, NamePart, RoomQuery, RoomSort};
use crate::ports::catalog::{Catalog, RoomsDue};
use crate::recording::Timestamp;

/// Runs every case about rooms.
pub(super) async fn rooms(catalog: &dyn Catalog) {
    a_room_is_inserted_once(catalog).await;
    a_room_changes_by_its_rules(catalog).await;
    many_changes_at_once_are_all_taken_in(catalog).await;
    a_room_is_removed_as_it_was_seen(catalog).await;
    each_sort_and_filter_pages_through_all(catalog).await;
    rooms_that_are_due_come_in_pages(catalog).await;
}

fn room(id: &RoomId) -> Room {
    serde_json::from_value(json!({
        "roomId": id, "roomName": "a room ' é", "creationDate": 1_700_000_000_000_i64,
        "autoDeletionDate": 1_800_000_000_000.5,
        "autoDeletionPolicy": {"withMeeting": "when_meeting_ends", "withRecordings": "close"},
        "config": {
            "recording": {"enabled": true, "layout": "speaker", "encoding": "H264_1080P_30",
                "allowAccessTo": "admin_moderator"},
            "chat": {"enabled": true}, "virtualBackground": {"enabled": false},
            "e2ee": {"enabled": false}, "captions": {"enabled": true},
        },
        "moderatorUrl": format!("/room/{id}?secret=0"), "speakerUrl": format!("/room/{id}?secret=1"),
        "status": "open", "meetingEndAction": "none",
    }))
    .expect("a room")
}

async fn insert(catalog: &dyn Catalog, room: &Room) {
    catalog.insert_room(room).await.expect("insert");
}

async fn find(catalog: &dyn Catalog, id: &RoomId) -> Option<Room> {
    catalog.room(id).await.expect("read")
}

async fn remove(catalog: &dyn Catalog, id: &RoomId) {
    let room = find(catalog, id).await.expect("it is there");
    assert!(catalog.remove_room(&room).await.expect("remove"), "nobody else changed it");
}

async fn a_room_is_inserted_once(catalog: &dyn Catalog) {
    let id = fresh_room();
    assert_eq!(find(catalog, &id).await, None);
    let room = room(&id);
    insert(catalog, &room).await;
    assert_eq!(find(catalog, &id).await, Some(room.clone()));

    let other = Room { room_name: "another".to_owned(), ..room.clone() };
    let error = catalog.insert_room(&other).await.expect_err("the id is taken");
    assert_eq!(error.kind, PortErrorKind::Misused);
    assert_eq!(find(catalog, &id).await, Some(room), "the first one stays");
    remove(catalog, &id).await;
}

async fn a_room_changes_by_its_rules(catalog: &dyn Catalog) {
    let started = |sid: &str| RoomChange::Heard(MeetingNews::Started { sid: sid.to_owned() });
    let finished = |sid: &str| RoomChange::Heard(MeetingNews::Finished { sid: sid.to_owned() });
    let none = catalog.change_room(&fresh_room(), &started("RM_1")).await.expect("change");
    assert_eq!(none, None, "no such room");

    let silent = ConfigPatch { chat: Some(Switch { enabled: false }), ..ConfigPatch::default() };
    let closing = Room { meeting_end_action: MeetingEndAction::Close, ..room(&fresh_room()) };
    for mut expected in [room(&fresh_room()), closing] {
        insert(catalog, &expected).await;
        for change in [
            started("RM_1"),
            started("RM_1"),
            RoomChange::Configure(silent.clone()),
            RoomChange::AtEnd(MeetingEndAction::Delete, WithRecordings::Force),
            finished("RM_1"),
            RoomChange::NotDeleted(RoomStatus::Open),
            finished("RM_1"),
            started("RM_2"),
            RoomChange::Close,
            finished("RM_2"),
            RoomChange::Configure(silent.clone()),
            RoomChange::Open,
        ] {
            let before = expected.clone();
            expected = expected.changed(&change);
            let changed =
                catalog.change_room(&expected.room_id, &change).await.expect("change").expect("there");
            assert_eq!((changed.before, &changed.after), (before, &expected), "{change:?}");
            assert_eq!(find(catalog, &expected.room_id).await.as_ref(), Some(&expected), "{change:?}");
        }
        remove(catalog, &expected.room_id).await;
    }
}

async fn many_changes_at_once_are_all_taken_in(catalog: &dyn Catalog) {
    let room = room(&fresh_room());
    insert(catalog, &room).await;
    let off = Some(Switch { enabled: false });
    let changes = (0..CROWD).map(|n| match n % 3 {
        0 => RoomChange::Configure(ConfigPatch { chat: off, ..ConfigPatch::default() }),
        1 => RoomChange::Configure(ConfigPatch { captions: off, ..ConfigPatch::default() }),
        _ => RoomChange::Close,
    });
    let changes: Vec<_> = changes.collect();
    for changed in join_all(changes.iter().map(|change| catalog.change_room(&room.room_id, change))).await {
        assert!(changed.expect("change").is_some());
    }
    let after = find(catalog, &room.room_id).await.expect("there");
    let found = (after.config.chat.enabled, after.config.captions.enabled, after.status);
    assert_eq!(found, (false, false, RoomStatus::Closed), "none overwrote another");
    remove(catalog, &room.room_id).await;
}

async fn a_room_is_removed_as_it_was_seen(catalog: &dyn Catalog) {
    let seen = room(&fresh_room());
    insert(catalog, &seen).await;
    let news = RoomChange::Heard(MeetingNews::Started { sid: "RM_1".to_owned() });
    let now = catalog.change_room(&seen.room_id, &news).await.expect("change").expect("there").after;
    assert!(!catalog.remove_room(&seen).await.expect("remove"), "a meeting has begun meanwhile");
    assert_eq!(find(catalog, &seen.room_id).await.as_ref(), Some(&now));
    assert!(catalog.remove_room(&now).await.expect("remove"));
    assert_eq!(find(catalog, &seen.room_id).await, None);
    assert!(catalog.remove_room(&now).await.expect("second removal"), "it is gone");
    insert(catalog, &seen).await;
    let again = find(catalog, &seen.room_id).await.expect("there");
    assert_eq!(again, seen, "nothing of the one before is left");
    remove(catalog, &seen.room_id).await;
}

async fn each_sort_and_filter_pages_through_all(catalog: &dyn Catalog) {
    let mark = fresh();
    let far = 4_000_000_000_000_000_i64;
    let rows = [
        ("b", RoomStatus::Open, 0, None),
        ("a", RoomStatus::Closed, 2, Some(2.5)),
        ("C", RoomStatus::Open, 1, Some(1.0)),
        ("a", RoomStatus::Open, 2, None),
    ];
    let mut rooms = Vec::new();
    for (name, status, age, date) in rows {
        let room = Room {
            room_name: format!("{name} {mark}"),
            status,
            creation_date: far + age,
            auto_deletion_date: date,
            ..room(&fresh_room())
        };
        insert(catalog, &room).await;
        rooms.push(room);
    }
    let all = RoomQuery { room_name: Some(NamePart::new(&mark)), ..RoomQuery::newest(100) };
    let named = RoomQuery { room_name: Some(NamePart::new(&format!("A {mark}"))), ..all.clone() };
    let open = RoomQuery { status: Some(RoomStatus::Open), ..all.clone() };
    let lowest_first = [
        (RoomSort::CreationDate, [0, 2, 1, 3]),
        (RoomSort::RoomName, [2, 1, 3, 0]),
        (RoomSort::AutoDeletionDate, [0, 3, 2, 1]),
    ];
    for (what, filter, shown) in
        [("all", all, vec![0, 1, 2, 3]), ("by name", named, vec![1, 3]), ("open", open, vec![0, 2, 3])]
    {
        for (sort, lowest_first) in lowest_first {
            let mut expected: Vec<_> = lowest_first.into_iter().filter(|n| shown.contains(n)).collect();
            for order in [Ascending, Descending] {
                for limit in [1, 3, 100] {
                    let mut query = RoomQuery { sort, order, limit, ..filter.clone() };
                    let mut found = Vec::new();
                    loop {
                        let page = catalog.rooms(&query).await.expect("list");
                        assert!(page.items.len() <= query.page_size());
                        found.extend(
                            page.items.iter().map(|one| rooms.iter().position(|r| r == one).expect("whole")),
                        );
                        match page.next {
                            Some(next) => query.after = Some(next),
                            None => break,
                        }
                    }
                    assert_eq!(found, expected, "{what}: {sort:?} {order:?} by {limit}");
                }
                expected.reverse();
            }
        }
    }
    for room in &rooms {
        remove(catalog, &room.room_id).await;
    }
}

async fn rooms_that_are_due_come_in_pages(catalog: &dyn Catalog) {
    let mut rooms = Vec::new();
    for (date, status) in [
        (Some(10.0), RoomStatus::Open),
        (Some(20.0), RoomStatus::ActiveMeeting),
        (Some(1e15), RoomStatus::ActiveMeeting),
        (None, RoomStatus::Closed),
    ] {
        let room = Room { auto_deletion_date: date, status, ..room(&fresh_room()) };
        insert(catalog, &room).await;
        rooms.push(room);
    }
    rooms.sort_by(|one, other| one.room_id.cmp(&other.room_id));
    for (due, expected) in [
        (RoomsDue::ToBeDeletedBefore(Timestamp(20)), 1),
        (RoomsDue::ToBeDeletedBefore(Timestamp(21)), 2),
        (RoomsDue::InMeeting, 2),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.rooms_due(due, after.as_ref(), 1).await.expect("look");
            let Some(last) = page.last() else { break };
            assert_eq!(page.len(), 1, "no more than wanted");
            after = Some(last.room_id.clone());
            found.extend(page.into_iter().filter(|room| rooms.contains(room)));
        }
        let wanted: Vec<_> = rooms.iter().filter(|room| due.is(room)).cloned().collect();
        assert_eq!((found.len(), &found), (expected, &wanted), "{due:?}");
    }
    let counts = catalog.counts().await.expect("count");
    assert!(counts.rooms >= 4 && counts.active_rooms >= 2, "{counts:?}");
    for room in &rooms {
        remove(catalog, &room.room_id).await;
    }
}
