//! Logging in, and what a login is good for (contract `access.md` 1, 2, 4 and 7, and its deviations).

use serde_json::{Value, json};

use crate::bearers::{Shown, claims, login, now, send, signed, signed_with, try_login, with};
use crate::harness::{Reelkeeper, simulated};
use crate::wire::{Reply, try_send};

const PROFILE: &str = "/internal-api/v1/users/profile";

async fn profile(service: &Reelkeeper, shown: &Shown) -> Reply {
    send(service, "GET", PROFILE, shown, &Value::Null).await
}

async fn refresh(service: &Reelkeeper, shown: &Shown) -> Reply {
    send(service, "POST", "/internal-api/v1/auth/refresh", shown, &Value::Null).await
}

async fn change_password(service: &Reelkeeper, token: &str, body: &Value) -> Reply {
    let path = "/internal-api/v1/users/change-password";
    send(service, "POST", path, &Shown::access(token), body).await
}

#[tokio::test]
async fn the_first_admin_logs_in_and_sees_what_the_key_sees() {
    let (service, _sim) = simulated(&[]).await;
    let reply = try_login(&service, "admin", "admin").await.expect(200);
    assert_eq!(reply.json().as_object().unwrap().len(), 3, "{}", reply.text());
    assert_eq!(reply.header("ratelimit-policy"), "5;w=300");
    assert_eq!(reply.header("ratelimit"), "limit=5, remaining=4, reset=300");
    let (access, refreshing) = (reply.field("accessToken"), reply.field("refreshToken"));
    for (token, used_for, lifetime) in [(&access, "access", 7_200), (&refreshing, "refresh", 86_400)] {
        let claims = claims(token);
        assert_eq!(claims["sub"], "admin");
        assert_eq!(claims["metadata"], r#"{"roles":["admin","user"]}"#);
        assert_eq!((&claims["use"], &claims["nbf"]), (&json!(used_for), &json!(0)));
        let left = claims["exp"].as_i64().unwrap() - now();
        assert!((lifetime - 5..=lifetime).contains(&left), "{left}");
        assert_eq!(claims.get("iat").or(claims.get("jti")), None);
    }
    let admin = Shown::access(&access);
    let shown = profile(&service, &admin).await.expect(200).json();
    assert_eq!(shown, json!({"username": "admin", "roles": ["admin", "user"]}));

    let made = send(&service, "POST", "/api/v1/rooms", &admin, &json!({"roomName": "Town Hall"})).await;
    let room = made.expect(201).field("roomId");
    for path in [format!("/api/v1/rooms/{room}"), "/api/v1/recordings".to_owned()] {
        let with_key = service.call("GET", &path).await.expect(200).json();
        let with_token = send(&service, "GET", &path, &admin, &Value::Null).await.expect(200).json();
        let in_query = Shown::query("accessToken", &access);
        let with_query = send(&service, "GET", &path, &in_query, &Value::Null).await.expect(200).json();
        assert_eq!((&with_token, &with_query), (&with_key, &with_key), "{path}");
    }

    let again = refresh(&service, &Shown::refresh(&refreshing)).await.expect(200);
    let renewed = again.field("accessToken");
    assert_eq!(again.json().as_object().unwrap().len(), 2, "the refresh token stays the same");
    profile(&service, &Shown::access(&renewed)).await.expect(200);
    send(&service, "POST", "/internal-api/v1/auth/logout", &Shown::nothing(), &Value::Null).await.expect(200);
    profile(&service, &admin).await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn a_token_is_good_only_for_what_it_says() {
    let (service, _sim) = simulated(&[]).await;
    let session = login(&service, "admin", "admin").await;
    let good = claims(&session.access);
    let nobody = with(good.clone(), &[("sub", json!("nobody"))]);
    let bad = [
        (Shown::nothing(), 401, "Authentication Error"),
        (Shown::access(""), 401, "Authentication Error"),
        (Shown::access("nonsense"), 401, "Authentication Error"),
        (Shown::access(&session.refresh), 401, "Authentication Error"),
        (
            Shown::access(&signed(&with(good.clone(), &[("exp", json!(now() - 1))]))),
            401,
            "Authentication Error",
        ),
        (Shown::access(&signed(&with(good.clone(), &[("exp", Value::Null)]))), 401, "Authentication Error"),
        (
            Shown::access(&signed(&with(good.clone(), &[("nbf", json!(now() + 60))]))),
            401,
            "Authentication Error",
        ),
        (
            Shown::access(&signed(&with(good.clone(), &[("iss", json!("other"))]))),
            401,
            "Authentication Error",
        ),
        (Shown::access(&signed(&with(good.clone(), &[("use", Value::Null)]))), 401, "Authentication Error"),
        (
            Shown::access(&signed(&with(good.clone(), &[("mark", json!("0000"))]))),
            401,
            "Authentication Error",
        ),
        (Shown::access(&signed_with("another-secret", &good)), 401, "Authentication Error"),
        (Shown::access(&signed(&nobody)), 403, "Authorization Error"),
        (Shown::query("accessToken", "nonsense"), 401, "Authentication Error"),
        (Shown::member(&session.access), 401, "Authentication Error"),
        (Shown::key("the-api-key"), 401, "Authentication Error"),
    ];
    for (shown, status, error) in bad {
        let reply = profile(&service, &shown).await;
        assert_eq!((reply.status, reply.field("error").as_str()), (status, error), "{shown:?}");
    }
    // Letter case counts before a token, and then the query may say it.
    let lower =
        Shown { headers: vec![("authorization", format!("bearer {}", session.access))], ..Shown::nothing() };
    profile(&service, &lower).await.refused(401, "Authentication Error", "");
    profile(&service, &lower.and(Shown::query("accessToken", &session.access))).await.expect(200);

    let renewing = claims(&session.refresh);
    let bad = [
        (Shown::nothing(), 400, "Refresh Token Error"),
        (Shown::query("refreshToken", &session.refresh), 400, "Refresh Token Error"),
        (Shown::refresh(&session.access), 400, "Refresh Token Error"),
        (Shown::refresh("nonsense"), 400, "Refresh Token Error"),
        (
            Shown::refresh(&signed(&with(renewing.clone(), &[("exp", json!(now() - 1))]))),
            400,
            "Refresh Token Error",
        ),
        (Shown::refresh(&signed(&with(renewing, &[("sub", json!("nobody"))]))), 403, "Authorization Error"),
    ];
    for (shown, status, error) in bad {
        refresh(&service, &shown).await.refused(status, error, "");
    }
    service.finish().await;
}

#[tokio::test]
async fn a_new_password_ends_every_older_token() {
    let (service, _sim) = simulated(&[("MEET_INITIAL_ADMIN_PASSWORD", "first-password")]).await;
    let session = login(&service, "admin", "first-password").await;
    let refused: [(Value, u16, &str); 3] = [
        (json!({"currentPassword": "first-password", "newPassword": "1234"}), 422, "Unprocessable Entity"),
        (json!({"newPassword": "12345"}), 422, "Unprocessable Entity"),
        (json!({"currentPassword": "another", "newPassword": "12345"}), 400, "Change Password Error"),
    ];
    for (body, status, error) in refused {
        change_password(&service, &session.access, &body).await.refused(status, error, "");
    }
    profile(&service, &Shown::access(&session.access)).await.expect(200);

    let body = json!({"currentPassword": "first-password", "newPassword": "12345"});
    change_password(&service, &session.access, &body).await.expect(200);
    profile(&service, &Shown::access(&session.access)).await.refused(401, "Authentication Error", "");
    refresh(&service, &Shown::refresh(&session.refresh)).await.refused(400, "Refresh Token Error", "");
    change_password(&service, &session.access, &body).await.refused(401, "Authentication Error", "");
    try_login(&service, "admin", "first-password").await.refused(404, "Login Error", "");
    let session = login(&service, "admin", "12345").await;
    profile(&service, &Shown::access(&session.access)).await.expect(200);
    service.finish().await;
}

#[tokio::test]
async fn an_admin_outlives_a_restart_and_later_options_change_nothing() {
    let (service, sim) = simulated(&[]).await;
    let store = format!("sqlite://{}", service.folder.path().join("store.db").display());
    let folder = service.folder.clone();
    service.finish().await;
    let start = async |password: &str| {
        let settings =
            [("REELKEEPER_STORE", store.as_str()), ("REELKEEPER_INITIAL_ADMIN_PASSWORD", password)];
        Reelkeeper::start_in(folder.clone(), &sim.url, &settings).await
    };
    let service = start("first").await;
    let session = login(&service, "admin", "first").await;
    service.finish().await;
    let service = start("second").await;
    profile(&service, &Shown::access(&session.access)).await.expect(200);
    try_login(&service, "admin", "second").await.refused(404, "Login Error", "");
    service.finish().await;
}

#[tokio::test]
async fn wrong_logins_are_told_and_counted() {
    let (service, _sim) = simulated(&[]).await;
    let short = try_login(&service, "adm", "123").await.refused(422, "Unprocessable Entity", "");
    assert_eq!(short.header("ratelimit"), "", "what is no login is not counted");
    for remaining in (0..5).rev() {
        let (username, password) = if remaining % 2 == 0 { ("admin", "wrong") } else { ("nobody", "admin") };
        let reply = try_login(&service, username, password).await.refused(404, "Login Error", "Invalid");
        assert!(reply.header("ratelimit").starts_with(&format!("limit=5, remaining={remaining},")));
        if remaining == 2 {
            login(&service, "admin", "admin").await;
        }
    }
    let body = json!({"username": "admin", "password": "admin"});
    // Who a proxy would speak for is not believed unless we were told that there is one.
    let forged =
        service.bare("POST", "/meet/internal-api/v1/auth/login").header("x-forwarded-for", "192.0.2.1");
    for request in [service.bare("POST", "/meet/internal-api/v1/auth/login"), forged] {
        let reply = try_send(request.json(&body)).await.unwrap().expect(429);
        assert!(reply.header("content-type").starts_with("text/plain"), "{}", reply.header("content-type"));
        assert!(reply.header("ratelimit").starts_with("limit=5, remaining=0, reset="));
        let later: u32 = reply.header("retry-after").parse().unwrap();
        assert!((1..=300).contains(&later), "{later}");
    }
    service.finish().await;
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_a_count_of_its_own() {
    let (service, _sim) = simulated(&[("REELKEEPER_TRUST_PROXY", "true")]).await;
    let attempt = async |forwarded: &str, password: &str| {
        let request = service.bare("POST", "/meet/internal-api/v1/auth/login");
        let body = json!({"username": "admin", "password": password});
        try_send(request.header("x-forwarded-for", forwarded).json(&body)).await.unwrap().status
    };
    for n in 0..5 {
        // What the client itself put before its address changes nothing.
        assert_eq!(attempt(&format!("203.0.113.{n}, 192.0.2.1"), "wrong").await, 404);
    }
    assert_eq!(attempt("203.0.113.9, 192.0.2.1", "admin").await, 429);
    assert_eq!(attempt("192.0.2.2", "admin").await, 200);
    service.finish().await;
}
