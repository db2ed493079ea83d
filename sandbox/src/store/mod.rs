//! The database: the only place with SQL.
//!
//! Each method of `Store` is one transaction. Events for webhooks are written in the transaction of the change that
//! caused them and returned, so that the caller can dispatch them. Knows neither HTTP nor Kubernetes.
mod audit;
mod jobs;
mod open;
mod read_cache;
mod read_defects;
mod row_defects;
mod schema;
mod session;
mod sessions;
mod sql;
mod users;
mod webhooks;

pub use self::{
    audit::{Entry, Filter, Logged},
    jobs::{Job, Operation},
    open::Store,
    session::{DELETED, NewSession, ObservedSession, Session},
    sessions::SessionChange,
    sql::{Gate, StoreError},
    users::SERVICE_USER,
    webhooks::{Attempt, Delivery, NewWebhook, RetryPolicy, Webhook},
};
