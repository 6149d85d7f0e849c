//! A quick digest of an actor's state: what differs in most states that differ. Equality decides.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use reelkeeper_actors::recording::ledger::{Owed, RoomState, State, Track, Wants};
use reelkeeper_actors::recording::policy::Policy;
use reelkeeper_actors::recording::reconcile::FileVerdict;

pub fn of_row(row: &RoomState) -> u64 {
    let mut digest = DefaultHasher::new();
    add_row(row, &mut digest);
    digest.finish()
}

pub fn of_state(state: &State, policy: &Policy) -> u64 {
    let mut digest = DefaultHasher::new();
    add_row(&state.durable, &mut digest);
    let memory = &state.memory;
    (&memory.may_send, memory.retry_start.is_some()).hash(&mut digest);
    for waiting in &memory.waiting {
        (&waiting.command, discriminant(&waiting.wants)).hash(&mut digest);
        if let Wants::Effect { number, answer } = &waiting.wants {
            (number, discriminant(answer)).hash(&mut digest);
        }
    }
    memory.looks.keys().for_each(|uid| uid.hash(&mut digest));
    memory.stops.keys().for_each(|uid| uid.hash(&mut digest));
    memory.effects.keys().for_each(|number| number.hash(&mut digest));
    for (uid, strikes) in &memory.strikes {
        let unlisted = (strikes.is_missed(), strikes.is_unlisted(policy));
        let away = (strikes.is_away(), strikes.is_away_for(policy.strike_gap()));
        let file = match strikes.file(policy) {
            FileVerdict::There(_) => 0_u8,
            FileVerdict::NotThere => 1,
            FileVerdict::Open => 2,
        };
        (uid, unlisted, away, file, strikes.has_file(), strikes.is_file_near(policy)).hash(&mut digest);
    }
    digest.finish()
}

fn add_row(row: &RoomState, digest: &mut DefaultHasher) {
    row.phase.hash(digest);
    if let Some(current) = &row.current {
        add_track(&current.track, digest);
        (&current.command, &current.begun_by, current.deadline, current.stopping_since).hash(digest);
    }
    for unsettled in &row.unsettled {
        add_track(&unsettled.track, digest);
        let flags = (unsettled.deleted, unsettled.file_judged, unsettled.file_missed);
        (unsettled.cause, flags, unsettled.empty_lists).hash(digest);
    }
    for pending in &row.pending {
        (pending.number, discriminant(&pending.effect)).hash(digest);
        match &pending.effect {
            Owed::Project { recording, secrets, .. } => {
                (&recording.recording_id.uid, recording.status, secrets.is_some()).hash(digest);
                recording.error.hash(digest);
            }
            Owed::Keep { command, answer } => (command, discriminant(answer)).hash(digest),
            Owed::Remove { .. } | Owed::Notify(_) => {}
        }
    }
    row.begun.iter().for_each(|begun| begun.command.hash(digest));
}

fn add_track(track: &Track, digest: &mut DefaultHasher) {
    let seen = track.seen.as_ref().map(|seen| seen.status);
    (&track.uid, track.egress.is_some(), seen, track.ran, track.recorder_seen, track.shown).hash(digest);
    track.left.map(|left| discriminant(&left)).hash(digest);
    track.stop.map(|stop| (stop.answered, stop.stale)).hash(digest);
}
