//! A tiny shop: orders in SQLite, and a webhook `order.shipped` that is signed, and retried after a 5xx.
//!
//! `cargo run -p tp-runner-systems --bin orders -- --help`
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use clap::{Parser, ValueEnum};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use systems::{MainResult, Refusal, listen, serve};
use uuid::Uuid;

const TABLES: &str = "
    create table if not exists orders (
        id text primary key, customer text not null, status text not null, total int not null);
    create table if not exists order_lines (
        order_id text not null, sku text not null, quantity int not null, price int not null);
    create table if not exists webhooks (id text primary key, url text not null, secret text not null);
";
const DELIVERY_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(300);

#[derive(Parser)]
struct Options {
    /// The address of the API.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The SQLite file; it is created if it is missing.
    #[arg(long, default_value = "/tmp/orders.db")]
    database: PathBuf,
    /// A bug for the plan to find.
    #[arg(long)]
    bug: Option<Bug>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Bug {
    /// The total ignores the quantities.
    WrongTotal,
    /// A delivery that was refused is lost.
    NoRetry,
    /// An order that was shipped can be cancelled.
    CancelsShipped,
}

struct Shop {
    database: SqlitePool,
    client: reqwest::Client,
    bug: Option<Bug>,
}

type Reply = Result<(StatusCode, Json<Value>), Refusal>;

#[tokio::main]
async fn main() -> MainResult {
    let options = Options::parse();
    // reqwest is built without a provider of its own
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = SqliteConnectOptions::new().filename(&options.database).create_if_missing(true);
    let database = SqlitePool::connect_with(file.journal_mode(SqliteJournalMode::Wal)).await?;
    sqlx::raw_sql(TABLES).execute(&database).await?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let api = Router::new()
        .route("/orders", post(create))
        .route("/orders/{id}", get(read))
        .route("/orders/{id}/cancel", post(cancel))
        .route("/orders/{id}/ship", post(ship))
        .route("/webhooks", post(subscribe))
        .route("/webhooks/{id}", delete(unsubscribe))
        .with_state(Arc::new(Shop { database, client, bug: options.bug }));
    serve("orders", listen(options.listen).await?, api).await
}

#[derive(Deserialize)]
struct NewOrder {
    customer: String,
    lines: Vec<Line>,
}

/// A line of an order. Prices are in cents.
#[derive(Deserialize, Serialize)]
struct Line {
    sku: String,
    quantity: i64,
    price: i64,
}

async fn create(State(shop): State<Arc<Shop>>, Json(order): Json<NewOrder>) -> Reply {
    if order.lines.is_empty() || order.lines.iter().any(|line| line.quantity < 1 || line.price < 0) {
        let message = "an order needs lines with a quantity of 1 or more";
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, message.into()));
    }
    let factor = |line: &Line| if shop.bug == Some(Bug::WrongTotal) { 1 } else { line.quantity };
    let total: i64 = order.lines.iter().map(|line| factor(line) * line.price).sum();
    let id = Uuid::new_v4().to_string();
    let mut transaction = shop.database.begin().await?;
    let insert = "insert into orders (id, customer, status, total) values (?, ?, 'placed', ?)";
    sqlx::query(insert).bind(&id).bind(&order.customer).bind(total).execute(&mut *transaction).await?;
    for line in &order.lines {
        let insert = "insert into order_lines (order_id, sku, quantity, price) values (?, ?, ?, ?)";
        let insert = sqlx::query(insert).bind(&id).bind(&line.sku).bind(line.quantity).bind(line.price);
        insert.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(shop.order(&id).await?)))
}

async fn read(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Reply {
    Ok((StatusCode::OK, Json(shop.order(&id).await?)))
}

async fn cancel(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Reply {
    let shipped = if shop.bug == Some(Bug::CancelsShipped) { "shipped" } else { "placed" };
    shop.change(&id, "cancelled", &["placed", "cancelled", shipped]).await
}

async fn ship(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Reply {
    let reply = shop.change(&id, "shipped", &["placed"]).await?;
    let event = json!({ "event": "order.shipped", "order": &reply.1.0 }).to_string();
    for webhook in sqlx::query("select url, secret from webhooks").fetch_all(&shop.database).await? {
        let (url, secret): (String, String) = (webhook.try_get("url")?, webhook.try_get("secret")?);
        tokio::spawn(deliver(shop.clone(), url, secret, event.clone()));
    }
    Ok(reply)
}

impl Shop {
    async fn order(&self, id: &str) -> Result<Value, Refusal> {
        let select = sqlx::query("select customer, status, total from orders where id = ?").bind(id);
        let Some(row) = select.fetch_optional(&self.database).await? else {
            return Err(Refusal(StatusCode::NOT_FOUND, format!("order {id} does not exist")));
        };
        let (customer, status): (String, String) = (row.try_get("customer")?, row.try_get("status")?);
        Ok(json!({ "id": id, "customer": customer, "status": status, "total": row.try_get::<i64, _>("total")? }))
    }

    /// Gives an order another status if it has one of the `allowed` ones.
    async fn change(&self, id: &str, status: &str, allowed: &[&str]) -> Reply {
        let update = "update orders set status = ? where id = ? and status in (select value from json_each(?))";
        let update = sqlx::query(update).bind(status).bind(id).bind(json!(allowed).to_string());
        let changed = update.execute(&self.database).await?.rows_affected() == 1;
        let order = self.order(id).await?;
        if changed {
            return Ok((StatusCode::OK, Json(order)));
        }
        Err(Refusal(StatusCode::CONFLICT, format!("an order that is {} cannot become {status}", order["status"])))
    }
}

#[derive(Deserialize)]
struct NewWebhook {
    url: String,
}

async fn subscribe(State(shop): State<Arc<Shop>>, Json(webhook): Json<NewWebhook>) -> Reply {
    let (id, secret) = (Uuid::new_v4().to_string(), Uuid::new_v4().simple().to_string());
    let insert = sqlx::query("insert into webhooks (id, url, secret) values (?, ?, ?)");
    insert.bind(&id).bind(&webhook.url).bind(&secret).execute(&shop.database).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id, "secret": secret }))))
}

async fn unsubscribe(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    sqlx::query("delete from webhooks where id = ?").bind(id).execute(&shop.database).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends an event: the same bytes, signature and id at each attempt. A 5xx and no response are retried, after pauses
/// that double.
async fn deliver(shop: Arc<Shop>, url: String, secret: String, event: String) {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return };
    mac.update(event.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let id = Uuid::new_v4().to_string();
    for attempt in 0..DELIVERY_ATTEMPTS {
        let request = shop.client.post(&url).header("content-type", "application/json").body(event.clone());
        let request = request.header("x-orders-delivery", &id).header("x-orders-signature", &signature);
        let refused = request.send().await.map_or(true, |response| response.status().is_server_error());
        if !refused || shop.bug == Some(Bug::NoRetry) {
            return;
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt)).await;
    }
    eprintln!("order.shipped was not delivered to {url}");
}
