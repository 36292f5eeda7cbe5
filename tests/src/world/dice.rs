//! All randomness of a simulated world: streams of a seed, each drawn by one party alone, so that
//! one party's draw never shifts another's.

use protocol::id::Entropy;

/// One stream (splitmix64). A clone draws what the original would have drawn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dice(u64);

impl Dice {
    /// The stream number `stream` of `seed`.
    #[must_use]
    pub const fn new(seed: u64, stream: u64) -> Self {
        let start = mix(seed).wrapping_add(mix(stream.wrapping_add(0x5851_f42d_4c95_7f2d)));
        Self(mix(start))
    }

    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is above zero.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.draw() % if end == 0 { 1 } else { end }
    }

    /// A number from `start` to `end`, both included.
    pub const fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end.saturating_sub(start).saturating_add(1))
    }

    /// True in `per_mille` of 1,000 draws.
    pub const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of several, each as likely as the others.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64);
        from.get(usize::try_from(index).ok()?)
    }
}

impl Entropy for Dice {
    fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (first, second) = bytes.split_at_mut(8);
        first.copy_from_slice(&self.draw().to_be_bytes());
        second.copy_from_slice(&self.draw().to_be_bytes());
        bytes
    }
}

const fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
