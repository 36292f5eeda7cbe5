//! A party that is shared by all states in which it is the same, with its fingerprint taken once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) struct Cell<T> {
    content: Arc<T>,
    fingerprint: u64,
}

impl<T: Clone> Cell<T> {
    pub(crate) fn new(content: T, feed: impl FnOnce(&T, &mut DefaultHasher)) -> Self {
        let mut hasher = DefaultHasher::new();
        feed(&content, &mut hasher);
        Self {
            content: Arc::new(content),
            fingerprint: hasher.finish(),
        }
    }

    pub(crate) fn content(&self) -> &T {
        &self.content
    }

    pub(crate) fn copy(&self) -> T {
        T::clone(&self.content)
    }
}

impl<T> Hash for Cell<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl<T> PartialEq for Cell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl<T> Eq for Cell<T> {}
