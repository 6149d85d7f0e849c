//! What every adapter of [`Blobs`] must do.

use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::StreamExt as _;

use super::fresh;
use crate::ports::PortErrorKind;
use crate::ports::blobs::Blobs;

/// Larger than any buffer that an adapter should have.
const LARGE: usize = 24 * 1024 * 1024 + 17;
/// Largest piece of a stream: memory must not grow with the file.
const PIECE_MAX: usize = 2 * 1024 * 1024;

/// Runs every case.
pub async fn blobs(blobs: &dyn Blobs) {
    blobs.ping().await.expect("ping");
    what_is_not_there_is_an_answer(blobs).await;
    what_was_put_is_read_back(blobs).await;
    ranges_include_both_ends(blobs).await;
    a_range_beyond_the_end_is_never_a_short_end(blobs).await;
    a_new_content_changes_the_etag(blobs).await;
    an_empty_file_is_there(blobs).await;
    a_bad_key_is_refused(blobs).await;
    a_large_file_comes_in_pieces(blobs).await;
    files_are_listed_in_pages(blobs).await;
}

fn key() -> String {
    format!("suite-{}/a room/film é.mp4", fresh())
}

/// Reads a range to its end, or until its first failure.
async fn bytes(blobs: &dyn Blobs, key: &str, range: RangeInclusive<u64>) -> Option<Vec<u8>> {
    let mut stream = blobs.read(key, range).await.ok()?.expect("the file is there");
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.ok()?;
        assert!(piece.len() <= PIECE_MAX, "a piece of {} bytes", piece.len());
        bytes.extend_from_slice(&piece);
    }
    Some(bytes)
}

async fn what_is_not_there_is_an_answer(blobs: &dyn Blobs) {
    let key = key();
    assert_eq!(blobs.head(&key).await.expect("head"), None);
    assert!(blobs.read(&key, 0..=9).await.expect("read").is_none());
    assert!(!blobs.remove(&key).await.expect("removing what is not there"), "nothing was there");
}

async fn what_was_put_is_read_back(blobs: &dyn Blobs) {
    let key = key();
    blobs.put(&key, Bytes::from_static(b"hello")).await.expect("put");
    let head = blobs.head(&key).await.expect("head").expect("it is there");
    assert_eq!(head.size, 5);
    let years = head.modified / (365 * 86_400_000);
    assert!((40..400).contains(&years), "modified {} is not in milliseconds since 1970", head.modified);
    assert!(!head.etag.is_empty() && !head.etag.contains('"'), "etag {:?}", head.etag);
    assert_eq!(blobs.head(&key).await.expect("second head"), Some(head), "nothing changed in between");
    assert_eq!(bytes(blobs, &key, 0..=4).await.as_deref(), Some(&b"hello"[..]));

    assert!(blobs.remove(&key).await.expect("remove"), "it was there");
    assert_eq!(blobs.head(&key).await.expect("head after removal"), None);
    assert!(blobs.read(&key, 0..=4).await.expect("read after removal").is_none());
    assert!(!blobs.remove(&key).await.expect("removing twice"), "it was gone");
}

async fn ranges_include_both_ends(blobs: &dyn Blobs) {
    let key = key();
    blobs.put(&key, Bytes::from_static(b"0123456789")).await.expect("put");
    let cases: [(_, &[u8]); 5] =
        [(0..=9, b"0123456789"), (0..=0, b"0"), (9..=9, b"9"), (3..=5, b"345"), (5..=9, b"56789")];
    for (range, expected) in cases {
        assert_eq!(bytes(blobs, &key, range.clone()).await.as_deref(), Some(expected), "{range:?}");
    }
    blobs.remove(&key).await.expect("remove");
}

async fn a_range_beyond_the_end_is_never_a_short_end(blobs: &dyn Blobs) {
    let key = key();
    blobs.put(&key, Bytes::from_static(b"0123456789")).await.expect("put");
    for range in [0..=10, 9..=10, 10..=10, 50..=99] {
        assert_eq!(bytes(blobs, &key, range.clone()).await, None, "{range:?} of 10 bytes");
    }
    blobs.remove(&key).await.expect("remove");
}

async fn a_new_content_changes_the_etag(blobs: &dyn Blobs) {
    let key = key();
    let mut etags = Vec::new();
    for content in ["one", "two", "three"] {
        blobs.put(&key, Bytes::from_static(content.as_bytes())).await.expect("put");
        let head = blobs.head(&key).await.expect("head").expect("it is there");
        assert_eq!(head.size, content.len() as u64, "{content}");
        assert!(!etags.contains(&head.etag), "{content} has an etag that was used: {etags:?}");
        etags.push(head.etag);
    }
    assert_eq!(bytes(blobs, &key, 0..=4).await.as_deref(), Some(&b"three"[..]));
    blobs.remove(&key).await.expect("remove");
}

async fn an_empty_file_is_there(blobs: &dyn Blobs) {
    let key = key();
    blobs.put(&key, Bytes::new()).await.expect("put");
    assert_eq!(blobs.head(&key).await.expect("head").map(|head| head.size), Some(0));
    blobs.remove(&key).await.expect("remove");
}

async fn a_bad_key_is_refused(blobs: &dyn Blobs) {
    let long = "x/".repeat(600) + "x";
    let keys = [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        &long,
    ];
    for key in keys {
        let kinds = [
            blobs.head(key).await.err().map(|error| error.kind),
            blobs.read(key, 0..=0).await.err().map(|error| error.kind),
            blobs.put(key, Bytes::from_static(b"x")).await.err().map(|error| error.kind),
            blobs.remove(key).await.err().map(|error| error.kind),
        ];
        assert_eq!(kinds, [Some(PortErrorKind::Misused); 4], "{key:?}");
    }
}

async fn a_large_file_comes_in_pieces(blobs: &dyn Blobs) {
    let key = key();
    // A prime period, so that no piece can be mistaken for another.
    let content: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    blobs.put(&key, Bytes::from(content.clone())).await.expect("put");
    let last = LARGE as u64 - 1;
    assert!(bytes(blobs, &key, 0..=last).await.as_deref() == Some(&content[..]), "the whole file differs");
    let middle = 1_000_003..=last - 1_000_003;
    let expected = &content[1_000_003..LARGE - 1_000_003];
    assert!(bytes(blobs, &key, middle).await.as_deref() == Some(expected), "the middle differs");

    // A reader that goes away leaves nothing that hinders the next one.
    let mut abandoned = blobs.read(&key, 0..=last).await.expect("read").expect("it is there");
    assert!(abandoned.next().await.expect("a first piece").is_ok());
    drop(abandoned);
    blobs.remove(&key).await.expect("remove");
}

async fn files_are_listed_in_pages(blobs: &dyn Blobs) {
    let folder = format!("suite-{}", fresh());
    assert_eq!(blobs.list(&folder, None, 10).await.expect("list"), [], "nothing is there");
    // In the order of their bytes, which is not that of folders.
    let names = ["a b.mp4", "a-b/1", "a/1.mp4", "a/2/3", "a0", "é"];
    for name in names {
        blobs.put(&format!("{folder}/{name}"), Bytes::from_static(b"12345")).await.expect("put");
    }
    blobs.put(&format!("{folder}-beside/x"), Bytes::new()).await.expect("put");
    for limit in [1, 2, 5, 6, 100] {
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = blobs.list(&folder, after.as_deref(), limit).await.expect("list");
            assert!(page.len() <= limit, "{limit}");
            assert!(page.iter().all(|one| one.size == 5 && one.modified > 1_600_000_000_000), "{page:?}");
            let Some(last) = page.last() else { break };
            assert!(after.as_ref().is_none_or(|after| page[0].key > *after), "{page:?} after {after:?}");
            after = Some(last.key.clone());
            seen.extend(page.into_iter().map(|one| one.key));
        }
        let expected: Vec<_> = names.iter().map(|name| format!("{folder}/{name}")).collect();
        assert_eq!(seen, expected, "by {limit}");
    }
    for key in names.map(|name| format!("{folder}/{name}")).into_iter().chain([format!("{folder}-beside/x")])
    {
        assert!(blobs.remove(&key).await.expect("remove"));
    }
}
