//! OpenVidu Meet's backends: MongoDB, Redis and its bucket, said by its own variables (contract `storage.md` 7).
//!
//! Owns how their many variables become our few options, with Meet's defaults. One variable of any backend is
//! enough to choose all three; a URL of ours takes its own port out (design 2).

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::layers::Entry;

/// Any of these chooses Meet's backends for all three ports.
const BACKENDS: [&str; 5] =
    ["MEET_MONGO_", "MEET_REDIS_", "MEET_S3_", "MEET_AZURE_", "MEET_BLOB_STORAGE_MODE"];

/// What ends the user's part of a URI too early. The original writes credentials into its URI as they are, so
/// whoever runs it has encoded them already: a percent sign stays.
const ENDS_USER: &AsciiSet =
    &CONTROLS.add(b' ').add(b':').add(b'/').add(b'?').add(b'#').add(b'[').add(b']').add(b'@');

/// Variables that say one option as it is, with Meet's default, when Meet's S3 is chosen.
const S3: [(&str, &str, &str); 7] = [
    ("blobs.endpoint", "MEET_S3_SERVICE_ENDPOINT", "http://localhost:9000"),
    ("blobs.region", "MEET_AWS_REGION", "us-east-1"),
    ("blobs.access_key", "MEET_S3_ACCESS_KEY", "minioadmin"),
    ("blobs.secret_key", "MEET_S3_SECRET_KEY", "minioadmin"),
    ("blobs.sse_type", "MEET_S3_SSE_TYPE", ""),
    ("blobs.sse_kms_key_id", "MEET_S3_SSE_KMS_KEY_ID", ""),
    ("blobs.sse_kms_context", "MEET_S3_SSE_KMS_ENCRYPTION_CONTEXT", ""),
];
/// The same for Azure.
const AZURE: [(&str, &str, &str); 3] = [
    ("blobs.subbucket", "MEET_AZURE_SUBCONTAINER_NAME", "openvidu-meet"),
    ("blobs.account", "MEET_AZURE_ACCOUNT_NAME", ""),
    ("blobs.account_key", "MEET_AZURE_ACCOUNT_KEY", ""),
];
/// What else says an option, alone or with others.
const OTHERS: [(&str, &str); 6] = [
    ("store.url", "MEET_MONGO_URI"),
    ("store.database", "MEET_MONGO_DB_NAME"),
    ("coordination.url", "MEET_REDIS_HOST"),
    ("blobs.url", "MEET_BLOB_STORAGE_MODE"),
    ("blobs.subbucket", SUBBUCKET),
    ("blobs.path_style", "MEET_S3_WITH_PATH_STYLE_ACCESS"),
];
/// Counts with folders of ours too.
const SUBBUCKET: &str = "MEET_S3_SUBBUCKET";

/// Their names for an option, the most telling first.
pub(super) fn names_of(key: &str) -> impl Iterator<Item = &'static str> {
    let others = OTHERS.iter().copied();
    let alone = S3.iter().chain(&AZURE).map(|(key, variable, _)| (*key, *variable));
    others.chain(alone).filter(move |(said, _)| *said == key).map(|(_, variable)| variable)
}

/// The environment, as Meet reads it.
struct Env<'a>(&'a BTreeMap<String, String>);

impl Env<'_> {
    /// A variable that may be empty on purpose.
    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    /// A variable that counts as not set when it is empty.
    fn filled<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty()).unwrap_or(default)
    }

    /// Which cloud has the files.
    fn mode(&self) -> &str {
        self.filled("MEET_BLOB_STORAGE_MODE", "s3")
    }

    fn all(
        &self,
        table: &'static [(&'static str, &'static str, &'static str)],
    ) -> Vec<(&'static str, String)> {
        table.iter().map(|(key, name, default)| (*key, self.get(name, default).to_owned())).collect()
    }

    /// The first variable that is set and begins so.
    fn chosen_by(&self, prefixes: &[&str]) -> Option<&str> {
        let mut set = self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str());
        set.find(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    }
}

/// Our variable that takes a port out, what those of Meet's begin with that choose it, and what they say.
type Port<'a> = (&'a str, &'a [&'a str], Vec<(&'static str, String)>);

/// What Meet's variables say of the three ports; nothing if none of them is set.
pub(super) fn entries(env: &BTreeMap<String, String>) -> Vec<Entry> {
    let env = Env(env);
    let mut entries = Vec::new();
    if let Some(folder) = env.0.get(SUBBUCKET).filter(|_| env.mode() != "abs") {
        entries.push(Entry::new("blobs.subbucket", folder, SUBBUCKET));
    }
    let Some(any) = env.chosen_by(&BACKENDS) else { return entries };
    let ports: [Port<'_>; 3] = [
        ("REELKEEPER_STORE", &BACKENDS[0..1], store(&env)),
        ("REELKEEPER_COORDINATION", &BACKENDS[1..2], coordination(&env)),
        ("REELKEEPER_BLOBS", &BACKENDS[2..5], blobs(&env)),
    ];
    for (ours, prefixes, options) in ports {
        if !env.filled(ours, "").is_empty() {
            continue;
        }
        let variable = env.chosen_by(prefixes).unwrap_or(any);
        let source = format!("{variable}, which chooses OpenVidu Meet's backends");
        entries.extend(options.into_iter().map(|(key, value)| Entry::new(key, &value, &source)));
    }
    entries
}

fn store(env: &Env<'_>) -> Vec<(&'static str, String)> {
    let uri = env.filled("MEET_MONGO_URI", "");
    let uri = if uri.is_empty() { mongo_uri(env) } else { uri.to_owned() };
    vec![("store.url", uri), ("store.database", env.get("MEET_MONGO_DB_NAME", "openvidu-meet").to_owned())]
}

/// The URI that Meet makes of its parts.
fn mongo_uri(env: &Env<'_>) -> String {
    let port = env.get("MEET_MONGO_PORT", "27017");
    let nodes: Vec<&str> = env.get("MEET_MONGO_NODES", "localhost").split(',').map(str::trim).collect();
    let hosts: Vec<String> = nodes.iter().map(|node| format!("{node}:{port}")).collect();
    let [user, password] = ["MEET_MONGO_ADMIN_USERNAME", "MEET_MONGO_ADMIN_PASSWORD"]
        .map(|name| utf8_percent_encode(env.get(name, "mongoadmin"), ENDS_USER).to_string());
    let set = env.get("MEET_MONGO_REPLICA_SET_NAME", "rs0");
    let direct = if matches!(nodes[..], ["localhost" | "127.0.0.1"]) { "&directConnection=true" } else { "" };
    format!("mongodb://{user}:{password}@{}/?replicaSet={set}{direct}", hosts.join(","))
}

fn coordination(env: &Env<'_>) -> Vec<(&'static str, String)> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = encoded(env.get("MEET_REDIS_USERNAME", ""));
    let password = encoded(env.get("MEET_REDIS_PASSWORD", "redispassword"));
    let who =
        if user.is_empty() && password.is_empty() { String::new() } else { format!("{user}:{password}@") };
    let database = env.get("MEET_REDIS_DB", "0");
    let sentinels = env.get("MEET_REDIS_SENTINEL_HOST_LIST", "");
    let url = if sentinels.is_empty() {
        let host = env.get("MEET_REDIS_HOST", "localhost");
        format!("redis://{who}{host}:{}/{database}", env.get("MEET_REDIS_PORT", "6379"))
    } else {
        let hosts: Vec<&str> = sentinels.split(',').map(str::trim).collect();
        let master = encoded(env.get("MEET_REDIS_SENTINEL_MASTER_NAME", "openvidu"));
        let sentinel_password = encoded(env.get("MEET_REDIS_SENTINEL_PASSWORD", ""));
        format!(
            "redis+sentinel://{who}{}/{database}?master={master}&sentinel_password={sentinel_password}",
            hosts.join(",")
        )
    };
    vec![("coordination.url", url)]
}

fn blobs(env: &Env<'_>) -> Vec<(&'static str, String)> {
    let bucket = env.get("MEET_S3_BUCKET", "openvidu-appdata");
    match env.mode() {
        "abs" => {
            let container = env.get("MEET_AZURE_CONTAINER_NAME", "openvidu-appdata");
            [vec![("blobs.url", format!("az://{container}"))], env.all(&AZURE)].concat()
        }
        "gcs" => vec![("blobs.url", format!("gs://{bucket}"))],
        _ => {
            let path_style = env.get("MEET_S3_WITH_PATH_STYLE_ACCESS", "true") == "true";
            let own =
                vec![("blobs.url", format!("s3://{bucket}")), ("blobs.path_style", path_style.to_string())];
            let mut all = [own, env.all(&S3)].concat();
            // With one of them empty Meet uses neither, and asks AWS's own chain.
            let keys = ["blobs.access_key", "blobs.secret_key"];
            if all.iter().any(|(key, value)| keys.contains(key) && value.is_empty()) {
                all.iter_mut().filter(|(key, _)| keys.contains(key)).for_each(|(_, value)| value.clear());
            }
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the variables say, as `key = value`.
    fn said(env: &[(&str, &str)]) -> Vec<String> {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        entries(&env).into_iter().map(|entry| format!("{} = {}", entry.key, entry.value)).collect()
    }

    #[test]
    fn one_variable_chooses_all_three_with_meets_defaults() {
        assert_eq!(said(&[("MEET_LOG_LEVEL", "info"), ("MEET_MONGO_URI", "")]), Vec::<String>::new());
        let expected = [
            "store.url = mongodb://mongoadmin:mongoadmin@localhost:27017/?replicaSet=rs0&directConnection=true",
            "store.database = openvidu-meet",
            "coordination.url = redis://:redispassword@cache:6379/0",
            "blobs.url = s3://openvidu-appdata",
            "blobs.path_style = true",
            "blobs.endpoint = http://localhost:9000",
            "blobs.region = us-east-1",
            "blobs.access_key = minioadmin",
            "blobs.secret_key = minioadmin",
            "blobs.sse_type = ",
            "blobs.sse_kms_key_id = ",
            "blobs.sse_kms_context = ",
        ];
        assert_eq!(said(&[("MEET_REDIS_HOST", "cache")]), expected);
    }

    #[test]
    fn every_variable_is_understood() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (&[("MEET_MONGO_URI", "mongodb://a/x")], "store.url = mongodb://a/x"),
            (&[("MEET_MONGO_DB_NAME", "mine")], "store.database = mine"),
            (
                &[
                    ("MEET_MONGO_NODES", "one, two"),
                    ("MEET_MONGO_PORT", "1"),
                    ("MEET_MONGO_ADMIN_USERNAME", "me"),
                    ("MEET_MONGO_ADMIN_PASSWORD", "a@b%2F"),
                    ("MEET_MONGO_REPLICA_SET_NAME", "rs1"),
                ],
                "store.url = mongodb://me:a%40b%2F@one:1,two:1/?replicaSet=rs1",
            ),
            (
                &[
                    ("MEET_REDIS_PORT", "1"),
                    ("MEET_REDIS_DB", "3"),
                    ("MEET_REDIS_USERNAME", "me"),
                    ("MEET_REDIS_PASSWORD", "a@b%"),
                ],
                "coordination.url = redis://me:a%40b%25@localhost:1/3",
            ),
            (&[("MEET_REDIS_PASSWORD", "")], "coordination.url = redis://localhost:6379/0"),
            (
                &[
                    ("MEET_REDIS_SENTINEL_HOST_LIST", "a:1, b:2"),
                    ("MEET_REDIS_SENTINEL_PASSWORD", "s&p"),
                    ("MEET_REDIS_SENTINEL_MASTER_NAME", "m"),
                ],
                "coordination.url = redis+sentinel://:redispassword@a:1,b:2/0?master=m&sentinel_password=s%26p",
            ),
            (&[("MEET_S3_ACCESS_KEY", ""), ("MEET_S3_BUCKET", "b")], "blobs.access_key = "),
            (
                &[("MEET_BLOB_STORAGE_MODE", "abs"), ("MEET_AZURE_SUBCONTAINER_NAME", "sub")],
                "blobs.subbucket = sub",
            ),
            (&[("MEET_BLOB_STORAGE_MODE", "gcs"), ("MEET_S3_BUCKET", "b")], "blobs.url = gs://b"),
        ];
        for (env, expected) in cases {
            // What is empty on purpose chooses nothing alone.
            let said = said(&[env, &[("MEET_S3_BUCKET", "b")][..]].concat());
            assert!(said.iter().any(|line| line == expected), "{env:?}: {said:#?}");
        }
    }

    #[test]
    fn a_url_of_ours_takes_its_port_out() {
        let said =
            said(&[("MEET_S3_BUCKET", "b"), ("REELKEEPER_BLOBS", "file:///x"), ("REELKEEPER_STORE", "")]);
        assert!(said.iter().all(|line| !line.starts_with("blobs.")), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("store.url")), "{said:?}");
    }

    #[test]
    fn the_folder_counts_wherever_the_files_are() {
        assert_eq!(said(&[("MEET_S3_SUBBUCKET", "")]), ["blobs.subbucket = "]);
        let ours = said(&[("MEET_S3_SUBBUCKET", "mine"), ("REELKEEPER_BLOBS", "file:///x")]);
        assert!(ours.iter().any(|line| line == "blobs.subbucket = mine"), "{ours:?}");
        let azure = said(&[("MEET_S3_SUBBUCKET", "mine"), ("MEET_BLOB_STORAGE_MODE", "abs")]);
        assert!(azure.iter().all(|line| line != "blobs.subbucket = mine"), "{azure:?}");
    }
}
