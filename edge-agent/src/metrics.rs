//! Events, their log lines and counters.
