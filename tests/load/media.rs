//! Files, whole and in ranges, many clients at once, beside a bare loop over the same files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reelkeeper_actors::ports::blobs::Blobs as _;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Failure;
use crate::measure::Measured;
use crate::options::Options;
use crate::processes::{Running, Stage};
use crate::reads::Shown;
use crate::seed;
use crate::table::{self, Budget};
use crate::usage::Watched;

/// Files that the clients share.
pub const FILES: usize = 4;
/// What a player asks for at a time.
const RANGE: u64 = 5 * 1024 * 1024;
/// How long links into a bucket last.
const LINK_LASTS: Duration = Duration::from_hours(1);
/// Processor time beside the bare loop's, on embedded backends and on real ones.
const MOST_OF_BARE: [f64; 2] = [1.5, 2.0];
/// Throughput beside that of a direct download from the bucket.
const LEAST_OF_DIRECT: f64 = 0.5;
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
    let bare = match (&stage.backed, stage.blobs()) {
        (Some(backed), _) => Some(Running::bare_s3(&backed.s3_address())?),
        (None, folder) => folder.map(|folder| Running::bare(&folder)).transpose()?,
    };
    for (how, part) in [("whole", u64::MAX), ("in 5 MiB ranges", RANGE)] {
        let service = line(stage.watched, &format!("media {how}"), part, &files, options).await;
        let Some(bare) = &bare else { continue };
        let address = bare.origin.trim_start_matches("http://");
        let same = compared_with(stage, shown, address).await?;
        let loops = line(bare.watched(), &format!("bare loop {how}"), part, &same, options).await;
        if let Some((service, loops)) = service.processor.zip(loops.processor) {
            let (times, most) = (service / loops, MOST_OF_BARE[usize::from(stage.backed.is_some())]);
            let verdict = table::verdict(&format!("x {most}"), times <= most);
            println!("| media {how}, beside the bare loop | | | | | | x {times:.2} | {verdict} | |");
        }
        let Some(backed) = &stage.backed else { continue };
        let direct = compared_with(stage, shown, &backed.s3_address()).await?;
        let direct = line(Watched(None), &format!("direct download {how}"), part, &direct, options).await;
        let (through, direct) = (service.megabytes_each_second, direct.megabytes_each_second);
        let share = through / direct;
        let verdict = table::verdict(&format!("x {LEAST_OF_DIRECT}"), share >= LEAST_OF_DIRECT);
        println!(
            "| media {how}: {through:.0} MB/s through us, {direct:.0} MB/s directly | | | | | | x {share:.2} | {verdict} | |"
        );
    }
    Ok(())
}

/// The same files as the bare loop, or the S3 server itself, has them.
async fn compared_with(stage: &Stage, shown: &[Shown], address: &str) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for shown in shown {
        let mut target = Target { address: address.to_owned(), ..bare_target(shown)? };
        if let Some(backed) = &stage.backed {
            let bucket = backed.bucket().await;
            let link = bucket.link(target.path.trim_start_matches('/'), LINK_LASTS).await?;
            let link = link.ok_or("a bucket has links")?;
            let path = link.strip_prefix("http://").and_then(|link| link.find('/').map(|at| &link[at..]));
            path.ok_or("a link has a path")?.clone_into(&mut target.path);
        }
        targets.push(target);
    }
    Ok(targets)
}

fn bare_target(shown: &Shown) -> Result<Target, Failure> {
    let path = format!("/{}", seed::key_of(&shown.id)?);
    Ok(Target { address: String::new(), path, key: String::new(), size: shown.size })
}

/// What a line of the table said.
struct Told {
    /// Processor time of a part, in ms.
    processor: Option<f64>,
    megabytes_each_second: f64,
}

/// Every client reads a file in parts of at most this size. Prints a line.
#[allow(clippy::cast_precision_loss, reason = "files are not that large")]
async fn line(watched: Watched, what: &str, part: u64, files: &[Target], options: &Options) -> Told {
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
    let bytes: u64 = parts.iter().map(|((first, last), _)| last + 1 - first).sum();
    measured.round(clients, parts, read).await;
    let megabytes_each_second = bytes as f64 / 1e6 / measured.working().as_secs_f64();
    let line = measured.line(what, clients, Budget::NONE);
    let processor = line.processor_each();
    line.print();
    Told { processor, megabytes_each_second }
}

fn parts_of(file: &Target, part: u64) -> impl Iterator<Item = Part> {
    let (size, count) = (file.size, file.size.div_ceil(part));
    (0..count).map(move |number| (number * part, (number * part).saturating_add(part).min(size) - 1))
}

impl Idle {
    /// Reads a part of a file, and throws it away. A connection that waited may have been closed meanwhile.
    async fn read(&self, part: Part, target: &Target) -> Result<(), Failure> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = waiting
            && self.read_over(connection, part, target).await.is_ok()
        {
            return Ok(());
        }
        let fresh = BufReader::with_capacity(PIECE, TcpStream::connect(&target.address).await?);
        self.read_over(fresh, part, target).await
    }

    async fn read_over(
        &self,
        mut connection: BufReader<TcpStream>,
        part: Part,
        target: &Target,
    ) -> Result<(), Failure> {
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
