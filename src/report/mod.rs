//! The reader's side: from events to what people and machines read. Imports neither engine nor executors.
