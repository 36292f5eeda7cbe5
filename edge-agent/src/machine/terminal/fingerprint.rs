//! What tells two terminals apart, for a model checker that must not look at the same one twice.

use std::hash::{Hash, Hasher};

use super::Terminal;

impl Hash for Terminal {
    /// Everything that decides what it does next, but not what it was told at its start.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.setup.boot, &self.book, &self.room).hash(state);
        (&self.tickets, self.next_ticket, &self.outbox).hash(state);
        (&self.config, &self.storing, &self.next_config).hash(state);
        (self.is_connected, self.connection).hash(state);
        (&self.sessions, &self.requests, &self.running).hash(state);
        (&self.actions, &self.known).hash(state);
        let probed = self.probed.as_ref().map(|(at, _)| at);
        (probed, self.probe_at, self.health_at, self.outputs.len()).hash(state);
    }
}
