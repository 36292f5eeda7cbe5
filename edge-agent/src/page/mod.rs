//! What the payer sees.
