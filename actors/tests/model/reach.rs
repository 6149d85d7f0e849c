//! Whether from every state a quiet one can be reached, by what nodes and LiveKit do by themselves.
//!
//! Explores a set once more, with its edges, and goes back from the quiet states.

use std::collections::{HashMap, VecDeque};

use stateright::Model;

use super::steps::Step;
use super::story::{Story, comes_by_itself};
use super::world::World;

/// What was found of a set.
pub struct Reach {
    pub states: usize,
    pub quiet: usize,
    /// The way to a state from which no quiet one can be reached.
    pub stuck: Option<Vec<Step>>,
}

/// All states of a set, and how they follow one another.
#[derive(Default)]
struct Graph {
    names: HashMap<World, usize>,
    worlds: Vec<World>,
    /// From where, and how, each was reached first.
    came: Vec<Option<(usize, Step)>>,
    /// Who leads to each by a step that is no fault and no wish.
    before: Vec<Vec<usize>>,
}

/// None if the set has more than `most` states.
pub fn explore(story: &Story, most: usize) -> Option<Reach> {
    let mut graph = Graph::default();
    graph.name(&story.beginning(), None);
    let mut at = 0;
    while at < graph.worlds.len() {
        if graph.worlds.len() > most {
            return None;
        }
        let world = graph.worlds[at].clone();
        let mut steps = Vec::new();
        story.actions(&world, &mut steps);
        for step in steps {
            let Some(next) = story.next_state(&world, step) else { continue };
            let next = graph.name(&next, Some((at, step)));
            if comes_by_itself(&world, step) {
                graph.before[next].push(at);
            }
        }
        at += 1;
    }
    Some(graph.go_back())
}

impl Graph {
    fn name(&mut self, world: &World, came: Option<(usize, Step)>) -> usize {
        if let Some(name) = self.names.get(world) {
            return *name;
        }
        let name = self.worlds.len();
        self.names.insert(world.clone(), name);
        self.worlds.push(world.clone());
        self.came.push(came);
        self.before.push(Vec::new());
        name
    }

    fn go_back(&self) -> Reach {
        let quiet: Vec<usize> = (0..self.worlds.len()).filter(|at| self.worlds[*at].is_quiet).collect();
        let mut reaches = vec![false; self.worlds.len()];
        for at in &quiet {
            reaches[*at] = true;
        }
        let mut left: VecDeque<usize> = quiet.iter().copied().collect();
        while let Some(at) = left.pop_front() {
            for before in &self.before[at] {
                if !std::mem::replace(&mut reaches[*before], true) {
                    left.push_back(*before);
                }
            }
        }
        let stuck = reaches.iter().position(|reaches| !reaches).map(|at| self.way_to(at));
        Reach { states: self.worlds.len(), quiet: quiet.len(), stuck }
    }

    fn way_to(&self, mut at: usize) -> Vec<Step> {
        let mut way = Vec::new();
        while let Some((before, step)) = self.came[at] {
            way.push(step);
            at = before;
        }
        way.reverse();
        way
    }
}
