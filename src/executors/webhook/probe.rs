//! For `doctor`: checks whether deliveries can reach an inbox, as far as this machine can tell.
use super::inbox::Inbox;
use crate::{
    executor::ProbeResult,
    executors::{
        error_chain::error_chain,
        net::{install_tls_provider, is_loopback},
    },
};
use reqwest::{Client, Url, redirect::Policy};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn probe(inbox: &Inbox) -> Vec<ProbeResult> {
    let tls = if inbox.has_tls { ", with TLS" } else { "" };
    let mut results = vec![ProbeResult::ok("listen", format!("on {}{tls}", inbox.bound))];
    let Some(url) = Url::parse(&inbox.public_url).ok().filter(|u| u.host_str().is_some()) else {
        let (check, found) = ("read `public_url`", format!("expected a URL, found `{}`", inbox.public_url));
        results.push(ProbeResult::error(check, found, "write it like `https://runner.example:9000`"));
        return results;
    };
    let host = url.host_str().unwrap_or_default().to_string();
    let port = url.port_or_known_default().unwrap_or(80);
    let bare_host = host.trim_matches(['[', ']']).to_string();
    if let Err(e) = tokio::net::lookup_host((bare_host.as_str(), port)).await {
        results.push(ProbeResult::error(
            format!("resolve `{host}`"),
            e.to_string(),
            "set `public_url` to a host that the platform can resolve; ignore this if only the platform can",
        ));
        return results;
    }
    let loopback = is_loopback(&url);
    results.push(check_public_url(inbox, &url, loopback).await);
    let check = "receive from the platform";
    results.push(if loopback {
        ProbeResult::warning(
            check,
            format!("`{host}` is a loopback address: only a platform on this machine can deliver to it"),
            "for a platform elsewhere, listen on `0.0.0.0` and set `public_url` to a name of this machine",
        )
    } else {
        ProbeResult::warning(
            check,
            format!("unknown from here whether the platform can reach {}", inbox.public_url),
            "request that address from the platform: any HTTP response, 404 too, comes from this inbox",
        )
    });
    results
}

/// Checks whether the public URL leads to this inbox, by its self-check path.
async fn check_public_url(inbox: &Inbox, url: &Url, loopback: bool) -> ProbeResult {
    let check = format!("reach this inbox at {}", inbox.public_url);
    let self_check = &inbox.boxes.self_check;
    let address = format!("{}/{}", inbox.public_url, self_check.path);
    let trusted = get(&address, loopback, false).await;
    // An untrusted response still shows whether it is this inbox.
    let (response, distrust) = match &trusted {
        Err(e) if url.scheme() == "https" && !e.is_timeout() => match get(&address, loopback, true).await {
            Ok(response) => (Ok(response), Some(error_chain(e))),
            Err(_) => (trusted, None),
        },
        _ => (trusted, None),
    };
    match (response, distrust) {
        (Ok((_, text)), None) if text == self_check.reply => ProbeResult::ok(check, "the URL leads to this inbox"),
        (Ok((_, text)), Some(reason)) if text == self_check.reply => ProbeResult::warning(
            check,
            format!("the URL leads to this inbox, but its certificate is not trusted here: {reason}"),
            "make the platform trust the certificate, or use one of an authority that it trusts",
        ),
        (Ok((status, _)), _) => ProbeResult::error(
            check,
            format!("another server responds there, with status {status}"),
            format!("forward `public_url` to {}, or set it to a URL that leads there", inbox.bound),
        ),
        (Err(e), _) => {
            let found = match e.is_timeout() {
                true => format!("no response within {TIMEOUT:?}"),
                false => error_chain(&e),
            };
            let scheme_hint = match url.scheme() {
                "http" if inbox.has_tls => "; this inbox uses TLS, so the URL must begin with `https://`",
                _ => "",
            };
            let advice =
                format!("does the host name this machine, and does the port lead to {}?{scheme_hint}", inbox.bound);
            ProbeResult::error(check, found, advice)
        }
    }
}

/// Status and text of the response. `insecure` accepts any certificate.
async fn get(address: &str, loopback: bool, insecure: bool) -> reqwest::Result<(u16, String)> {
    install_tls_provider();
    let mut client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT).danger_accept_invalid_certs(insecure);
    if loopback {
        client = client.no_proxy();
    }
    let response = client.build()?.get(address).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await?))
}
