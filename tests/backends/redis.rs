//! Redis: the suite of coordination over every way to reach it, what its outages look like, and what OpenVidu Meet
//! finds in it.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::cmd;
use reelkeeper::adapters::redis::RedisCoordination;
use reelkeeper::adapters::redis::target::Target;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::ports::coordination::{Coordination as _, Held, Standing};
use reelkeeper_actors::ports::{PortErrorKind, suite};

use crate::servers::{Backend, MASTER, Sentinel, redis};
use crate::stack::eventually;

/// What our keys begin with.
const PREFIX: &str = "reelkeeper";
const PASSWORD: &str = "a-password";
const DEADLINE: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_mins(1);

async fn connect(url: &str) -> RedisCoordination {
    RedisCoordination::connect(Target::parse(url).unwrap(), PREFIX, DEADLINE).await.unwrap()
}

async fn raw(service: &Backend) -> MultiplexedConnection {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{}/", service.port())).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn node() -> NodeId {
    NodeId::from_trusted("node-1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_coordinates() {
    let service = redis("").await;
    suite::coordination(&connect(&format!("redis://127.0.0.1:{}", service.port())).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_asks_for_no_password_takes_any() {
    let service = redis("").await;
    let coordination = connect(&format!("redis://:redispassword@127.0.0.1:{}/2", service.port())).await;
    coordination.renew(&node(), LONG).await.unwrap();
    assert_eq!(coordination.standing(&node()).await.unwrap(), Standing::Alive);
    let url = format!("redis://somebody:hush@127.0.0.1:{}", service.port());
    let refused = RedisCoordination::connect(Target::parse(&url).unwrap(), PREFIX, DEADLINE).await;
    assert_eq!(refused.err().expect("a user is never left out").kind, PortErrorKind::Misused);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deployments_share_a_database() {
    let service = redis("").await;
    let target = || Target::parse(&format!("redis://127.0.0.1:{}", service.port())).unwrap();
    let ours = RedisCoordination::connect(target(), "ours", DEADLINE).await.unwrap();
    let theirs = RedisCoordination::connect(target(), "theirs", DEADLINE).await.unwrap();
    let other = NodeId::from_trusted("node-2");
    ours.renew(&node(), LONG).await.unwrap();
    theirs.renew(&other, LONG).await.unwrap();
    let seen: Vec<_> = ours.nodes().await.unwrap().into_iter().map(|lease| lease.member.node).collect();
    assert_eq!(seen, [node()], "each sees its own nodes");
    assert!(ours.take_task("sweep", &node(), LONG).await.unwrap());
    assert!(theirs.take_task("sweep", &other, LONG).await.unwrap(), "each sweeps for itself");
    let others = RedisCoordination::connect(target(), "others", DEADLINE).await.unwrap();
    suite::coordination(&others).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ran_at_a_place_before_is_gone() {
    let service = redis("").await;
    let coordination = connect(&format!("redis://127.0.0.1:{}", service.port())).await;
    let successor = NodeId::from_trusted("node-2");
    for node in [&node(), &successor] {
        coordination.renew(node, LONG).await.unwrap();
        coordination.succeed("host:6080", node, LONG).await.unwrap();
    }
    assert_eq!(coordination.standing(&node()).await.unwrap(), Standing::Gone);
    assert_eq!(coordination.standing(&successor).await.unwrap(), Standing::Alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_a_password_coordinates_in_any_database() {
    let service = redis(PASSWORD).await;
    suite::coordination(&connect(&format!("redis://:{PASSWORD}@127.0.0.1:{}/7", service.port())).await).await;
    for login in ["", ":hush@", "nobody:hush@"] {
        let url = format!("redis://{login}127.0.0.1:{}", service.port());
        let refused = RedisCoordination::connect(Target::parse(&url).unwrap(), PREFIX, DEADLINE).await;
        let error = refused.err().expect("it is refused");
        assert_eq!(error.kind, PortErrorKind::Misused, "{login}: {error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_behind_a_sentinel_coordinates_before_and_after_it_is_replaced() {
    let mut services = Sentinel::start(PASSWORD).await;
    let url = format!(
        "redis+sentinel://:{PASSWORD}@127.0.0.1:{}/0?master={MASTER}&sentinel_password={PASSWORD}",
        services.watch.port()
    );
    let coordination = connect(&url).await;
    suite::coordination(&coordination).await;
    services.master.kill().await;
    eventually("the replica is the master now", async || coordination.renew(&node(), LONG).await.ok()).await;
    assert_eq!(coordination.standing(&node()).await.unwrap(), Standing::Alive);
    services.replica.kill().await;
    let error = coordination.renew(&node(), LONG).await.expect_err("nobody is left");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_named_in_time_and_over_by_itself() {
    let mut service = redis("").await;
    let coordination = connect(&format!("redis://127.0.0.1:{}", service.port())).await;
    coordination.renew(&node(), LONG).await.unwrap();
    service.freeze();
    let began = Instant::now();
    for call in [coordination.standing(&node()).await.map(drop), coordination.renew(&node(), LONG).await] {
        assert_eq!(call.expect_err("frozen").kind, PortErrorKind::Unavailable);
    }
    assert!(began.elapsed() < 3 * DEADLINE, "{:?}", began.elapsed());
    service.thaw();
    eventually("it answers again", async || coordination.standing(&node()).await.ok()).await;

    service.kill().await;
    let error = coordination.standing(&node()).await.expect_err("away");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    service.start_again().await;
    // The first call after it, though the old connection died unseen.
    let standing = coordination.standing(&node()).await.unwrap();
    assert_eq!(standing, Standing::Alive, "it lost everything, so a missing lease says nothing");
    coordination.renew(&node(), LONG).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_leases_were_lost_nobody_counts_as_gone_for_one_lease() {
    let mut service = redis("").await;
    let coordination = connect(&format!("redis://127.0.0.1:{}", service.port())).await;
    let (lost, renewing) = (NodeId::from_trusted("lost"), NodeId::from_trusted("renewing"));
    coordination.renew(&lost, LONG).await.unwrap();
    service.kill().await;
    service.start_again().await;
    let lease = Duration::from_secs(2);
    eventually("it is back", async || coordination.renew(&renewing, lease).await.ok()).await;
    let renewed = Instant::now();
    assert_eq!(coordination.standing(&lost).await.unwrap(), Standing::Alive, "it may live");
    eventually("it counts as gone", async || {
        let standing = coordination.standing(&lost).await.unwrap();
        (standing == Standing::Gone).then_some(())
    })
    .await;
    assert!(renewed.elapsed() + Duration::from_millis(100) >= lease, "{:?}", renewed.elapsed());
    coordination.renew(&lost, LONG).await.unwrap();
    coordination.leave(&lost).await.unwrap();
    assert_eq!(coordination.standing(&lost).await.unwrap(), Standing::Gone, "who leaves says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn meets_lock_and_its_entry_are_written_and_freed_together() {
    let service = redis("").await;
    let (coordination, mut raw) =
        (connect(&format!("redis://127.0.0.1:{}", service.port())).await, raw(&service).await);
    let room = RoomId::from_trusted("room-abc");
    let lock = "ov_meet_lock:recording_active_room-abc";
    let entry = format!("ov_meet_lock_registry:{lock}");
    let mut get =
        async |key: &str| -> Option<String> { cmd("GET").arg(key).query_async(&mut raw).await.unwrap() };

    assert_eq!(coordination.hold_room(&room, LONG).await.unwrap(), Held::Ours);
    let value = get(lock).await.expect("the lock");
    assert!(value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{value}");
    let written: serde_json::Value = serde_json::from_str(&get(&entry).await.expect("its entry")).unwrap();
    assert_eq!(written["resources"], serde_json::json!([lock]));
    assert_eq!(written["value"], value.as_str());
    let week = 7 * 24 * 3_600_000_i64;
    let lasts = written["expiration"].as_i64().unwrap() - written["createdAt"].as_i64().unwrap();
    assert_eq!(lasts, week - (week / 100 + 2), "as Redlock reckons with drift");

    // What Redis lost is written again.
    let _: () = cmd("DEL").arg(&entry).query_async(&mut self::raw(&service).await).await.unwrap();
    assert_eq!(coordination.hold_room(&room, LONG).await.unwrap(), Held::Ours);
    assert!(get(&entry).await.is_some());
    coordination.free_room(&room).await.unwrap();
    assert_eq!((get(lock).await, get(&entry).await), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_meets_is_respected_while_it_is_young() {
    let service = redis("").await;
    let (coordination, mut raw) =
        (connect(&format!("redis://127.0.0.1:{}", service.port())).await, raw(&service).await);
    let room = RoomId::from_trusted("room-abc");
    let lock = "ov_meet_lock:recording_active_room-abc";
    let theirs = "f".repeat(32);
    let mut take = async |lasts: Duration| {
        let millis = u64::try_from(lasts.as_millis()).unwrap();
        let _: () =
            cmd("SET").arg(lock).arg(&theirs).arg("PX").arg(millis).query_async(&mut raw).await.unwrap();
    };
    let week = Duration::from_hours(7 * 24);
    take(week).await;
    assert_eq!(coordination.hold_room(&room, LONG).await.unwrap(), Held::Theirs);
    coordination.free_room(&room).await.unwrap();
    assert_eq!(coordination.hold_room(&room, LONG).await.unwrap(), Held::Theirs, "only ours is freed");
    take(week.saturating_sub(2 * LONG)).await;
    assert_eq!(coordination.hold_room(&room, LONG).await.unwrap(), Held::Ours, "an old one is taken over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_meet_took_is_free_again_after_the_time_it_meant() {
    let service = redis("").await;
    let (coordination, mut raw) =
        (connect(&format!("redis://127.0.0.1:{}", service.port())).await, raw(&service).await);
    let room = RoomId::from_trusted("room-abc");
    let lasts = Duration::from_hours(12);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    for (name, age) in [("ann", lasts + LONG), ("bob", lasts.saturating_sub(LONG))] {
        let key = format!("ov_meet:room_participants:room-abc:{name}");
        let since = u64::try_from(now.saturating_sub(age).as_millis()).unwrap();
        // Its 12 hours in milliseconds, given as seconds.
        let _: () =
            cmd("SET").arg(key).arg(since).arg("EX").arg(43_200_000).query_async(&mut raw).await.unwrap();
    }
    for (wanted, expected) in [("Ann", "Ann"), ("Bob", "Bob_1"), ("Ann", "Ann_1")] {
        let name = coordination.reserve_name(&room, wanted, lasts).await.unwrap();
        assert_eq!(name.as_deref(), Some(expected), "{wanted}");
    }
}
