//! A TCP relay that can be cut and healed.
