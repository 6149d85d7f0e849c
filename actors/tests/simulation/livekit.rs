//! What happens to LiveKit: people come and go, workers die, what it is asked goes wrong.

use reelkeeper_actors::ids::{EgressId, RoomId};
use reelkeeper_actors::simulator::World as LiveKit;
use reelkeeper_actors::simulator::rooms::NewParticipant;
use reelkeeper_actors::simulator::views::DisconnectReason;

use crate::lock;
use crate::plan::Step;
use crate::stage::Stage;

/// Who is in the meetings.
const PERSON: &str = "ann";

impl Stage {
    pub fn act_in_livekit(&self, step: &Step) {
        let live = self.around.livekit.live();
        let name = |room: &usize| self.rooms[*room].room_id.clone();
        match step {
            Step::Leave { room } => {
                live.with(|world| world.leave(&name(room), PERSON, DisconnectReason::ClientInitiated));
            }
            Step::Join { room } => self.join(*room),
            Step::EndMeeting { room } => {
                live.with(|world| world.delete_room(&name(room)));
            }
            Step::Workers(workers) => live.with(|world| world.limit_workers(*workers)),
            Step::LiveKit(fault) => {
                live.with(|world| world.add_fault(fault.clone()));
            }
            Step::LiveKitHeals => live.with(LiveKit::clear_faults),
            Step::Forget => live.with(LiveKit::forget_egresses),
            Step::KillWorkers { room } => self.shake(&name(room), LiveKit::kill_worker),
            Step::CutOff { room, then } => {
                self.shake(&name(room), |world, egress| world.cut_off(egress, *then));
            }
            _ => unreachable!("{step:?} does not concern LiveKit"),
        }
    }

    /// Does something to the workers of a room.
    fn shake(&self, room: &RoomId, hit: impl Fn(&mut LiveKit, &EgressId) -> bool) {
        self.around.livekit.live().with(|world| {
            for egress in world.started_egresses().iter().filter(|egress| egress.room() == room) {
                if hit(world, &egress.egress) {
                    lock(&self.shaken).insert(egress.egress.clone());
                }
            }
        });
    }

    pub fn join(&self, room: usize) {
        let name = &self.rooms[room].room_id;
        self.around.livekit.live().with(|world| {
            if world.participants(name).iter().all(|participant| participant.identity != PERSON) {
                world.join(name, NewParticipant::person(PERSON)).expect("there is room for one more");
            }
        });
    }
}
