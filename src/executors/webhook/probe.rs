//! Whether deliveries can reach an inbox, as far as that can be told from here.
use super::inbox::Inbox;
use crate::{executor::ProbeResult, executors::error_chain::error_chain};
use reqwest::{Client, Url, redirect::Policy};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn probe(inbox: &Inbox) -> Vec<ProbeResult> {
    let with = if inbox.tls { ", with TLS" } else { "" };
    let mut found = vec![ProbeResult::ok("listen", format!("on {}{with}", inbox.bound))];
    let Some(url) = Url::parse(&inbox.public).ok().filter(|u| u.host_str().is_some()) else {
        let (tried, seen) = ("read `public_url`", format!("`{}` is no URL", inbox.public));
        found.push(ProbeResult::error(tried, seen, "write it like `https://runner.example:9000`"));
        return found;
    };
    let host = url.host_str().unwrap_or_default().to_string();
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_matches(['[', ']']).to_string();
    if let Err(e) = tokio::net::lookup_host((bare.as_str(), port)).await {
        found.push(ProbeResult::error(
            format!("resolve `{host}`"),
            e.to_string(),
            "name a host in `public_url` that the platform can resolve; if only the platform can, ignore this",
        ));
        return found;
    }
    found.push(led(inbox, &url, loopback(&bare)).await);
    let tried = "let the platform deliver";
    found.push(if loopback(&bare) {
        ProbeResult::warning(
            tried,
            format!("`{host}` means this machine only: a platform elsewhere delivers to itself"),
            "where it does not run here, listen on `0.0.0.0` and set `public_url` to a name of this machine",
        )
    } else {
        ProbeResult::warning(
            tried,
            format!("whether it reaches {} cannot be told from here", inbox.public),
            "have it ask that address once: any answer by HTTP, 404 too, is this inbox",
        )
    });
    found
}

/// Whether the public URL leads to this very inbox.
async fn led(inbox: &Inbox, url: &Url, local: bool) -> ProbeResult {
    let tried = format!("reach this inbox at {}", inbox.public);
    let (path, token) = inbox.boxes.own();
    let address = format!("{}/{path}", inbox.public);
    let strict = ask(&address, local, false).await;
    let (answer, untrusted) = match &strict {
        // somebody answers there and is not trusted: perhaps it is this inbox all the same
        Err(e) if url.scheme() == "https" && !e.is_timeout() => match ask(&address, local, true).await {
            Ok(answer) => (Ok(answer), Some(error_chain(e))),
            Err(_) => (strict, None),
        },
        _ => (strict, None),
    };
    match (answer, untrusted) {
        (Ok((_, text)), None) if text == token => ProbeResult::ok(tried, "it leads here"),
        (Ok((_, text)), Some(why)) if text == token => ProbeResult::warning(
            tried,
            format!("it leads here, but its certificate is not trusted: {why}"),
            "make sure that the platform trusts it, or does not ask; or take one from an authority that it trusts",
        ),
        (Ok((status, _)), _) => ProbeResult::error(
            tried,
            format!("somebody else answers there, with status {status}"),
            format!("let `public_url` lead to {}, or set it to where it does", inbox.bound),
        ),
        (Err(e), _) => {
            let seen = match e.is_timeout() {
                true => format!("no answer within {PATIENCE:?}"),
                false => error_chain(&e),
            };
            let plain = if inbox.tls && url.scheme() == "http" { "; this inbox speaks TLS: `https://`" } else { "" };
            let remedy = format!("is it a name of this machine, and does the port lead to {}?{plain}", inbox.bound);
            ProbeResult::error(tried, seen, remedy)
        }
    }
}

async fn ask(address: &str, local: bool, trusting: bool) -> reqwest::Result<(u16, String)> {
    // the client panics without one; whoever embeds the runner may not have chosen
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).danger_accept_invalid_certs(trusting);
    if local {
        client = client.no_proxy();
    }
    let answer = client.build()?.get(address).send().await?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
