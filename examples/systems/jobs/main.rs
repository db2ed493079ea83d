//! A tiny job queue on PostgreSQL: workers that claim with `for update skip locked`, retries, and a dead letter.
//!
//! `cargo run -p tp-runner-systems --bin jobs -- --help`
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use clap::{Parser, ValueEnum};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{PgPool, Row, postgres::PgRow};
use std::{fs::File, io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use systems::{MainResult, Refusal, listen, serve};

/// `runs` records each attempt of a job.
const TABLES: &str = "
    create table if not exists jobs (
        id bigint generated always as identity primary key, tag text not null, kind text not null,
        payload jsonb not null, state text not null default 'queued', attempts int not null default 0,
        max_attempts int not null, due timestamptz not null default now(), result jsonb, error text);
    create table if not exists runs (
        job bigint not null references jobs on delete cascade, attempt int not null, worker int not null,
        started timestamptz not null default clock_timestamp());
";
/// One statement claims the next job: rows that another worker has locked are skipped, so no two workers take the same.
const CLAIM: &str = "
    update jobs set state = 'running', attempts = attempts + 1
    where id = (
        select id from jobs where state = 'queued' and due <= now() order by due, id limit 1 for update skip locked)
    returning id, kind, payload, attempts, max_attempts";
/// A bug: between the two statements, other workers find the same job.
const FIND: &str = "select id from jobs where state = 'queued' and due <= now() order by due, id limit 1";
const TAKE: &str = "
    update jobs set state = 'running', attempts = attempts + 1 where id = $1
    returning id, kind, payload, attempts, max_attempts";
const KINDS: [&str; 3] = ["echo", "flaky", "broken"];
/// What a job takes.
const JOB_DURATION: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const FIRST_PAUSE: Duration = Duration::from_millis(200);

#[derive(Parser)]
struct Options {
    /// The address of the API.
    #[arg(long, default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
    /// The PostgreSQL database; the tables are created if they are missing.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: String,
    /// The file for the log; lines are appended.
    #[arg(long, default_value = "/tmp/jobs.log")]
    log: PathBuf,
    #[arg(long, default_value_t = 4)]
    workers: i32,
    /// A bug for the plan to find.
    #[arg(long)]
    bug: Option<Bug>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Bug {
    /// Several workers may take the same job.
    DoubleClaim,
    /// A job that failed is retried at once.
    NoPause,
    /// A job whose last attempt failed stays in the queue.
    NoDeadLetter,
}

struct Queue {
    database: PgPool,
    log: File,
    bug: Option<Bug>,
}

#[tokio::main]
async fn main() -> MainResult {
    let options = Options::parse();
    let database = PgPool::connect(&options.database).await?;
    sqlx::raw_sql(TABLES).execute(&database).await?;
    let log = File::options().create(true).append(true).open(&options.log)?;
    let queue = Arc::new(Queue { database, log, bug: options.bug });
    queue.log("INFO", &format!("{} workers started", options.workers));
    for worker in 1..=options.workers {
        tokio::spawn(work(queue.clone(), worker));
    }
    let api = Router::new()
        .route("/jobs", post(enqueue))
        .route("/jobs/{id}", get(read))
        .route("/jobs/{id}/retry", post(retry));
    serve("jobs", listen(options.listen).await?, api.with_state(queue)).await
}

#[derive(Deserialize)]
struct NewJob {
    tag: String,
    kind: String,
    #[serde(default)]
    payload: Value,
    max_attempts: Option<i32>,
}

type Reply = Result<(StatusCode, Json<Value>), Refusal>;

async fn enqueue(State(queue): State<Arc<Queue>>, Json(job): Json<NewJob>) -> Reply {
    let max_attempts = job.max_attempts.unwrap_or(3);
    if !KINDS.contains(&job.kind.as_str()) || max_attempts < 1 {
        let message = format!("expected a kind of {KINDS:?} and 1 attempt or more, found {:?}", job.kind);
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    let insert = "insert into jobs (tag, kind, payload, max_attempts) values ($1, $2, $3, $4) returning id, state";
    let insert = sqlx::query(insert).bind(&job.tag).bind(&job.kind).bind(&job.payload).bind(max_attempts);
    let row = insert.fetch_one(&queue.database).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": row.try_get::<i64, _>("id")?, "state": "queued" }))))
}

async fn read(State(queue): State<Arc<Queue>>, Path(id): Path<i64>) -> Reply {
    let select = sqlx::query("select state, attempts, result, error from jobs where id = $1").bind(id);
    let Some(row) = select.fetch_optional(&queue.database).await? else {
        return Err(Refusal(StatusCode::NOT_FOUND, format!("job {id} does not exist")));
    };
    let (state, error): (String, Option<String>) = (row.try_get("state")?, row.try_get("error")?);
    let (attempts, result): (i32, Option<Value>) = (row.try_get("attempts")?, row.try_get("result")?);
    let job = json!({ "id": id, "state": state, "attempts": attempts, "result": result, "error": error });
    Ok((StatusCode::OK, Json(job)))
}

/// Puts a dead letter back into the queue.
async fn retry(State(queue): State<Arc<Queue>>, Path(id): Path<i64>) -> Reply {
    let update = "update jobs set state = 'queued', attempts = 0, due = now() where id = $1 and state = 'dead'";
    if sqlx::query(update).bind(id).execute(&queue.database).await?.rows_affected() == 0 {
        return Err(Refusal(StatusCode::CONFLICT, format!("job {id} is not a dead letter")));
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id, "state": "queued" }))))
}

/// Claims and performs jobs, one after the other.
async fn work(queue: Arc<Queue>, worker: i32) {
    loop {
        let worked = match queue.claim().await {
            Ok(Some(job)) => queue.perform(&job, worker).await.map(|()| true),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        if let Err(error) = &worked {
            queue.log("ERROR", &format!("worker={worker} database: {error}"));
        }
        if !worked.unwrap_or(false) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Queue {
    async fn claim(&self) -> sqlx::Result<Option<PgRow>> {
        if self.bug != Some(Bug::DoubleClaim) {
            return sqlx::query(CLAIM).fetch_optional(&self.database).await;
        }
        let Some(row) = sqlx::query(FIND).fetch_optional(&self.database).await? else { return Ok(None) };
        tokio::time::sleep(POLL_INTERVAL).await;
        sqlx::query(TAKE).bind(row.try_get::<i64, _>("id")?).fetch_optional(&self.database).await
    }

    async fn perform(&self, job: &PgRow, worker: i32) -> sqlx::Result<()> {
        let (id, kind, payload): (i64, String, Value) =
            (job.try_get("id")?, job.try_get("kind")?, job.try_get("payload")?);
        let (attempt, last): (i32, i32) = (job.try_get("attempts")?, job.try_get("max_attempts")?);
        let run = sqlx::query("insert into runs (job, attempt, worker) values ($1, $2, $3)").bind(id);
        run.bind(attempt).bind(worker).execute(&self.database).await?;
        tokio::time::sleep(JOB_DURATION).await;
        let failure = match kind.as_str() {
            "flaky" if i64::from(attempt) <= payload["failures"].as_i64().unwrap_or(1) => "not yet",
            "broken" => "cannot be done",
            _ => {
                self.log("INFO", &format!("job={id} attempt={attempt} worker={worker} done"));
                let done = "update jobs set state = 'done', result = $2, error = null where id = $1";
                return sqlx::query(done).bind(id).bind(payload).execute(&self.database).await.map(drop);
            }
        };
        self.log("WARN", &format!("job={id} attempt={attempt} worker={worker} failed: {failure}"));
        let dead = attempt >= last && self.bug != Some(Bug::NoDeadLetter);
        if dead {
            self.log("ERROR", &format!("job={id} is a dead letter after {attempt} attempts"));
        }
        // the pause doubles with each attempt
        let pause =
            if self.bug == Some(Bug::NoPause) { Duration::ZERO } else { FIRST_PAUSE * (1 << (attempt - 1).min(8)) };
        let failed = "update jobs set state = $2, error = $3, due = now() + make_interval(secs => $4) where id = $1";
        let failed = sqlx::query(failed).bind(id).bind(if dead { "dead" } else { "queued" }).bind(failure);
        failed.bind(pause.as_secs_f64()).execute(&self.database).await.map(drop)
    }

    fn log(&self, level: &str, message: &str) {
        // a log that cannot be written does not stop the queue
        let _ = (&self.log).write_all(format!("{} {level} {message}\n", Timestamp::now()).as_bytes());
    }
}
