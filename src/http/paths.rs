//! Letter case and trailing slashes of paths: both are ignored, ids are never touched (contract `access.md` 7).
//!
//! The router compares exactly, so a path that means a known route is respelled before it gets there. The
//! routes themselves are the only list of what is fixed and what is an id.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The routes, as the router spells them: `{x}` stands for one segment of the client's.
#[derive(Debug, Clone)]
pub struct Paths(Vec<String>);

impl Paths {
    /// Where two routes fit one path, the first wins.
    #[must_use]
    pub fn new(routes: &[String]) -> Self {
        Self(routes.to_vec())
    }

    /// Respells a request's path. One that fits no route is left as it is.
    #[must_use]
    pub fn canonical(&self, mut request: Request) -> Request {
        let uri = request.uri();
        let Some(path) = self.0.iter().find_map(|route| respell(route, uri.path())) else { return request };
        if path == uri.path() {
            return request;
        }
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut parts = uri.clone().into_parts();
        // Made of parts of a valid URI; were it not one, the path as it came finds no route, which is harmless.
        if let Ok(respelled) = PathAndQuery::try_from(format!("{path}{query}")) {
            parts.path_and_query = Some(respelled);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
        request
    }
}

/// The path in the route's spelling, if it fits.
fn respell(route: &str, path: &str) -> Option<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut theirs = path.split('/');
    let mut respelled: Vec<&str> = Vec::new();
    for ours in route.split('/') {
        let theirs = theirs.next()?;
        let is_id = ours.starts_with('{');
        let fits = if is_id { !theirs.is_empty() } else { ours.eq_ignore_ascii_case(theirs) };
        if !fits {
            return None;
        }
        respelled.push(if is_id { theirs } else { ours });
    }
    theirs.next().is_none().then(|| respelled.join("/"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn fixed_segments_are_respelled_and_ids_are_not() {
        let routes = ["/meet/api/rooms", "/meet/api/rooms/all", "/meet/api/rooms/{id}", "/livez"];
        let paths = Paths::new(&routes.map(str::to_owned));
        let cases = [
            ("/meet/api/rooms", "/meet/api/rooms"),
            ("/MEET/Api/Rooms/", "/meet/api/rooms"),
            ("/Meet/API/rooms/AbC?X=Y", "/meet/api/rooms/AbC?X=Y"),
            ("/meet/api/rooms/A%2Fb/", "/meet/api/rooms/A%2Fb"),
            ("/meet/api/rooms/ALL", "/meet/api/rooms/all"),
            ("/Livez/", "/livez"),
            ("/meet/api/rooms//", "/meet/api/rooms//"),
            ("/meet/api/ROOMS/a/b", "/meet/api/ROOMS/a/b"),
            ("/OTHER/", "/OTHER/"),
            ("/", "/"),
        ];
        for (path, expected) in cases {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            assert_eq!(paths.canonical(request).uri(), expected, "{path}");
        }
    }
}
