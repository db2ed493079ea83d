//! Defects that put internals into error responses.
use crate::defect::{Defect as D, Defects};
use axum::http::StatusCode;

pub const RUST: &str = "thread 'tokio-runtime-worker' panicked at src/api/sessions.rs:98:17:
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt
   2: streamspace::api::sessions::create";

/// In one line, as a header needs it.
pub const GO: &str = "goroutine 41 [running]: main.(*API).create(0xc000124000) /app/api/sessions.go:98 +0x1d";

const JAVA: &str = "java.lang.IllegalStateException
\tat space.stream.api.Sessions.create(Unknown Source)
\tat space.stream.api.Router.handle(Unknown Source)";

const PYTHON: &str = "File \"/srv/streamspace/sessions.py\", line 98, in create";

const DOTNET: &str = "System.InvalidOperationException: Sequence contains no elements
   at StreamSpace.Api.Sessions.Create(String user)";

const PHP: &str = "#0 /var/www/html/sessions.php(98): Sessions->create()\n#1 {main}";

const RUBY: &str = "app/controllers/sessions_controller.rb:98:in `create'";

/// The field that an error has by a defect, and its text.
pub fn trace(defects: Defects, status: StatusCode) -> Option<(&'static str, &'static str)> {
    let traces = [
        (D::ErrorsTrace, "stack", RUST),
        (D::ErrorsTraceJava, "trace", JAVA),
        (D::ErrorsTracePython, "detail", PYTHON),
        (D::ErrorsTraceDotnet, "exception", DOTNET),
        (D::ErrorsTracePhp, "trace", PHP),
        (D::ErrorsTraceRuby, "detail", RUBY),
    ];
    let only = match status {
        StatusCode::NOT_FOUND => defects.has(D::ErrorsTraceNotFound),
        StatusCode::UNAUTHORIZED => defects.has(D::ErrorsTraceUnauthorized),
        _ => false,
    };
    let found = traces.into_iter().find(|(defect, ..)| defects.has(*defect));
    found.map(|(_, field, text)| (field, text)).or(only.then_some(("stack", RUST)))
}

/// The message about an unreachable database, with internals.
pub fn database_message(defects: Defects) -> Option<&'static str> {
    match () {
        () if defects.has(D::DatabaseDownTellsUrl) => {
            Some("The database is unavailable: postgres://streamspace@database/streamspace")
        }
        () if defects.has(D::DatabaseDownTellsHost) => {
            Some("The database is unavailable: lookup postgres.streamspace.svc.cluster.local: i/o timeout")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_status_has_a_trace() {
        let with = |defect: D, status| trace([defect].into_iter().collect(), status).is_some();
        assert!(trace(Defects::default(), StatusCode::NOT_FOUND).is_none());
        assert!(with(D::ErrorsTraceNotFound, StatusCode::NOT_FOUND));
        assert!(!with(D::ErrorsTraceNotFound, StatusCode::UNAUTHORIZED));
        assert!(with(D::ErrorsTraceUnauthorized, StatusCode::UNAUTHORIZED));
        assert!(with(D::ErrorsTraceJava, StatusCode::BAD_REQUEST));
    }
}
