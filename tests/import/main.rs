//! `import` and `sync`: plans in the layouts of many teams, and what holds for all documents.
mod fixtures;
mod outline;
mod properties;
mod sync;
