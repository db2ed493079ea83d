//! Addresses of a service.
use serde_json::Value as Json;

/// The addresses of a list of servers, with the defaults of their variables, without a slash at the end.
pub fn all(servers: &Json) -> Vec<String> {
    let urls = servers.as_array().into_iter().flatten().filter_map(|server| {
        let mut url = server["url"].as_str()?.to_string();
        for (name, variable) in server["variables"].as_object().into_iter().flatten() {
            url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
        }
        Some(url.trim_end_matches('/').to_string())
    });
    urls.filter(|url| url.chars().all(|c| matches!(c, '!'..='~') && !"\"'<>\\^`{|}$?#".contains(c))).collect()
}

/// The address of the service at `url`: with the path of the first server of the document, unless it has its own.
pub fn base(url: &str, servers: &[String]) -> String {
    let url = url.trim_end_matches('/');
    let path_of = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.find('/').map(|at| rest[at..].to_string()).unwrap_or_default()
    };
    match servers.first() {
        Some(server) if url.contains("://") && path_of(url).is_empty() => format!("{url}{}", path_of(server)),
        _ => url.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_that_of_the_document() {
        for (url, server, expected) in [
            ("http://localhost:8080/", "https://petstore.example/api/v3", "http://localhost:8080/api/v3"),
            ("http://localhost:8080", "/v1", "http://localhost:8080/v1"),
            ("http://localhost:8080/own", "/v1", "http://localhost:8080/own"),
            ("http://localhost:8080", "https://h.example", "http://localhost:8080"),
        ] {
            assert_eq!(base(url, &[server.to_string()]), expected);
        }
        assert_eq!(base("http://h", &[]), "http://h");
    }
}
