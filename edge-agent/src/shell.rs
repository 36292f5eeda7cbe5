//! The task that owns the machine.
