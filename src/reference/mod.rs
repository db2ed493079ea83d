//! What can be said about each word of plans and environment files: for `explain`, for editors, and for the JSON
//! Schemas of both files. Reads `language` and the manuals of the executors; says nothing that they do not say.
mod entries;
mod manual;
pub mod schema;
mod search;

pub use self::{
    entries::{Entry, Kind, entries},
    manual::plain,
    search::{found, matching},
};
