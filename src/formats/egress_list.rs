//! Egress endpoints of a cloud services network for `az … --additional-egress-endpoints`: JSON with single quotes, so
//! that it can be quoted with double quotes.

/// One endpoint, with or without a port.
pub fn endpoint(domain: &str, port: Option<u64>) -> String {
    let port = port.map_or(String::new(), |port| format!(",'port':{port}"));
    format!("{{'domainName':'{domain}'{port}}}")
}

/// A category of the list.
pub fn category(name: &str, endpoints: &[String]) -> String {
    format!("{{'category':'{name}','endpoints':[{}]}}", endpoints.join(","))
}
