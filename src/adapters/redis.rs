//! Redis: leases, names, and what nodes of OpenVidu Meet share with ours (`redis://`, `rediss://`,
//! `redis+sentinel://`).
//!
//! Owns the keys (contract `storage.md` 6; ours begin as the deployment says) and the scripts that change them, each in
//! one step and safe to repeat. Time is the server's. Read [`target`] for the URLs and `link` for how a connection
//! is kept.

mod link;
pub mod target;

use std::fmt::Display;
use std::time::Duration;

use ::redis::cmd;
use async_trait::async_trait;
use reelkeeper_actors::ids::{NodeId, RoomId};
use reelkeeper_actors::meeting::joining::{self, compared};
use reelkeeper_actors::ports::PortError;
use reelkeeper_actors::ports::coordination::{Coordination, Held, Lease, Member, NAMES_MAX, Standing, Tally};
use reelkeeper_actors::recording::Recording;
use sha2::{Digest as _, Sha256};

use self::link::Link;
use self::target::Target;

/// The dependency's name in errors.
const COORDINATION: &str = "coordination";
/// Where Meet's nodes listen.
const CHANNEL: &str = "ov_meet_channel";
/// Keys that are looked at in one step while another may be served.
const SCANNED_AT_ONCE: u32 = 1_000;
/// How long Meet keeps its lock of a room that is recorded.
const LOCK_LASTS: Duration = Duration::from_hours(24 * 7);

/// Names of one kind that are looked at one by one for the first that is free; of more, some free one is taken.
const LOOKED_AT: u32 = 64;
/// How long it is remembered that a node left.
const GONE_LASTS: Duration = Duration::from_hours(24);

/// Takes a free name, the first that can be found without looking at hundreds, and notes it among those of the room. A
/// name that Meet took longer ago than a name is meant to last is free: it wrote seconds where milliseconds were meant.
const RESERVE: &str = r"
    local now = redis.call('TIME')
    now = now[1] * 1000 + math.floor(now[2] / 1000)
    local lasts = tonumber(ARGV[3])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then return -1 end
    local function taken(name)
        local value = redis.call('GET', ARGV[4] .. name)
        local since = value and tonumber(value)
        return value and (not since or now - since < lasts)
    end
    local try, many = 0, tonumber(ARGV[6])
    if taken(ARGV[1]) then
        try = 1
        while try < many and taken(ARGV[2] .. try) do try = try + 1 end
    end
    if try == many then
        local low, high = many - 1, many
        while taken(ARGV[2] .. high) do low, high = high, high * 2 end
        while high - low > 1 do
            local middle = math.floor((low + high) / 2)
            if taken(ARGV[2] .. middle) then low = middle else high = middle end
        end
        try = high
    end
    local name = try == 0 and ARGV[1] or ARGV[2] .. try
    redis.call('SET', ARGV[4] .. name, string.format('%.0f', now), 'PX', lasts)
    redis.call('ZADD', KEYS[1], now + lasts, name)
    if redis.call('PTTL', KEYS[1]) < lasts then redis.call('PEXPIRE', KEYS[1], lasts) end
    return try";
const FREE: &str = "
    redis.call('ZREM', KEYS[1], ARGV[1])
    return redis.call('DEL', KEYS[2])";
const FREE_ALL: &str = "
    for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('DEL', ARGV[1] .. name) end
    return redis.call('DEL', KEYS[1])";
/// Notes that somebody wants captions, as Meet does, and among those of the room.
const WANT: &str = r#"
    local now = redis.call('TIME')
    now = now[1] * 1000 + math.floor(now[2] / 1000)
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
    redis.call('SET', KEYS[2], string.format('{"enabled":true,"updatedAt":%.0f}', now), 'PX', ARGV[2])
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 1"#;
/// Whether anybody does whom we noted.
const WANTED: &str = "
    for _, who in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        if redis.call('EXISTS', ARGV[1] .. who) == 1 then return 1 end
        redis.call('ZREM', KEYS[1], who)
    end
    return 0";
/// One more, and the milliseconds until the count begins anew.
const ADD: &str = "
    local count = redis.call('INCR', KEYS[1])
    if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
    return {count, redis.call('PTTL', KEYS[1])}";
const TAKE: &str = "
    if (tonumber(redis.call('GET', KEYS[1])) or 0) < 1 then return 0 end
    return redis.call('DECR', KEYS[1])";
/// Takes a lease. Whoever finds no leases at all notes from when on a missing one says that its node is gone.
const RENEW: &str = "
    local now = redis.call('TIME')
    now = now[1] * 1000 + math.floor(now[2] / 1000)
    redis.call('SET', KEYS[3], string.format('%.0f', now + ARGV[2]), 'NX')
    redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
    return redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])";
/// 1: it lives, or nothing is known. 0: it is gone.
const STANDING: &str = "
    if redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
    if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
    local now = redis.call('TIME')
    now = now[1] * 1000 + math.floor(now[2] / 1000)
    local believed_from = tonumber(redis.call('GET', KEYS[3]))
    return (believed_from and now >= believed_from) and 0 or 1";
const LEAVE: &str = "
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
    redis.call('HDEL', KEYS[3], ARGV[1])
    return redis.call('DEL', KEYS[1])";
const NODES: &str = "
    local living = {}
    local all = redis.call('HGETALL', KEYS[1])
    for at = 1, #all, 2 do
        local left = redis.call('PTTL', ARGV[1] .. all[at])
        if left > 0 then
            table.insert(living, all[at])
            table.insert(living, all[at + 1])
            table.insert(living, tostring(left))
        else
            redis.call('HDEL', KEYS[1], all[at])
        end
    end
    return living";
const SUCCEED: &str = "
    local before = redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    if before and before ~= ARGV[1] then
        redis.call('SET', ARGV[4] .. before, '1', 'PX', ARGV[2])
        return redis.call('DEL', ARGV[3] .. before)
    end
    return 0";
const TAKE_TASK: &str = "
    local holder = redis.call('GET', KEYS[1])
    if holder and holder ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. holder) == 0 then return 0 end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1";
/// The lock and its entry in the registry, as Redlock and Meet write them: never one without the other. Meet's
/// Redlock writes to database 0 whatever is configured, so the lock lies there and its entry here.
const HOLD: &str = r#"
    local ttl, here = tonumber(ARGV[2]), ARGV[4]
    local now = redis.call('TIME')
    now = now[1] * 1000 + math.floor(now[2] / 1000)
    local entry = redis.call('GET', KEYS[2])
    redis.call('SELECT', 0)
    local value = redis.call('GET', KEYS[1])
    if value == ARGV[1] and entry then return 1 end
    if value and value ~= ARGV[1] then
        local age = ttl - redis.call('PTTL', KEYS[1])
        local read, lock = pcall(cjson.decode, entry or '')
        if read and type(lock) == 'table' and lock.value == value and tonumber(lock.createdAt) then
            age = now - lock.createdAt
        end
        if age < tonumber(ARGV[3]) then return 0 end
    end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
    redis.call('SELECT', here)
    local drift = math.floor(0.01 * ttl + 0.5) + 2
    redis.call('SET', KEYS[2], string.format('{"resources":["%s"],"value":"%s","expiration":%.0f,"createdAt":%.0f}',
        KEYS[1], ARGV[1], now + ttl - drift, now), 'PX', ttl)
    return 1"#;
const LET_GO: &str = "
    redis.call('SELECT', 0)
    local ours = redis.call('GET', KEYS[1]) == ARGV[1]
    if ours then redis.call('DEL', KEYS[1]) end
    redis.call('SELECT', ARGV[2])
    return ours and redis.call('DEL', KEYS[2]) or 0";

/// Coordination in Redis.
pub struct RedisCoordination {
    link: Link,
    database: i64,
    keys: Keys,
}

impl RedisCoordination {
    /// Connects and asks for an answer. One attempt. Our keys begin with `prefix`.
    ///
    /// # Errors
    /// `Misused` when the credentials are refused; `Unavailable` when nobody answers within the deadline.
    pub async fn connect(target: Target, prefix: &str, deadline: Duration) -> Result<Self, PortError> {
        let database = target.database();
        let link = Link::new(target, deadline)?;
        link.query::<String>(&"ping", &cmd("PING")).await?;
        Ok(Self { link, database, keys: Keys { prefix: prefix.to_owned() } })
    }

    /// Runs a script; every one of ours answers with a number.
    async fn script(
        &self,
        subject: &(dyn Display + Sync),
        code: &str,
        keys: &[String],
        values: &[String],
    ) -> Result<i64, PortError> {
        let mut eval = cmd("EVAL");
        eval.arg(code).arg(keys.len()).arg(keys).arg(values);
        self.link.query(subject, &eval).await
    }
}

fn millis(duration: Duration) -> String {
    // No script adds up to more than 2^53 with it.
    duration.as_millis().min(1 << 52).to_string()
}

/// Our own keys. All of one deployment begin alike.
struct Keys {
    prefix: String,
}

impl Keys {
    /// The addresses of all nodes that ever took a lease and were not found gone.
    fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// From when on a missing lease says that its node is gone: one lease after the first one was taken.
    fn believed(&self) -> String {
        format!("{}:believed", self.prefix)
    }

    fn node(&self, node: &NodeId) -> String {
        format!("{}:node:{node}", self.prefix)
    }

    /// Says that a node gave its lease up, or was succeeded.
    fn gone(&self, node: &NodeId) -> String {
        format!("{}:gone:{node}", self.prefix)
    }

    fn place(&self, place: &str) -> String {
        format!("{}:place:{place}", self.prefix)
    }

    fn task(&self, task: &str) -> String {
        format!("{}:task:{task}", self.prefix)
    }

    fn count(&self, name: &str) -> String {
        format!("{}:count:{name}", self.prefix)
    }

    /// The names of a room that we reserved, by when they end.
    fn names(&self, room: &RoomId) -> String {
        format!("{}:names:{room}", self.prefix)
    }

    /// Those of a room who want captions and whom we noted, by when that ends.
    fn captions(&self, room: &RoomId) -> String {
        format!("{}:captions:{room}", self.prefix)
    }
}

fn name_prefix(room: &RoomId) -> String {
    format!("ov_meet:room_participants:{room}:")
}

fn captions_prefix(room: &RoomId) -> String {
    format!("ov_meet:ai_assistant:participant_state:{room}:live_captions:")
}

/// The text as a pattern that only it matches.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| "*?[]^\\-".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Meet's lock of a room and its entry in the registry.
fn lock_keys(room: &RoomId) -> [String; 2] {
    let lock = format!("ov_meet_lock:recording_active_{room}");
    let registry = format!("ov_meet_lock_registry:{lock}");
    [lock, registry]
}

/// 32 hexadecimal digits, as Meet has them; the same for all nodes of ours: which of them records, the ledger says.
fn lock_value(room: &RoomId) -> String {
    let digest = Sha256::digest(format!("reelkeeper:{room}"));
    let first: [u8; 16] = std::array::from_fn(|at| digest[at]);
    format!("{:032x}", u128::from_be_bytes(first))
}

#[async_trait]
impl Coordination for RedisCoordination {
    async fn renew_at(&self, node: &NodeId, address: &str, ttl: Duration) -> Result<(), PortError> {
        let keys = [self.keys.node(node), self.keys.nodes(), self.keys.believed()];
        self.script(node, RENEW, &keys, &[node.to_string(), millis(ttl), address.to_owned()]).await.map(drop)
    }

    async fn nodes(&self) -> Result<Vec<Lease>, PortError> {
        let mut eval = cmd("EVAL");
        eval.arg(NODES).arg(1).arg(self.keys.nodes()).arg(self.keys.node(&NodeId::from_trusted("")));
        let found: Vec<String> = self.link.query(&"nodes", &eval).await?;
        let leases = found.chunks_exact(3).map(|lease| Lease {
            member: Member { node: NodeId::from_trusted(&lease[0]), address: lease[1].clone() },
            left: Duration::from_millis(lease[2].parse().unwrap_or_default()),
        });
        Ok(leases.collect())
    }

    async fn leave(&self, node: &NodeId) -> Result<(), PortError> {
        let keys = [self.keys.node(node), self.keys.gone(node), self.keys.nodes()];
        self.script(node, LEAVE, &keys, &[node.to_string(), millis(GONE_LASTS)]).await.map(drop)
    }

    async fn succeed(&self, place: &str, node: &NodeId, ttl: Duration) -> Result<(), PortError> {
        let key = self.keys.place(place);
        let nobody = NodeId::from_trusted("");
        let values = [node.to_string(), millis(ttl), self.keys.node(&nobody), self.keys.gone(&nobody)];
        self.script(node, SUCCEED, &[key], &values).await.map(drop)
    }

    async fn standing(&self, node: &NodeId) -> Result<Standing, PortError> {
        let keys = [self.keys.node(node), self.keys.gone(node), self.keys.believed()];
        let lives = self.script(node, STANDING, &keys, &[]).await? == 1;
        Ok(if lives { Standing::Alive } else { Standing::Gone })
    }

    async fn reserve_name(
        &self,
        room: &RoomId,
        wanted: &str,
        ttl: Duration,
    ) -> Result<Option<String>, PortError> {
        let before = joining::before_number(wanted);
        let (most, looked_at) = (NAMES_MAX.to_string(), LOOKED_AT.to_string());
        let values = [compared(wanted), compared(&before), millis(ttl), name_prefix(room), most, looked_at];
        Ok(match self.script(room, RESERVE, &[self.keys.names(room)], &values).await? {
            0 => Some(wanted.to_owned()),
            number if number > 0 => Some(format!("{before}{number}")),
            _ => None,
        })
    }

    async fn free_name(&self, room: &RoomId, name: &str) -> Result<(), PortError> {
        let name = compared(name);
        let keys = [self.keys.names(room), format!("{}{name}", name_prefix(room))];
        self.script(room, FREE, &keys, &[name]).await.map(drop)
    }

    async fn free_names(&self, room: &RoomId) -> Result<(), PortError> {
        self.script(room, FREE_ALL, &[self.keys.names(room)], &[name_prefix(room)]).await.map(drop)
    }

    async fn want_captions(&self, room: &RoomId, identity: &str, ttl: Duration) -> Result<(), PortError> {
        let keys = [self.keys.captions(room), format!("{}{identity}", captions_prefix(room))];
        let values = [identity.to_owned(), millis(ttl), NAMES_MAX.to_string()];
        self.script(room, WANT, &keys, &values).await.map(drop)
    }

    async fn decline_captions(&self, room: &RoomId, identity: &str) -> Result<bool, PortError> {
        let keys = [self.keys.captions(room), format!("{}{identity}", captions_prefix(room))];
        Ok(self.script(room, FREE, &keys, &[identity.to_owned()]).await? == 1)
    }

    async fn are_captions_wanted(&self, room: &RoomId) -> Result<bool, PortError> {
        let prefix = captions_prefix(room);
        if self.script(room, WANTED, &[self.keys.captions(room)], std::slice::from_ref(&prefix)).await? == 1 {
            return Ok(true);
        }
        let pattern = format!("{}*", escaped(&prefix));
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCANNED_AT_ONCE);
            let (next, found): (u64, Vec<String>) = self.link.query(room, &scan).await?;
            if !found.is_empty() || next == 0 {
                return Ok(!found.is_empty());
            }
            cursor = next;
        }
    }

    async fn forget_captions(&self, room: &RoomId) -> Result<(), PortError> {
        self.script(room, FREE_ALL, &[self.keys.captions(room)], &[captions_prefix(room)]).await.map(drop)
    }

    async fn take_task(&self, task: &str, node: &NodeId, ttl: Duration) -> Result<bool, PortError> {
        let values = [node.to_string(), millis(ttl), self.keys.gone(&NodeId::from_trusted(""))];
        Ok(self.script(&task, TAKE_TASK, &[self.keys.task(task)], &values).await? == 1)
    }

    async fn add_to_count(&self, name: &str, lasts: Duration) -> Result<Tally, PortError> {
        let mut eval = cmd("EVAL");
        eval.arg(ADD).arg(1).arg(self.keys.count(name)).arg(millis(lasts));
        let (count, left): (u32, i64) = self.link.query(&"count", &eval).await?;
        Ok(Tally { count, ends_in: Duration::from_millis(u64::try_from(left).unwrap_or_default()) })
    }

    async fn take_from_count(&self, name: &str) -> Result<(), PortError> {
        self.script(&"count", TAKE, &[self.keys.count(name)], &[]).await.map(drop)
    }

    fn stands_beside_meet(&self) -> bool {
        true
    }

    async fn hold_room(&self, room: &RoomId, theirs_last: Duration) -> Result<Held, PortError> {
        let values = [lock_value(room), millis(LOCK_LASTS), millis(theirs_last), self.database.to_string()];
        let held = self.script(room, HOLD, &lock_keys(room), &values).await?;
        Ok(if held == 1 { Held::Ours } else { Held::Theirs })
    }

    async fn free_room(&self, room: &RoomId) -> Result<(), PortError> {
        let values = [lock_value(room), self.database.to_string()];
        self.script(room, LET_GO, &lock_keys(room), &values).await.map(drop)
    }

    async fn announce_active(&self, recording: &Recording) -> Result<(), PortError> {
        let message = serde_json::json!({"eventType": "recording_active", "payload": recording}).to_string();
        self.link.query(&recording.recording_id, cmd("PUBLISH").arg(CHANNEL).arg(message)).await
    }
}
