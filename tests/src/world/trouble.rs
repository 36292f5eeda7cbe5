//! Crashes, cuts, partitions and stepped clocks, as the plan says.

use super::plan::{Fault, When};
use super::rare::start_terminal;
use super::{Happening, Party, World};

/// From a kill to the next start.
const DOWN_MAX_MS: u64 = 15_000;

impl World {
    /// A fault whose instant has come.
    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::CutTerminal { terminal } => {
                self.seen("power cut at any instant");
                self.cut(terminal);
            }
            Fault::KillPlatform | Fault::KillPlatformUnsent => {
                self.seen("platform killed at any instant");
                self.kill_platform();
            }
            Fault::KillServer => self.kill_server(),
            Fault::RestartBroker => {
                self.seen("broker restarted");
                for party in self.parties() {
                    self.disconnect(party);
                    self.connect_soon(party, 5_000);
                }
            }
            Fault::PartitionTerminal { terminal, for_ms } => {
                self.partition(Party::Terminal(terminal), for_ms);
            }
            Fault::PartitionServer { for_ms } => self.partition(Party::Server, for_ms),
            Fault::StepClock { by_ms } => {
                self.seen("wall clocks stepped");
                self.step_ms += by_ms;
            }
            Fault::FailSync { terminal } => {
                self.lanes[terminal].terminal.fail_next_sync(0);
                self.seen("sync failed");
            }
        }
    }

    fn partition(&mut self, party: Party, for_ms: u64) {
        self.seen("connection cut");
        self.disconnect(party);
        let until = self.tick.as_millis() + for_ms;
        if let Some(link) = self.links.get_mut(&party) {
            link.blocked_until = link.blocked_until.max(until);
        }
        self.connect_soon(party, 2_000);
    }

    pub(super) fn cut(&mut self, lane: usize) {
        let own = &mut self.lanes[lane];
        if !own.is_up {
            return;
        }
        own.is_up = false;
        own.boot += 1;
        own.is_write_due = false;
        let unsynced = own.terminal.unsynced_count() as u64;
        own.kept_unsynced = usize::try_from(own.dice.between(0, unsynced)).unwrap_or(0);
        let holds_all = unsynced == 0 && own.terminal.is_serving();
        if !holds_all && let Some(transaction) = own.last_motion {
            // Its result may be among what is lost, or in memory alone.
            self.oracle.excuse(transaction);
        }
        let own = &mut self.lanes[lane];
        // Nobody can know whether a device that was told to move did.
        for transaction in std::mem::take(&mut own.motions) {
            self.oracle.excuse(transaction);
            self.seen("power cut while a device moves");
        }
        self.go_down(Party::Terminal(lane));
    }

    pub(super) fn kill_platform(&mut self) {
        if self.is_platform_up {
            self.is_platform_up = false;
            self.is_commit_due = false;
            self.go_down(Party::Platform);
        }
    }

    pub(super) fn kill_server(&mut self) {
        if self.is_server_up {
            self.is_server_up = false;
            self.go_down(Party::Server);
        }
    }

    fn go_down(&mut self, party: Party) {
        self.disconnect(party);
        let ms = self.dice.between(100, DOWN_MAX_MS);
        self.after(ms, Happening::Start(party));
    }

    pub(super) fn start_again(&mut self, party: Party) {
        let now = self.now();
        match party {
            Party::Platform => {
                self.platform.crash(now);
                self.tap.platform_restarts();
                self.is_platform_up = true;
                self.commit_soon();
            }
            Party::Server => {
                self.server.restart(now);
                self.is_server_up = true;
            }
            Party::Terminal(lane) => {
                let own = &mut self.lanes[lane];
                start_terminal(own, now);
                own.is_up = true;
                let name = own.terminal.name().clone();
                self.tap.terminal_restarts(&name);
                self.drain_lane(lane);
            }
        }
        self.connect_soon(party, 500);
    }

    pub(super) fn fault_at_commit(&self) -> Option<Fault> {
        self.fault_at(self.commits, |fault| {
            matches!(fault, Fault::KillPlatform | Fault::KillPlatformUnsent)
        })
    }

    pub(super) fn fault_at_request(&self) -> Option<Fault> {
        self.fault_at(self.requests, |fault| matches!(fault, Fault::KillServer))
    }

    pub(super) fn fault_at_write(&self, lane: usize) -> Option<Fault> {
        self.fault_at(self.lanes[lane].writes, |fault| {
            matches!(
                fault,
                Fault::CutTerminal { terminal } | Fault::FailSync { terminal }
                    if *terminal == lane
            )
        })
    }

    fn fault_at(&self, count: u64, is_kind: impl Fn(&Fault) -> bool) -> Option<Fault> {
        if self.tick.as_millis() >= self.plan.calm_ms {
            return None;
        }
        let hits = |(when, fault): &(When, Fault)| {
            let is_now = *when == When::Step { n: count };
            (is_now && is_kind(fault)).then_some(*fault)
        };
        self.plan.faults.iter().find_map(hits)
    }
}
