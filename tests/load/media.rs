//! Files, whole and in ranges, many clients at once, beside a bare loop over the same files.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Failure;
use crate::measure::Measured;
use crate::options::Options;
use crate::processes::{Running, Stage};
use crate::reads::Shown;
use crate::seed;
use crate::usage::Watched;

/// Files that the clients share.
pub const FILES: usize = 4;
/// What a player asks for at a time.
const RANGE: u64 = 5 * 1024 * 1024;
/// Read at a time by a client.
const PIECE: usize = 256 * 1024;

/// A file as a client asks for it.
#[derive(Debug, Clone)]
struct Target {
    address: String,
    path: String,
    key: String,
    size: u64,
}

/// The first and the last byte that are wanted.
type Part = (u64, u64);

/// Connections that wait for the next request.
#[derive(Debug, Clone, Default)]
struct Idle(Arc<Mutex<Vec<BufReader<TcpStream>>>>);

/// Measures the files of these recordings; the bare loop if they are ours.
pub async fn measure(stage: &Stage, options: &Options, shown: &[Shown]) -> Result<(), Failure> {
    let mut files = Vec::new();
    for Shown { id, size } in shown {
        let (address, path, key) = stage.api.media(id)?;
        files.push(Target { address, path, key, size: *size });
    }
    let folder = stage.blobs();
    let bare = folder.map(|folder| Running::bare(&folder)).transpose()?;
    for (how, part) in [("whole", u64::MAX), ("in 5 MiB ranges", RANGE)] {
        let service = line(stage.watched, &format!("media {how}"), part, &files, options).await;
        let Some(bare) = &bare else { continue };
        let address = bare.origin.trim_start_matches("http://").to_owned();
        let same = shown.iter().map(|shown| Ok(Target { address: address.clone(), ..bare_target(shown)? }));
        let same = same.collect::<Result<Vec<_>, Failure>>()?;
        let loops = line(bare.watched(), &format!("bare loop {how}"), part, &same, options).await;
        if let Some((service, loops)) = service.zip(loops) {
            println!("| media {how}, beside the bare loop | | | | | | x {:.2} | x 1.5 | |", service / loops);
        }
    }
    Ok(())
}

fn bare_target(shown: &Shown) -> Result<Target, Failure> {
    let path = format!("/{}", seed::key_of(&shown.id)?);
    Ok(Target { address: String::new(), path, key: String::new(), size: shown.size })
}

/// Every client reads a file in parts of at most this size. Prints a line; the processor time of a part, in ms.
async fn line(watched: Watched, what: &str, part: u64, files: &[Target], options: &Options) -> Option<f64> {
    let clients = usize::from(options.clients);
    let read_by = files.iter().cycle().take(clients);
    let mut parts: Vec<(Part, Target)> =
        read_by.flat_map(|file| parts_of(file, part).map(|part| (part, file.clone()))).collect();
    // All clients go through their files side by side.
    parts.sort_by_key(|(part, _)| part.0);
    let (mut measured, idle) = (Measured::of(watched), Idle::default());
    let read = move |(part, target)| {
        let idle = idle.clone();
        async move { idle.read(part, &target).await }
    };
    measured.round(clients, parts, read).await;
    let line = measured.line(what, clients, "constant memory");
    let each = line.processor_each();
    line.print();
    each
}

fn parts_of(file: &Target, part: u64) -> impl Iterator<Item = Part> {
    let (size, count) = (file.size, file.size.div_ceil(part));
    (0..count).map(move |number| (number * part, (number * part).saturating_add(part).min(size) - 1))
}

impl Idle {
    /// Reads a part of a file, and throws it away.
    async fn read(&self, part: Part, target: &Target) -> Result<(), Failure> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => BufReader::with_capacity(PIECE, TcpStream::connect(&target.address).await?),
        };
        let wanted = part.1 + 1 - part.0;
        // The whole is asked for as a browser's download does.
        let range = match part {
            (0, last) if last + 1 == target.size => String::new(),
            (first, last) => format!("range: bytes={first}-{last}\r\n"),
        };
        let Target { address, path, key, .. } = target;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n{range}\r\n");
        connection.get_mut().write_all(request.as_bytes()).await?;
        expect(&mut connection, wanted, path).await?;
        let mut left = wanted;
        while left > 0 {
            let came = connection.fill_buf().await?.len();
            if came == 0 {
                return Err(format!("{path}: ended {left} bytes early").into());
            }
            let taken = usize::try_from(left).map_or(came, |left| left.min(came));
            connection.consume(taken);
            left -= taken as u64;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}

/// Reads the head of an answer, which must promise so many bytes.
async fn expect(from: &mut BufReader<TcpStream>, length: u64, path: &str) -> Result<(), Failure> {
    let (mut head, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        // A head that never ends ends here.
        (&mut *from).take(8 * 1024).read_line(&mut line).await?;
        if line.trim_end().is_empty() {
            break;
        }
        head.push_str(&line.to_ascii_lowercase());
    }
    let good = head.starts_with("http/1.1 20") && head.contains(&format!("content-length: {length}\r\n"));
    if good { Ok(()) } else { Err(format!("{path}: {head}").into()) }
}
