//! Agents that are sent to rooms: that they were sent, and to whom. What they would do there is not simulated.

use super::World;
use super::calls::Refusal;
use crate::ids::RoomId;
use crate::ports::media_server::Dispatch;

const NS_PER_MS: i64 = 1_000_000;
/// Most agents in a room.
const AGENTS_MAX: usize = 100;

impl World {
    /// Sends an agent to a room.
    ///
    /// # Errors
    /// When there is no such room, or it is full of agents.
    pub fn send_agent(&mut self, room: &RoomId, agent: String) -> Result<Dispatch, Refusal> {
        let id = self.fresh_id("AD_");
        let created_at = self.now.0 * NS_PER_MS;
        let agents = self.agents_in(room)?;
        if agents.len() >= AGENTS_MAX {
            return Err(Refusal::new("resource_exhausted", "too many agents"));
        }
        let sent = Dispatch { created_at, id, agent };
        agents.push(sent.clone());
        Ok(sent)
    }

    /// The agents of a room, in the order in which they were sent.
    ///
    /// # Errors
    /// When there is no such room.
    pub fn agents_of(&mut self, room: &RoomId) -> Result<Vec<Dispatch>, Refusal> {
        self.agents_in(room).cloned()
    }

    /// Calls an agent back.
    ///
    /// # Errors
    /// When there is no such room, or the agent is not in it.
    pub fn call_agent_back(&mut self, room: &RoomId, id: &str) -> Result<Dispatch, Refusal> {
        let agents = self.agents_in(room)?;
        let at = agents.iter().position(|sent| sent.id == id);
        let at = at.ok_or_else(|| Refusal::behind("not_found", "dispatch not found"))?;
        Ok(agents.remove(at))
    }

    fn agents_in(&mut self, room: &RoomId) -> Result<&mut Vec<Dispatch>, Refusal> {
        self.rooms.get_mut(room).map(|room| &mut room.agents).ok_or_else(Refusal::no_such_room)
    }
}
