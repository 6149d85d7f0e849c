//! Live captions: an agent that is sent to a meeting for as long as anybody in it wants them (contract `rooms.md` 7).
//!
//! A wish is noted before the agent is looked for, and looked at again after the agent was called back; of several
//! agents the oldest stays. So two nodes, or nodes of Meet, may do this at once without a lock: whoever is later sees
//! what the earlier one did, and a meeting in which captions are wanted has one agent.

use std::sync::Arc;

use super::Orchestrator;
use super::meetings::{is_in_livekit, of_livekit};
use crate::ids::RoomId;
use crate::meeting::Room;
use crate::meeting::joining::{MeetingSettings, RoomOrder, STAY_LASTS};
use crate::ports::PortError;
use crate::ports::media_server::Dispatch;
use crate::room::Shared;
use crate::room::commit::bounded;

/// The agent that makes captions, as it calls itself to LiveKit.
const AGENT: &str = "speech-processing";

impl Orchestrator {
    /// Notes that somebody in a meeting wants captions, and sends the agent unless it is there.
    ///
    /// # Errors
    /// When LiveKit or the coordination is away; the wish may have been noted all the same.
    pub async fn start_captions(
        &self,
        room: &Room,
        settings: &MeetingSettings,
        identity: &str,
    ) -> Result<Dispatch, PortError> {
        let world = &self.shared.world;
        let wish = world.coordination.want_captions(&room.room_id, identity, STAY_LASTS);
        bounded(&self.shared, wish).await?;
        world.media_server.create_room(&RoomOrder::of(room, settings)).await.map_err(of_livekit)?;
        the_agent(&self.shared, &room.room_id).await
    }

    /// Forgets that somebody in a meeting wants captions, and calls the agent back if nobody else does.
    ///
    /// # Errors
    /// When LiveKit or the coordination is away; the wish may have been forgotten all the same.
    pub async fn stop_captions(&self, room: &RoomId, identity: &str) -> Result<(), PortError> {
        let world = &self.shared.world;
        bounded(&self.shared, world.coordination.decline_captions(room, identity)).await?;
        self.call_agent_back(room).await
    }

    /// The same for somebody who left. That costs nothing unless they wanted captions.
    pub(super) async fn captions_of_one_who_left(
        &self,
        room: &RoomId,
        identity: &str,
    ) -> Result<(), PortError> {
        let world = &self.shared.world;
        if bounded(&self.shared, world.coordination.decline_captions(room, identity)).await? {
            self.call_agent_back(room).await?;
        }
        Ok(())
    }

    async fn call_agent_back(&self, room: &RoomId) -> Result<(), PortError> {
        let world = &self.shared.world;
        if are_wanted(&self.shared, room).await? {
            return Ok(());
        }
        // An agent goes with its room.
        if !is_in_livekit(&self.shared, room).await? {
            return Ok(());
        }
        let agents = agents(&self.shared, room).await?;
        if agents.is_empty() {
            return Ok(());
        }
        for agent in &agents {
            world.media_server.call_back(room, &agent.id).await.map_err(of_livekit)?;
        }
        tracing::info!(room.id = %room, "nobody wants captions any more, the agent was called back");
        if are_wanted(&self.shared, room).await? {
            the_agent(&self.shared, room).await?;
        }
        Ok(())
    }
}

async fn are_wanted(shared: &Arc<Shared>, room: &RoomId) -> Result<bool, PortError> {
    bounded(shared, shared.world.coordination.are_captions_wanted(room)).await
}

/// Those that make captions in a room, the oldest first.
async fn agents(shared: &Arc<Shared>, room: &RoomId) -> Result<Vec<Dispatch>, PortError> {
    let mut agents = shared.world.media_server.dispatches(room).await.map_err(of_livekit)?;
    agents.retain(|sent| sent.agent == AGENT);
    agents.sort();
    Ok(agents)
}

/// The agent of a room; it is sent if there is none, and only one stays.
async fn the_agent(shared: &Arc<Shared>, room: &RoomId) -> Result<Dispatch, PortError> {
    let media_server = &shared.world.media_server;
    let mut all = agents(shared, room).await?;
    if all.is_empty() {
        let sent = media_server.dispatch(room, AGENT).await.map_err(of_livekit)?;
        tracing::info!(room.id = %room, agent.id = %sent.id, "captions are wanted, the agent was sent");
        all = agents(shared, room).await?;
        if all.is_empty() {
            return Ok(sent);
        }
    }
    let kept = all.remove(0);
    for surplus in all {
        media_server.call_back(room, &surplus.id).await.map_err(of_livekit)?;
    }
    Ok(kept)
}
