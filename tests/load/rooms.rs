//! Logins, tokens of members, and rooms: made, listed, got.

use crate::Failure;
use crate::measure::Measured;
use crate::processes::Stage;
use crate::table::Budget;

/// How many clients at once.
const CROWDS: [usize; 2] = [1, 16];
/// Logins under way from one address count as wrong until they are right, and five are let through.
const LOGIN_CROWDS: [usize; 2] = [1, 4];
/// Logins: each computes a hash of a password, for some 50 ms.
const LOGINS: usize = 60;
/// Everything else.
const COUNT: usize = 1000;
/// Rooms whose members ask for tokens.
const ROOMS: usize = 50;

/// Measures them.
pub async fn measure(stage: &Stage) -> Result<(), Failure> {
    let api = &stage.api;
    let mut rooms = Vec::new();
    for at_once in CROWDS {
        let mut measured = Measured::of(stage.watched);
        let (ours, names) = (api.clone(), (0..COUNT).map(|number| format!("Room {number}")));
        let make = move |name: String| {
            let api = ours.clone();
            async move { api.make_room(&name).await }
        };
        rooms.extend(measured.round(at_once, names.collect(), make).await);
        measured.line("room created", at_once, Budget::NONE).print();
    }
    let shown = rooms.iter().cycle().take(COUNT).map(|room| format!("rooms/{room}")).collect();
    read(stage, "room by its id", shown).await;
    read(stage, "page of 10 rooms", vec!["rooms?maxItems=10".to_owned(); COUNT]).await;

    let mut members = Vec::new();
    for room in rooms.iter().take(ROOMS) {
        members.push((room.clone(), api.secret(room).await?));
    }
    for (what, name) in [("token for requests", None), ("token for joining", Some("Ann"))] {
        for at_once in CROWDS {
            let mut measured = Measured::of(stage.watched);
            let of = members.iter().cycle().take(COUNT).cloned().collect();
            let ours = api.clone();
            let ask = move |(room, secret): (String, String)| {
                let api = ours.clone();
                async move { api.member_token(&room, &secret, name).await }
            };
            measured.round(at_once, of, ask).await;
            measured.line(what, at_once, Budget::NONE).print();
        }
    }
    for at_once in LOGIN_CROWDS {
        let mut measured = Measured::of(stage.watched);
        let ours = api.clone();
        let login = move |()| {
            let api = ours.clone();
            async move { api.login("admin", "admin").await }
        };
        measured.round(at_once, vec![(); LOGINS], login).await;
        measured.line("login", at_once, Budget::NONE).print();
    }
    Ok(())
}

async fn read(stage: &Stage, what: &str, paths: Vec<String>) {
    for at_once in CROWDS {
        let mut measured = Measured::of(stage.watched);
        let api = stage.api.clone();
        let ask = move |path: String| {
            let api = api.clone();
            async move { api.get(&path).await.map(drop) }
        };
        measured.round(at_once, paths.clone(), ask).await;
        measured.line(what, at_once, Budget::NONE).print();
    }
}
