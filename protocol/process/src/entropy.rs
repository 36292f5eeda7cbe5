//! The operating system's randomness.

use protocol::id::Entropy;
use ring::rand::{SecureRandom, SystemRandom};

/// Unguessable bytes from the operating system.
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    #[must_use]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        fill(&self.0, &mut bytes);
        bytes
    }
}

/// Fills `bytes` or ends the process.
pub(crate) fn fill(random: &SystemRandom, bytes: &mut [u8]) {
    if random.fill(bytes).is_err() {
        // Nonces, tokens and keys made without randomness can be guessed, and money hangs on
        // them. No caller could do anything safer than stop, and this must hold for every caller.
        tracing::error!("the operating system gives no randomness; ending the process");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_do_not_repeat() {
        let mut entropy = SystemEntropy::new();
        assert_ne!(entropy.bytes(), entropy.bytes());
    }
}
