//! Defects, one for each rule that can be taken away. They live here and nowhere else.

use edge_agent::rules::{Rule as Edge, Rules as EdgeRules};
use platform::rules::{Rule as Hub, Rules as HubRules};

/// A platform that lacks one rule.
#[derive(Debug, Clone, Copy)]
pub struct WithoutHub(pub Hub);

impl HubRules for WithoutHub {
    fn holds(&self, rule: Hub) -> bool {
        rule != self.0
    }
}

/// A terminal that lacks one rule.
#[derive(Debug, Clone, Copy)]
pub struct WithoutEdge(pub Edge);

impl EdgeRules for WithoutEdge {
    fn holds(&self, rule: Edge) -> bool {
        rule != self.0
    }
}
