//! A front before fake-gcs-server, which knows Google's PUT of a file only as that of a signed URL, and answers it
//! with JSON where Google has a header.
//!
//! Passes everything else on as it is.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Runs until it is dropped.
pub struct Front {
    pub port: u16,
    serving: JoinHandle<()>,
}

impl Front {
    /// Before the server at this port.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(pass_on).with_state((reqwest::Client::new(), server));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, serving }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(State((client, server)): State<(reqwest::Client, u16)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let puts = parts.method == Method::PUT;
    let signed = if puts { "?X-Goog-Algorithm=none" } else { "" };
    let url = format!("http://127.0.0.1:{server}{target}{signed}");
    let mut headers = parts.headers;
    headers.remove("host");
    let passed = client.request(parts.method, url).headers(headers);
    match passed.body(reqwest::Body::wrap_stream(body.into_data_stream())).send().await {
        Ok(answer) if puts && answer.status().is_success() => {
            let put: serde_json::Value = answer.json().await.unwrap();
            ([("etag", put["etag"].as_str().unwrap().to_owned())], "").into_response()
        }
        Ok(answer) => {
            let mut response = Response::builder().status(answer.status());
            for (name, value) in answer.headers() {
                response = response.header(name, value);
            }
            response.body(Body::from_stream(answer.bytes_stream())).unwrap()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
