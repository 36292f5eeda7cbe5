//! The linkage devices.
