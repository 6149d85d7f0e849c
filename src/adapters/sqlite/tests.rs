//! The port suites on SQLite, and what only SQLite has to prove.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use futures::future::join_all;
use reelkeeper_actors::ids::{ClaimId, CommandId, DecisionId, NodeId, RoomId};
use reelkeeper_actors::meeting::creation::{self, Drawn, NewRoom};
use reelkeeper_actors::meeting::status::{MeetingNews, RoomChange};
use reelkeeper_actors::ports::catalog::list::RecordingQuery;
use reelkeeper_actors::ports::catalog::{ApiKey, Catalog, StoredRecording};
use reelkeeper_actors::ports::keys::{IdempotencyKeys, KeptCommand, Operation, ScopedKey};
use reelkeeper_actors::ports::ledger::{Expected, Ledger, Written};
use reelkeeper_actors::ports::outbox::{Outbox as _, OutboxDepth};
use reelkeeper_actors::ports::{PortError, PortErrorKind, suite};
use reelkeeper_actors::recording::effect::{Answer, Refusal};
use reelkeeper_actors::recording::ledger::{RoomState, Row};
use reelkeeper_actors::recording::{AccessSecrets, Recording, RecordingStatus, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;
use tempfile::TempDir;

use super::{SqliteConfig, SqliteStore};

/// Starts at once, as one burst.
const BURST: usize = 64;

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(SqliteConfig::new(path)).await.unwrap()
}

async fn fresh() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("data/store.db")).await;
    (folder, store)
}

fn path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("data/store.db")
}

/// Somebody else at the file, past every lock of ours.
fn intruder(folder: &TempDir) -> Connection {
    Connection::open(path(folder)).unwrap()
}

fn row(room: &str, revision: u64) -> Row {
    Row {
        room: RoomId::from_trusted(room),
        owner: NodeId::from_trusted("node-1"),
        claim: ClaimId::from_trusted("claim-1"),
        epoch: 1,
        revision,
        decision: DecisionId::from_trusted("decision"),
        state: RoomState::default(),
    }
}

fn recording(id: &str) -> StoredRecording {
    let document = json!({
        "recordingId": id, "roomId": "room", "roomName": "Room", "status": "active", "layout": "grid",
        "encoding": "H264_720P_30", "filename": "", "startDate": 1.5, "error": "slow",
    });
    StoredRecording {
        recording: serde_json::from_value(document).unwrap(),
        secrets: AccessSecrets { public: "p".to_owned(), private: "q".to_owned() },
        updated_at: 1,
    }
}

fn key() -> ScopedKey {
    let (room, operation) = (RoomId::from_trusted("room"), Operation::Start);
    ScopedKey { caller: "caller".to_owned(), room, operation, key: "key".to_owned() }
}

fn command() -> KeptCommand {
    let command = CommandId::from_trusted("command");
    KeptCommand { command, request: "digest".to_owned(), entered: Timestamp(7), answer: None }
}

/// Keeps the writer busy until the sender is dropped; returns once it is.
async fn stall(store: &Arc<SqliteStore>) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (began, underway) = tokio::sync::oneshot::channel();
    let stalled = Arc::clone(store);
    tokio::spawn(async move {
        let wait = move |_: &Connection| {
            began.send(()).unwrap();
            Ok(released.recv().is_ok())
        };
        // Its own answer comes too late or not at all.
        let _ = stalled.commit(&"stall", wait).await;
    });
    underway.await.unwrap();
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_ledger_suite() {
    let (_folder, store) = fresh().await;
    suite::ledger(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_accounts_suite() {
    let (_folder, store) = fresh().await;
    suite::accounts(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_settings_suite() {
    let (_folder, store) = fresh().await;
    suite::settings(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_catalog_suite() {
    let (_folder, store) = fresh().await;
    suite::catalog(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_outbox_suite() {
    let (_folder, store) = fresh().await;
    suite::outbox(&store).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_the_keys_suite() {
    let (_folder, store) = fresh().await;
    suite::keys(&store).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_file_in_use_can_be_read_but_not_written() {
    let (folder, store) = fresh().await;
    store.write(&row("room", 1), &Expected::Absent).await.unwrap();
    let reader = SqliteStore::open_to_read(SqliteConfig::new(path(&folder))).await.unwrap();
    assert_eq!(reader.rows(None, 10).await.unwrap(), [row("room", 1)]);
    store.write(&row("room 2", 1), &Expected::Absent).await.unwrap();
    assert_eq!(reader.rows(None, 10).await.unwrap().len(), 2, "it sees what is written meanwhile");
    reader.ping().await.unwrap();
    let refused = reader.write(&row("room 3", 1), &Expected::Absent).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Misused);
    reader.close().await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = SqliteStore::open_to_read(SqliteConfig::new(path(&folder))).await.err().unwrap();
    assert_eq!(missing.kind, PortErrorKind::Unavailable);
    assert!(!path(&folder).exists());
    std::fs::create_dir_all(path(&folder).parent().unwrap()).unwrap();
    intruder(&folder).execute_batch("PRAGMA user_version = 1").unwrap();
    let older = SqliteStore::open_to_read(SqliteConfig::new(path(&folder))).await.err().unwrap();
    assert_eq!(older.kind, PortErrorKind::Misused);
    assert!(older.detail.contains("schema 1"), "{older}");
}

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    for tidy in [true, false] {
        let (folder, store) = fresh().await;
        let (first, film) = (row("room-1", 1), recording("room--EG_1--u"));
        let (key, command) = (key(), command());
        store.enter(&key, &command, Timestamp(0)).await.unwrap();
        assert!(store.keep(&command.command, &Answer::Refused(Refusal::StopOwed)).await.unwrap());
        assert_eq!(store.write(&first, &Expected::Absent).await.unwrap(), Written::Stored);
        assert!(store.insert_recording(&film).await.unwrap());
        assert!(store.insert_first_api_key(&ApiKey { key: "k".to_owned(), creation_date: 7 }).await.unwrap());
        if tidy {
            store.close().await.unwrap();
            let log = folder.path().join("data/store.db-wal");
            assert!(!log.exists(), "a tidy end leaves one file");
        }
        drop(store);

        let store = open(&path(&folder)).await;
        assert_eq!(store.load(&first.room).await.unwrap(), Some(first), "tidy: {tidy}");
        assert_eq!(store.recording(&film.recording.recording_id).await.unwrap(), Some(film));
        assert_eq!(store.api_keys().await.unwrap().len(), 1);
        let kept = KeptCommand { answer: Some(Answer::Refused(Refusal::StopOwed)), ..command };
        assert_eq!(store.find(&key).await.unwrap(), Some(kept));
    }
}

#[tokio::test]
async fn a_copy_of_the_files_taken_without_closing_holds_what_was_stored() {
    let (folder, store) = fresh().await;
    for n in 0..10 {
        let written = store.write(&row(&format!("room-{n}"), 1), &Expected::Absent).await.unwrap();
        assert_eq!(written, Written::Stored);
    }
    // What a crash of this process would leave behind.
    let crashed = folder.path().join("crashed");
    std::fs::create_dir(&crashed).unwrap();
    for name in ["store.db", "store.db-wal"] {
        std::fs::copy(folder.path().join("data").join(name), crashed.join(name)).unwrap();
    }
    let recovered = open(&crashed.join("store.db")).await;
    assert_eq!(recovered.rows(None, 100).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_file_has_one_holder_and_says_who() {
    let (folder, store) = fresh().await;
    std::os::unix::fs::symlink(path(&folder), folder.path().join("alias.db")).unwrap();
    for path in [path(&folder), folder.path().join("data/../data/store.db"), folder.path().join("alias.db")] {
        let error = SqliteStore::open(SqliteConfig::new(&path)).await.err().unwrap();
        assert_eq!(error.kind, PortErrorKind::Misused, "{}", path.display());
        let holder = format!("is in use by process {} on ", std::process::id());
        assert!(error.detail.contains(&holder), "{}", error.detail);
    }
    store.ping().await.unwrap();
    store.close().await.unwrap();
    // Closed is enough: the store itself is still there.
    open(&path(&folder)).await.ping().await.unwrap();
    assert_eq!(store.ping().await.unwrap_err().kind, PortErrorKind::Unavailable);
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, store) = fresh().await;
    store.write(&row("room", 1), &Expected::Absent).await.unwrap();
    for name in ["store.db", "store.db-wal"] {
        let mode = std::fs::metadata(folder.path().join("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[tokio::test]
async fn a_burst_shares_its_commits() {
    let (folder, store) = fresh().await;
    let store = Arc::new(store);
    let release = stall(&store).await;
    let writes = (0..BURST).map(|n| {
        let store = Arc::clone(&store);
        // Every second one is refused, which must not undo its neighbours.
        let expected = match n % 2 {
            0 => Expected::Absent,
            _ => Expected::At { claim: ClaimId::from_trusted("other"), revision: 1 },
        };
        async move { store.write(&row(&format!("room-{n:02}"), 1), &expected).await.unwrap() }
    });
    let log = folder.path().join("data/store.db-wal");
    let before = std::fs::metadata(&log).unwrap().len();
    let release_when_queued = async { drop(release) };
    let (answers, ()) = futures::join!(join_all(writes), release_when_queued);
    for (n, answer) in answers.into_iter().enumerate() {
        let right = if n % 2 == 0 { Written::Stored } else { Written::Refused(None) };
        assert_eq!(answer, right, "write {n}");
    }
    assert_eq!(store.rows(None, BURST).await.unwrap().len(), BURST / 2);
    // Single commits would log each touched page again and again: at least two pages for each write.
    let pages = (std::fs::metadata(&log).unwrap().len() - before) / 4096;
    assert!(pages < BURST as u64 / 2, "{pages} pages were logged");
}

#[tokio::test]
async fn a_full_queue_is_unavailable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig { queue: 4, ..SqliteConfig::new(path(&folder)) };
    let store = Arc::new(SqliteStore::open(config).await.unwrap());
    let release = stall(&store).await;
    let rows: Vec<Row> = (0..5).map(|n| row(&format!("room-{n}"), 1)).collect();
    let release_when_queued = async { drop(release) };
    let writes = join_all(rows.iter().map(|row| store.write(row, &Expected::Absent)));
    let (answers, ()) = futures::join!(writes, release_when_queued);
    let (refused, stored): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_err);
    assert_eq!(stored.len(), 4);
    let error = refused.into_iter().next().unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.detail.as_str()),
        (PortErrorKind::Unavailable, "room-4: too many calls wait")
    );
    assert_eq!(store.rows(None, 10).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_is_not_done_later() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig { deadline: Duration::from_millis(200), ..SqliteConfig::new(path(&folder)) };
    let store = Arc::new(SqliteStore::open(config).await.unwrap());
    let release = stall(&store).await;
    let error = store.write(&row("room-1", 1), &Expected::Absent).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Unavailable);
    assert!(error.detail.starts_with("room-1: no answer within"), "{}", error.detail);
    // Reads do not wait for the writer.
    assert_eq!(store.load(&RoomId::from_trusted("room-1")).await.unwrap(), None);
    drop(release);
    store.write(&row("room-2", 1), &Expected::Absent).await.unwrap();
    assert_eq!(store.rows(None, 10).await.unwrap(), [row("room-2", 1)], "nobody waited for room-1");
}

#[tokio::test]
async fn a_panic_is_an_answer_and_leaves_nothing_behind() {
    let (_folder, store) = fresh().await;
    let broken = store.commit(&"broken", |connection| -> Result<(), PortError> {
        connection.execute("DELETE FROM reelkeeper_rooms", []).unwrap();
        panic!("a bug of ours")
    });
    store.write(&row("room", 1), &Expected::Absent).await.unwrap();
    assert_eq!(broken.await.unwrap_err().kind, PortErrorKind::Misused);
    assert_eq!(store.load(&RoomId::from_trusted("room")).await.unwrap(), Some(row("room", 1)));
    store.write(&row("another", 1), &Expected::Absent).await.unwrap();
}

#[tokio::test]
async fn an_unreadable_row_is_named_or_left_out() {
    let (folder, store) = fresh().await;
    for name in ["a", "b", "c", "d"] {
        store.write(&row(name, 1), &Expected::Absent).await.unwrap();
    }
    let spoil = "UPDATE reelkeeper_rooms SET state = '{\"phase\":\"dancing\"}' WHERE room IN ('a', 'b')";
    assert_eq!(intruder(&folder).execute(spoil, []).unwrap(), 2);

    let (room, at) = (RoomId::from_trusted("a"), ClaimId::from_trusted("claim-1"));
    let stale = Expected::At { claim: at.clone(), revision: 9 };
    for error in [
        store.load(&room).await.unwrap_err(),
        store.write(&row("a", 10), &stale).await.unwrap_err(),
        store.remove(&room, &at, 9).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, PortErrorKind::Corrupt);
        assert!(error.detail.starts_with("room a: "), "{}", error.detail);
    }
    // A page is filled past what cannot be read, so that nobody takes it for the last one.
    assert_eq!(store.rows(None, 1).await.unwrap(), [row("c", 1)]);
    assert_eq!(store.rows(None, 9).await.unwrap(), [row("c", 1), row("d", 1)]);
    // Whoever knows claim and revision may still write over it.
    let known = Expected::At { claim: at, revision: 1 };
    assert_eq!(store.write(&row("a", 2), &known).await.unwrap(), Written::Stored);
    assert_eq!(store.load(&room).await.unwrap(), Some(row("a", 2)));
}

#[tokio::test]
async fn an_unreadable_document_is_named_or_left_out() {
    let (folder, store) = fresh().await;
    for id in ["room--EG_1--u", "room--EG_2--u"] {
        assert!(store.insert_recording(&recording(id)).await.unwrap());
    }
    let spoil = "UPDATE recordings SET document = json_set(document, '$.status', 'dancing')
        WHERE recording_id = 'room--EG_2--u'";
    assert_eq!(intruder(&folder).execute(spoil, []).unwrap(), 1);

    let spoilt = recording("room--EG_2--u").recording;
    for error in [
        store.recording(&spoilt.recording_id).await.unwrap_err(),
        store.update_recording(&spoilt, 9).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, PortErrorKind::Corrupt);
        assert!(error.detail.starts_with("room--EG_2--u: "), "{}", error.detail);
    }
    let page = store.recordings(&RecordingQuery::newest(1)).await.unwrap();
    assert_eq!((page.items, page.next), (vec![recording("room--EG_1--u").recording], None));
}

#[tokio::test]
async fn an_update_keeps_fields_that_we_do_not_know() {
    let (folder, store) = fresh().await;
    let before = recording("room--EG_1--u");
    store.insert_recording(&before).await.unwrap();
    let intruder = intruder(&folder);
    let add = "UPDATE recordings SET document = json_set(document, '$.later', json('{\"a\":[1,null]}'))";
    assert_eq!(intruder.execute(add, []).unwrap(), 1);

    let complete = Recording { status: RecordingStatus::Complete, error: None, ..before.recording.clone() };
    store.update_recording(&complete, 2).await.unwrap();
    let select =
        "SELECT document ->> 'later', document ->> 'error', status, room_id, start_date FROM recordings";
    let read = |row: &rusqlite::Row<'_>| row.try_into();
    let found: Option<(String, Option<String>, String, String, f64)> =
        intruder.query_row(select, [], read).optional().unwrap();
    let expected = (r#"{"a":[1,null]}"#.to_owned(), None, "complete".to_owned(), "room".to_owned(), 1.5);
    assert_eq!(found, Some(expected), "what late truth refuted is gone, what we do not know stays");
}

#[tokio::test]
async fn an_unreadable_answer_is_named() {
    let (folder, store) = fresh().await;
    let (key, command) = (key(), command());
    store.enter(&key, &command, Timestamp(0)).await.unwrap();
    assert_eq!(intruder(&folder).execute("UPDATE reelkeeper_keys SET answer = '{}'", []).unwrap(), 1);
    for error in [
        store.find(&key).await.unwrap_err(),
        store.answer_of(&command.command).await.unwrap_err(),
        store.enter(&key, &command, Timestamp(0)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, PortErrorKind::Corrupt);
        assert!(error.detail.starts_with("command command: "), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_file_of_any_earlier_version_is_brought_up_to_date() {
    for version in 1..=super::schema::STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(path(&folder).parent().unwrap()).unwrap();
        let earlier = intruder(&folder);
        for step in &super::schema::STEPS[..version] {
            earlier.execute_batch(step).unwrap();
        }
        earlier.pragma_update(None, "user_version", version.to_string()).unwrap();
        // As the first version wrote it.
        let old_row = r#"{"room_name":"","phase":"idle","current":null,"unsettled":[],"pending":[],"effects_numbered":0}"#;
        let insert = "INSERT INTO reelkeeper_rooms VALUES ('room', 'node', 'claim', 1, 1, 'decision', 0, ?1)";
        earlier.execute(insert, [old_row]).unwrap();
        drop(earlier);
        let store = open(&path(&folder)).await;
        let found = store.load(&RoomId::from_trusted("room")).await.unwrap().unwrap();
        assert_eq!((found.revision, found.state), (1, RoomState::default()), "version {version}");
        assert_eq!(store.enter(&key(), &command(), Timestamp(0)).await.unwrap(), command());
        assert_eq!(store.depth().await.unwrap(), OutboxDepth::default());
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn news_of_a_meeting_keep_fields_that_we_do_not_know() {
    let (folder, store) = fresh().await;
    let drawn = Drawn {
        now: Timestamp(1),
        random: [0; 16],
        moderator_secret: "1".to_owned(),
        speaker_secret: "2".to_owned(),
    };
    let room = creation::create(NewRoom::default(), &drawn);
    store.insert_room(&room).await.unwrap();
    let later = "UPDATE meet_rooms SET document = json_set(document, '$.later', 7, '$.config.later', 8)";
    let intruder = intruder(&folder);
    assert_eq!(intruder.execute(later, []).unwrap(), 1);

    let change = RoomChange::Heard(MeetingNews::Started { sid: "RM_1".to_owned() });
    store.change_room(&room.room_id, &change).await.unwrap().unwrap();
    let select =
        "SELECT document ->> 'status', document ->> 'later', document ->> '$.config.later' FROM meet_rooms";
    let found: (String, i64, i64) = intruder.query_row(select, [], |row| row.try_into()).unwrap();
    assert_eq!(found, ("active_meeting".to_owned(), 7, 8));
}

#[tokio::test]
async fn sweeps_read_along_an_index() {
    let (folder, _store) = fresh().await;
    let intruder = intruder(&folder);
    for (query, index) in [
        (super::catalog::UNFINISHED_RECORDINGS, "recordings_unfinished"),
        (super::ledger::ROWS, "sqlite_autoindex_reelkeeper_rooms_1"),
        (super::keys::ANSWER, "sqlite_autoindex_reelkeeper_keys_1"),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {}", query.replace("?1", "''"));
        let plan: String = intruder.query_row(&explain, [], |row| row.get(3)).unwrap();
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let (folder, store) = fresh().await;
    drop(store);
    intruder(&folder).pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(SqliteConfig::new(path(&folder))).await.err().unwrap();
    assert_eq!(error.kind, PortErrorKind::Misused);
    assert!(error.detail.contains("a newer version wrote the file: schema 99"), "{}", error.detail);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a database, however you read it. ".repeat(100)).unwrap();
    let error = SqliteStore::open(SqliteConfig::new(&file)).await.err().unwrap();
    assert_eq!(error.kind, PortErrorKind::Corrupt, "{error}");
    let error = SqliteStore::open(SqliteConfig::new(folder.path())).await.err().unwrap();
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
}
