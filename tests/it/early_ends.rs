//! Egresses that end before they were seen to record: 500 at once, with the reason and the document.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use livekit_protocol::EgressStatus;
use tokio::sync::Notify;

use crate::harness::Reelkeeper;
use crate::livekit::{Act, Method, Scripted, Shows, in_webhook, uid};
use crate::wire::eventually;

/// Far away: whatever is answered before was not waited for.
const SETTINGS: &[(&str, &str)] = &[("REELKEEPER_START_TIMEOUT", "15s")];
const AT_ONCE: Duration = Duration::from_secs(5);

/// How the end becomes known.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// StartEgress answers with it.
    InTheAnswer,
    /// A list shows it.
    InAList,
    /// A webhook tells it.
    ByWebhook,
    /// A webhook tells it before StartEgress is answered.
    BeforeTheAnswer,
}

#[tokio::test]
async fn an_early_end_is_told_at_once_with_its_reason() {
    let livekit = Scripted::run(Shows::All).await;
    let service = Reelkeeper::start(&livekit.url, SETTINGS).await;
    let ends = [
        (EgressStatus::EgressFailed, "Start signal not received", "failed", "Start signal not received"),
        (EgressStatus::EgressAborted, "", "aborted", "aborted"),
        (EgressStatus::EgressEnding, "", "ending", "ending"),
        (EgressStatus::EgressComplete, "", "complete", "complete"),
        (EgressStatus::EgressLimitReached, "Session limit reached", "limit_reached", "Session limit reached"),
    ];
    let ways = [Seen::InTheAnswer, Seen::InAList, Seen::ByWebhook, Seen::BeforeTheAnswer];
    let table = ways.iter().flat_map(|seen| ends.iter().map(move |end| (*seen, *end)));
    let checks = table.map(async |(seen, (status, error, shown, fragment))| {
        let room = service.room().await;
        livekit.people(&room);
        let began = Instant::now();
        let release = Arc::new(Notify::new());
        let born = if matches!(seen, Seen::InTheAnswer) { status } else { EgressStatus::EgressStarting };
        livekit.newborn(&room, born, error);
        match seen {
            Seen::InAList => {}
            // Nothing else shows it.
            Seen::ByWebhook => {
                livekit.script(&room, Method::ListById, vec![Act::Plain(500, ""); 100]);
            }
            // An end is told when the file is there, so the answer waits for it.
            Seen::InTheAnswer | Seen::BeforeTheAnswer => {
                livekit.script(&room, Method::Start, [Act::Wait(release.clone())]);
            }
        }
        let end = async {
            let egress = eventually("LiveKit was asked", async || livekit.egresses(&room).pop()).await;
            service.write_file(&id_of(&livekit, &room), b"a file");
            if matches!(seen, Seen::InTheAnswer) {
                return release.notify_one();
            }
            let ended = livekit.change(&egress.egress_id, status);
            if matches!(seen, Seen::ByWebhook | Seen::BeforeTheAnswer) {
                service.tell(&in_webhook("egress_ended", &ended)).await.expect(200);
                release.notify_one();
            }
        };
        let (reply, ()) = tokio::join!(service.start_recording(&room), end);
        println!("{seen:?} {shown} in room '{room}' after {:?}", began.elapsed());
        reply.refused(500, "Recording Error", fragment);
        assert!(began.elapsed() < AT_ONCE, "{seen:?} {shown}: {:?}", began.elapsed());

        let id = id_of(&livekit, &room);
        let document = service.recording(&id).await.expect(200).json();
        assert_eq!(document["status"], shown, "{seen:?}: {document}");
        let error = (!error.is_empty()).then_some(error);
        assert_eq!(document["error"].as_str(), error, "{seen:?}: {document}");
        livekit.forget_script_of(&room);
        if status == EgressStatus::EgressEnding {
            livekit.change(id.split("--").nth(1).unwrap(), EgressStatus::EgressComplete);
            service.until(&id, "complete").await;
        }
        assert_eq!(livekit.calls(&room, Method::Start).len(), 1, "{seen:?} {shown}");
        // What ran has a file, and is kept; the room is free.
        let streams = matches!(status, EgressStatus::EgressFailed | EgressStatus::EgressAborted);
        let file = service.media(&id).send().await.unwrap().status();
        assert_eq!(file, if streams { 409 } else { 200 }, "{seen:?} {shown}");
        service.delete(&id).await.expect(200);
    });
    join_all(checks).await;
    service.finish().await;
}

/// The id of the first recording of a room.
fn id_of(livekit: &Scripted, room: &str) -> String {
    let egress = &livekit.egresses(room)[0].egress_id;
    format!("{room}--{egress}--{}", uid(&livekit.calls(room, Method::Start)[0].path))
}
