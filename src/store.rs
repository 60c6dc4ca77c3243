//! What stays: sled for checkpoints and indexes, an append-only journal for what must not be lost.
//! Nobody else knows sled. STUB of the skeleton.
