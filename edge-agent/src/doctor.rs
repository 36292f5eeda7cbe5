//! What an operator asks first.
