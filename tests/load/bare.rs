//! What media is compared with: a loop that reads a file and sends it, and does nothing else.
//!
//! A thread for each connection, pieces of the size that the service reads. Believes every request.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// As the service's blobs in a folder.
const PIECE: usize = 128 * 1024;

/// Serves the files of a folder on a free port until it is killed; prints where.
pub fn serve(folder: &Path) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    for connection in listener.incoming() {
        let (connection, folder) = (connection?, folder.to_owned());
        std::thread::spawn(move || answer(connection, &folder));
    }
    Ok(())
}

/// Answers requests until the client goes.
fn answer(mut to: TcpStream, folder: &Path) -> io::Result<()> {
    let mut from = BufReader::new(to.try_clone()?);
    let mut piece = vec![0; PIECE];
    while let Some((path, range)) = request(&mut from, folder)? {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let (first, last) = range.unwrap_or((0, size - 1));
        file.seek(SeekFrom::Start(first))?;
        let mut left = last + 1 - first;
        write!(to, "HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n")?;
        while left > 0 {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = file.read(&mut piece[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            to.write_all(&piece[..read])?;
            left -= read as u64;
        }
    }
    Ok(())
}

/// A file, and the first and last byte of it.
type Wanted = (PathBuf, Option<(u64, u64)>);

/// What is asked for; none when the client has gone.
fn request(from: &mut BufReader<TcpStream>, folder: &Path) -> io::Result<Option<Wanted>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = folder.join(line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/'));
    let mut range = None;
    loop {
        line.clear();
        from.read_line(&mut line)?;
        let header = line.trim_end();
        if header.is_empty() {
            return Ok(Some((path, range)));
        }
        let bytes = header.strip_prefix("range: bytes=").and_then(|range| range.split_once('-'));
        range = bytes.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?))).or(range);
    }
}
