//! What every adapter of [`Ledger`] must do.

use futures::future::join_all;

use super::{fresh, fresh_room};
use crate::ids::{ClaimId, CommandId, DecisionId, EgressId, NodeId, RoomId, Uid};
use crate::ports::ledger::{Expected, Ledger, Written};
use crate::recording::effect::{Answer, Refusal};
use crate::recording::encoding::{Encoding, Layout};
use crate::recording::ledger::{
    Asked, Begun, Cause, Current, Owed, Pending, Phase, RoomState, Row, StopOwed, Track, Unsettled,
};
use crate::recording::{AccessSecrets, RecordingStatus, Timestamp};

/// How many at once.
const CROWD: u64 = 24;

/// Runs every case.
pub async fn ledger(ledger: &dyn Ledger) {
    ledger.ping().await.expect("ping");
    a_write_happens_only_as_expected(ledger).await;
    a_removal_happens_only_as_expected(ledger).await;
    of_many_claims_one_wins(ledger).await;
    no_update_is_lost(ledger).await;
    a_row_made_again_refuses_its_old_owner(ledger).await;
    rows_come_in_order_and_in_pages(ledger).await;
    a_full_row_comes_back_as_it_was(ledger).await;
}

fn claim() -> ClaimId {
    ClaimId::from_trusted(fresh())
}

fn row(room: &RoomId, claim: &ClaimId, revision: u64) -> Row {
    Row {
        room: room.clone(),
        owner: NodeId::from_trusted("node-1"),
        claim: claim.clone(),
        epoch: 1,
        revision,
        decision: DecisionId::from_trusted(fresh()),
        state: RoomState::default(),
    }
}

fn at(row: &Row) -> Expected {
    Expected::At { claim: row.claim.clone(), revision: row.revision }
}

fn refused(row: &Row) -> Written {
    Written::Refused(Some(Box::new(row.clone())))
}

/// Makes a row that was not there.
async fn make(ledger: &dyn Ledger, row: &Row) {
    assert_eq!(ledger.write(row, &Expected::Absent).await.expect("write"), Written::Stored);
}

/// Removes whatever row a case left.
async fn clear(ledger: &dyn Ledger, room: &RoomId) {
    if let Some(row) = ledger.load(room).await.expect("load") {
        let removed = ledger.remove(room, &row.claim, row.revision).await.expect("remove");
        assert_eq!(removed, Written::Stored, "{room}");
    }
}

async fn a_write_happens_only_as_expected(ledger: &dyn Ledger) {
    let (ours, theirs) = (claim(), claim());
    let expected_at = |claim: &ClaimId, revision| Expected::At { claim: claim.clone(), revision };
    let cases = [
        ("absent, as expected", None, Expected::Absent, true),
        ("absent, but a row expected", None, expected_at(&ours, 3), false),
        ("there, but none expected", Some(3), Expected::Absent, false),
        ("there, as expected", Some(3), expected_at(&ours, 3), true),
        ("another claim", Some(3), expected_at(&theirs, 3), false),
        ("an older revision", Some(3), expected_at(&ours, 2), false),
        ("a newer revision", Some(3), expected_at(&ours, 4), false),
    ];
    for (name, stored, expected, as_expected) in cases {
        let room = fresh_room();
        let before = stored.map(|revision| row(&room, &ours, revision));
        if let Some(before) = &before {
            make(ledger, before).await;
        }
        let next = row(&room, &ours, 4);
        let written = ledger.write(&next, &expected).await.expect(name);
        let after = ledger.load(&room).await.expect(name);
        if as_expected {
            assert_eq!((written, after), (Written::Stored, Some(next)), "{name}");
        } else {
            assert_eq!(after, before, "{name}: nothing may have changed");
            assert_eq!(written, Written::Refused(before.map(Box::new)), "{name}: it says what is there");
        }
        clear(ledger, &room).await;
    }
}

async fn a_removal_happens_only_as_expected(ledger: &dyn Ledger) {
    let (room, ours) = (fresh_room(), claim());
    let none = ledger.remove(&room, &ours, 1).await.expect("remove");
    assert_eq!(none, Written::Refused(None), "there is no row");

    let stored = row(&room, &ours, 7);
    make(ledger, &stored).await;
    for (name, claim, revision) in
        [("another claim", &claim(), 7), ("an older revision", &ours, 6), ("a newer revision", &ours, 8)]
    {
        assert_eq!(ledger.remove(&room, claim, revision).await.expect(name), refused(&stored), "{name}");
        assert_eq!(ledger.load(&room).await.expect(name), Some(stored.clone()), "{name}");
    }
    assert_eq!(ledger.remove(&room, &ours, 7).await.expect("remove"), Written::Stored);
    assert_eq!(ledger.load(&room).await.expect("load"), None);
}

async fn of_many_claims_one_wins(ledger: &dyn Ledger) {
    let room = fresh_room();
    let first = row(&room, &claim(), 1);
    for (name, expected) in [("a room without a row", Expected::Absent), ("a room that is taken", at(&first))]
    {
        clear(ledger, &room).await;
        if expected != Expected::Absent {
            make(ledger, &first).await;
        }
        let claims: Vec<Row> = (0..CROWD).map(|_| row(&room, &claim(), 2)).collect();
        let answers = join_all(claims.iter().map(|claim| ledger.write(claim, &expected))).await;
        let winner = ledger.load(&room).await.expect("load").expect("somebody won");
        for (claim, answer) in claims.iter().zip(answers) {
            let right = if *claim == winner { Written::Stored } else { refused(&winner) };
            assert_eq!(answer.expect("write"), right, "{name}");
        }
        assert!(claims.contains(&winner), "{name}");
    }
    clear(ledger, &room).await;
}

async fn no_update_is_lost(ledger: &dyn Ledger) {
    let room = fresh_room();
    make(ledger, &row(&room, &claim(), 0)).await;
    let adders = (0..CROWD).map(|_| async {
        // Each failed round is another's success, so there cannot be more rounds than adders.
        for _ in 0..CROWD {
            let found = ledger.load(&room).await.expect("load").expect("the row stays");
            let next = row(&room, &found.claim, found.revision + 1);
            if ledger.write(&next, &at(&found)).await.expect("write") == Written::Stored {
                return;
            }
        }
        panic!("a write was refused though nobody else's was stored");
    });
    join_all(adders).await;
    let revision = ledger.load(&room).await.expect("load").map(|row| row.revision);
    assert_eq!(revision, Some(CROWD));
    clear(ledger, &room).await;
}

async fn a_row_made_again_refuses_its_old_owner(ledger: &dyn Ledger) {
    let room = fresh_room();
    let (old, new) = (row(&room, &claim(), 5), row(&room, &claim(), 5));
    make(ledger, &old).await;
    assert_eq!(ledger.remove(&room, &old.claim, 5).await.expect("remove"), Written::Stored);
    make(ledger, &new).await;
    // The same revision: only the claim tells them apart.
    let late = row(&room, &old.claim, 6);
    assert_eq!(ledger.write(&late, &at(&old)).await.expect("late write"), refused(&new));
    assert_eq!(ledger.remove(&room, &old.claim, 5).await.expect("late removal"), refused(&new));
    assert_eq!(ledger.load(&room).await.expect("load"), Some(new));
    clear(ledger, &room).await;
}

async fn rows_come_in_order_and_in_pages(ledger: &dyn Ledger) {
    let prefix = fresh_room();
    // By bytes, so that every adapter agrees where a page goes on.
    let names = ["-a", "0", "A", "Z", "_", "a", "z"];
    let rooms = names.map(|name| RoomId::from_trusted(format!("{prefix}{name}")));
    for room in rooms.iter().rev() {
        make(ledger, &row(room, &claim(), 1)).await;
    }
    let mut seen = Vec::new();
    let mut after = prefix.clone();
    loop {
        let page = ledger.rows(Some(&after), 3).await.expect("rows");
        assert!(page.len() <= 3, "a page of {}", page.len());
        let is_last = page.len() < 3;
        let ours =
            page.into_iter().map(|row| row.room).filter(|room| room.as_str().starts_with(prefix.as_str()));
        let before = seen.len();
        seen.extend(ours);
        if is_last || seen.len() < before + 3 {
            break;
        }
        after.clone_from(&seen[seen.len() - 1]);
    }
    assert_eq!(seen, rooms);
    assert_eq!(ledger.rows(None, 1).await.expect("first row").len(), 1);
    assert_eq!(ledger.rows(Some(&prefix), 0).await.expect("no rows"), []);
    for room in &rooms {
        clear(ledger, room).await;
    }
}

async fn a_full_row_comes_back_as_it_was(ledger: &dyn Ledger) {
    let room = fresh_room();
    let mut full = row(&room, &claim(), (1 << 53) + 1);
    full.epoch = u64::from(u32::MAX) + 1;
    full.state = full_state();
    make(ledger, &full).await;
    assert_eq!(ledger.load(&room).await.expect("load"), Some(full.clone()));
    let page = ledger.rows(None, usize::MAX).await.expect("rows");
    assert!(page.contains(&full), "rows show what load shows");
    clear(ledger, &room).await;
}

/// Something in every list, and near the largest size.
fn full_state() -> RoomState {
    let track = Track {
        uid: Uid::from_trusted("0123456789"),
        egress: None,
        secrets: AccessSecrets { public: "p".to_owned(), private: "q".to_owned() },
        call_ends: Timestamp(i64::MAX),
        seen: None,
        ran: true,
        recorder_seen: true,
        left: None,
        shown: Some(RecordingStatus::Active),
        stop: Some(StopOwed { since: Timestamp(-1), answered: false, stale: true }),
    };
    let (recording, updated_at) = (super::catalog::recording(&fresh_room()), i64::MAX);
    let secrets = Some(track.secrets.clone());
    let answer = Answer::Refused(Refusal::StartFailed { reason: "'\u{0}".to_owned() });
    RoomState {
        room_name: format!("'\"\\ é \u{1F3AC} \u{0} {}", "x".repeat(900 * 1024)),
        phase: Phase::Uncertain,
        current: Some(Current {
            track: track.clone(),
            begun_by: Some(CommandId::from_trusted(fresh())),
            command: Some(CommandId::from_trusted("command")),
            deadline: Some(Timestamp(1)),
            layout: Layout::SingleSpeaker,
            encoding: Encoding::default(),
            stopping_since: None,
        }),
        unsettled: vec![Unsettled {
            track,
            since: Timestamp(2),
            cause: Cause::Held,
            deleted: true,
            file_judged: false,
            file_missed: true,
            empty_lists: 3,
        }],
        begun: [Asked::Start, Asked::Stop(EgressId::from_trusted("EG_1"))]
            .map(|asked| Begun {
                command: CommandId::from_trusted("begun"),
                deadline: Timestamp(i64::MIN),
                asked,
            })
            .into(),
        pending: vec![
            Pending { number: 8, effect: Owed::Keep { command: CommandId::from_trusted("kept"), answer } },
            Pending {
                number: 9,
                effect: Owed::Project { recording: Box::new(recording), updated_at, secrets },
            },
        ],
        effects_numbered: 9,
    }
}
