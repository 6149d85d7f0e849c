//! `GET /api/v1/recordings/download`: the files of several recordings as one archive (contract `recordings.md`
//! 2).
//!
//! Owns what goes into the archive, under which name, and what is said to be missing. One file after the other
//! is read while the archive is sent, at the reader's pace and in constant memory. Once the head is sent, a
//! failure breaks the connection: a client must never take half an archive for the whole. The bytes of the
//! archive itself are made in [`archive`].

pub mod archive;

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use reelkeeper_actors::access::Right;
use reelkeeper_actors::ids::{RecordingId, RoomId};
use reelkeeper_actors::ports::blobs::Blobs;
use reelkeeper_actors::recording::Recording;

use self::archive::Archive;
use super::HttpState;
use super::auth::{Credentials, KEY_ADMIN_MEMBER, authenticate};
use super::error::Failure;
use super::limits::{Permit, within};
use super::media::{MediaFile, Reading, exactly, file};
use super::request::QueryText;
use super::validation::list::recording_ids;

/// Files that are looked for at once. They are read one by one.
const AT_ONCE: usize = 10;
/// Longest name in an archive that we trust every system to take, in bytes.
const NAME_MAX: usize = 200;
/// What makes a name a path somewhere.
const PATH_SIGNS: [char; 3] = ['/', '\\', ':'];

/// Sends an archive of the recordings that have a file. What is missing is named in its comment.
///
/// # Errors
/// 400 if no recording is one of the member's room; 401, 403, 422, 503.
pub async fn download(
    State(state): State<HttpState>,
    Extension(permit): Extension<Permit>,
    credentials: Credentials,
    query: QueryText,
) -> Result<Response, Failure> {
    let limit = state.settings.request_timeout;
    let (parts, missing) = within(limit, async {
        let caller = authenticate(&state, &credentials, KEY_ADMIN_MEMBER).await?;
        let mut ids = recording_ids(&query)?;
        caller.check(Right::Retrieve)?;
        let mut missing = caller.room().map_or(Ok(Vec::new()), |room| take_out_others(&mut ids, room))?;
        let mut looked = stream::iter(ids).map(|id| look(&state, id)).buffered(AT_ONCE);
        let mut parts = Vec::new();
        while let Some(found) = looked.try_next().await? {
            match found {
                Ok(part) => parts.push(part),
                Err(absence) => missing.push(absence),
            }
        }
        drop(looked);
        Ok((parts, missing))
    })
    .await?;
    let blobs = Arc::clone(&state.blobs);
    let missing = missing.iter().map(Failure::told_among_others).collect();
    let archive = Archive::default();
    let sending =
        Sending { blobs, limit, permit, parts: named(parts).into_iter(), reading: None, missing, archive };
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"recordings.zip\""),
    ];
    let body = Body::from_stream(stream::try_unfold(Some(sending), Sending::next));
    Ok((headers, body).into_response())
}

/// Takes out what is not of the member's room.
fn take_out_others(ids: &mut Vec<RecordingId>, room: &RoomId) -> Result<Vec<Failure>, Failure> {
    let others = ids.extract_if(.., |id| id.room != *room);
    let others = others.map(|id| Failure::NotOfRoom(id, room.clone())).collect();
    if ids.is_empty() { Err(Failure::NoneOfRoom(room.clone())) } else { Ok(others) }
}

/// Looks for one file. That it is not there is an answer; that nobody could say is a failure.
async fn look(state: &HttpState, id: RecordingId) -> Result<Result<MediaFile, Failure>, Failure> {
    match file(state, &id).await {
        Ok(file) => Ok(Ok(file)),
        Err(absence @ (Failure::NoRecording(_) | Failure::NotStreamable(..) | Failure::NoFile(_))) => {
            Ok(Err(absence))
        }
        Err(failure) => Err(failure),
    }
}

/// A file of the archive.
struct Part {
    id: RecordingId,
    name: String,
    key: String,
    /// In bytes, above 0.
    size: u64,
}

/// Gives each file its name. One that is asked for again is there again, under a name of its own: readers
/// refuse or overwrite what has the same.
fn named(files: Vec<MediaFile>) -> Vec<Part> {
    let mut taken = HashSet::new();
    let parts = files.into_iter().map(|MediaFile { recording, key, head }| {
        let plain = name(&recording);
        let (stem, extension) = plain.split_at(plain.rfind('.').unwrap_or(plain.len()));
        let mut name = plain.clone();
        let mut copy = 1;
        while !taken.insert(name.clone()) {
            copy += 1;
            name = format!("{stem} ({copy}){extension}");
        }
        Part { id: recording.recording_id, name, key, size: head.size }
    });
    parts.collect()
}

/// The file's name as LiveKit reported it, unless it is empty or leads elsewhere when it is unpacked.
fn name(recording: &Recording) -> String {
    let reported = recording.filename.as_str();
    let leads_elsewhere = |c: char| c.is_control() || PATH_SIGNS.contains(&c);
    let fits = !reported.trim_matches(['.', ' ']).is_empty() && reported.len() <= NAME_MAX;
    if fits && !reported.contains(leads_elsewhere) {
        return reported.to_owned();
    }
    let mut name = recording.recording_id.to_string().replace(leads_elsewhere, "_");
    name.truncate(name.floor_char_boundary(NAME_MAX));
    name + ".mp4"
}

/// The bytes of one file, exactly as many as were announced.
type FileBytes = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An archive that is being sent.
struct Sending {
    blobs: Arc<dyn Blobs>,
    /// How long the store may take for the next piece.
    limit: Duration,
    permit: Permit,
    /// Those that are not begun.
    parts: vec::IntoIter<Part>,
    /// The one that is read.
    reading: Option<FileBytes>,
    missing: Vec<String>,
    archive: Archive,
}

impl Sending {
    /// The next piece of the archive, and what is left to send.
    async fn next(sending: Option<Self>) -> io::Result<Option<(Bytes, Option<Self>)>> {
        let Some(mut sending) = sending else { return Ok(None) };
        loop {
            if let Some(reading) = sending.reading.take() {
                sending.read_on(reading).await?;
            } else if let Some(part) = sending.parts.next() {
                sending.begin(part).await?;
            } else {
                return Ok(Some((sending.archive.finished(&sending.missing)?, None)));
            }
            let piece = sending.archive.written();
            if !piece.is_empty() {
                return Ok(Some((piece, Some(sending))));
            }
        }
    }

    async fn read_on(&mut self, mut reading: FileBytes) -> io::Result<()> {
        if let Some(piece) = reading.next().await {
            self.archive.write(&piece?)?;
            self.reading = Some(reading);
        }
        Ok(())
    }

    /// Opens a file. One that went since it was looked for is missing like others; nothing of it was sent.
    async fn begin(&mut self, part: Part) -> io::Result<()> {
        let opened = tokio::time::timeout(self.limit, self.blobs.read(&part.key, 0..=part.size - 1)).await?;
        let opened = opened.map_err(|error| {
            tracing::warn!(recording.id = %part.id, %error, "archive cut off");
            io::Error::other(error)
        })?;
        let Some(bytes) = opened else {
            self.missing.push(Failure::NoFile(part.id).told_among_others());
            return Ok(());
        };
        self.archive.begin(&part.name, part.size)?;
        let reading = Reading { id: part.id, limit: self.limit, permit: self.permit.clone() };
        self.reading = Some(Box::pin(exactly(bytes, part.size, reading)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use reelkeeper_actors::ports::blobs::BlobHead;
    use reelkeeper_actors::recording::RecordingStatus;
    use reelkeeper_actors::recording::encoding::{Encoding, Layout};

    use super::*;

    fn recorded(filename: &str) -> MediaFile {
        let recording_id = RecordingId::parse("r--EG_1--u").unwrap();
        let recording = Recording {
            room_id: recording_id.room.clone(),
            recording_id,
            room_name: "Room".to_owned(),
            status: RecordingStatus::Complete,
            layout: Layout::Grid,
            encoding: Encoding::default(),
            filename: filename.to_owned(),
            start_date: 1.5,
            end_date: None,
            duration: None,
            size: None,
            error_code: None,
            error: None,
            details: None,
        };
        MediaFile {
            recording,
            key: "key".to_owned(),
            head: BlobHead { size: 7, modified: 0, etag: String::new() },
        }
    }

    #[test]
    fn a_file_keeps_its_name_unless_it_leads_elsewhere() {
        let long = "x".repeat(201);
        let cases = [
            ("r--u.mp4", "r--u.mp4"),
            ("Møde Åse.webm", "Møde Åse.webm"),
            ("", "r--EG_1--u.mp4"),
            ("..", "r--EG_1--u.mp4"),
            ("../../etc/passwd", "r--EG_1--u.mp4"),
            ("a\\b.mp4", "r--EG_1--u.mp4"),
            ("c:x.mp4", "r--EG_1--u.mp4"),
            ("a\u{0}.mp4", "r--EG_1--u.mp4"),
            (&long, "r--EG_1--u.mp4"),
        ];
        for (filename, expected) in cases {
            assert_eq!(name(&recorded(filename).recording), expected, "{filename:?}");
        }
        let strange = RecordingId::parse("r--EG_/../é\u{7}--u").unwrap();
        let strange = Recording { recording_id: strange, ..recorded("").recording };
        assert_eq!(name(&strange), "r--EG__.._é_--u.mp4");
    }

    #[test]
    fn a_member_gets_what_is_of_their_room() {
        let ids =
            || ["own--EG_1--a", "other--EG_2--b", "own--EG_3--c"].map(|id| RecordingId::parse(id).unwrap());
        let mut left = Vec::from(ids());
        let others = take_out_others(&mut left, &RoomId::from_trusted("own")).unwrap();
        assert_eq!(left, [ids()[0].clone(), ids()[2].clone()]);
        assert!(matches!(&others[..], [Failure::NotOfRoom(id, _)] if *id == ids()[1]), "{others:?}");
        let none = take_out_others(&mut ids().into(), &RoomId::from_trusted("third"));
        assert!(matches!(none, Err(Failure::NoneOfRoom(_))), "{none:?}");
    }

    #[test]
    fn no_two_files_have_one_name() {
        let files = ["a.mp4", "a.mp4", "a (2).mp4", "a.mp4", "b"].map(recorded).into();
        let names: Vec<String> = named(files).into_iter().map(|part| part.name).collect();
        assert_eq!(names, ["a.mp4", "a (2).mp4", "a (2) (2).mp4", "a (3).mp4", "b"]);
        let bare: Vec<String> = named(["b", "b"].map(recorded).into()).into_iter().map(|p| p.name).collect();
        assert_eq!(bare, ["b", "b (2)"]);
    }
}
