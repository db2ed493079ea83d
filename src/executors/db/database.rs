//! The open target `db`: a connection pool, and the server's address for error messages.
use super::{
    connect_error::ServerAddress,
    pool::{LeaseError, Pool},
    server::Server,
};
use crate::{executor::ActionError, secrets::Secrets};
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Database {
    pub pool: Pool,
    address: ServerAddress,
    password: Option<String>,
    password_registered: AtomicBool,
}

impl Database {
    pub fn new(server: Box<dyn Server>, address: ServerAddress, password: Option<String>) -> Self {
        Database { pool: Pool::new(server), address, password, password_registered: AtomicBool::default() }
    }

    pub fn server(&self) -> &dyn Server {
        &*self.pool.server
    }

    pub fn lease_error(&self, error: &LeaseError) -> ActionError {
        let code = if let LeaseError::Connect(e) = error { self.server().error_code(e) } else { None };
        ActionError::Unreachable(self.address.describe_lease_error(error, code.as_deref()))
    }

    pub fn connect_error(&self, error: &sqlx::Error) -> ActionError {
        ActionError::Unreachable(self.address.describe(error, self.server().error_code(error).as_deref()))
    }

    /// Adds the password to the run's secrets, since a row may contain it. Addresses are always shown without it.
    pub fn register_password(&self, secrets: &Secrets) {
        if let Some(password) = &self.password
            && !self.password_registered.swap(true, Ordering::Relaxed)
        {
            secrets.add("database-password", password);
        }
    }
}
