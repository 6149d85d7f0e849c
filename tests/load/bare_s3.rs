//! What media on S3 is compared with: a loop that fetches a file from the S3 server and sends it on, and does
//! nothing else. A request's path is that of a signed link; its range is handed on.

use std::net::SocketAddr;

use futures::StreamExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// Serves on a free port until it is killed; prints where.
pub fn serve(server: &str) -> Result<(), Failure> {
    let server = server.to_owned();
    tokio::runtime::Runtime::new()?.block_on(async move {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("http://{}", listener.local_addr()?);
        let client = reqwest::Client::builder().no_proxy().build()?;
        loop {
            let (connection, _) = listener.accept().await?;
            let (client, server) = (client.clone(), server.clone());
            tokio::spawn(async move {
                // A client that goes has all it wanted.
                let _ = answer(connection, &client, &server).await;
            });
        }
    })
}

async fn answer(connection: TcpStream, client: &reqwest::Client, server: &str) -> Result<(), Failure> {
    let mut connection = BufReader::new(connection);
    loop {
        let (mut path, mut range, mut line) = (String::new(), None, String::new());
        loop {
            line.clear();
            if connection.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if path.is_empty() {
                header.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
            }
            range = header.strip_prefix("range: ").map(str::to_owned).or(range);
        }
        let mut request = client.get(format!("http://{server}{path}"));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = request.send().await?.error_for_status()?;
        let length = answer.content_length().unwrap_or_default();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        connection.get_mut().write_all(head.as_bytes()).await?;
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            connection.get_mut().write_all(&piece?).await?;
        }
    }
}
