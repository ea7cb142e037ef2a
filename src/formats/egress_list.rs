//! Egress endpoints of a cloud services network as `az … --additional-egress-endpoints` takes them: single quotes
//! inside, so that the whole can stand in double ones.

/// One endpoint; without a port where none is told.
pub fn endpoint(domain: &str, port: Option<u64>) -> String {
    let port = port.map_or(String::new(), |port| format!(",'port':{port}"));
    format!("{{'domainName':'{domain}'{port}}}")
}

/// A category of the list.
pub fn category(name: &str, endpoints: &[String]) -> String {
    format!("{{'category':'{name}','endpoints':[{}]}}", endpoints.join(","))
}
