//! Query parameters.

use std::collections::BTreeMap;

/// The decoded parameters of a raw query. Of a repeated name the last one counts. `+` is a space,
/// as in HTML forms.
pub fn parse(query: &str) -> BTreeMap<String, String> {
    // Not collected: that allocates a list and sorts it, for few parameters of every request.
    let mut parameters = BTreeMap::new();
    parameters.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    parameters
}

/// A raw query in which this parameter has this value, which needs no encoding.
pub fn with(query: &str, name: &str, value: &str) -> String {
    let is_it = |pair: &str| form_urlencoded::parse(pair.as_bytes()).any(|(known, _)| known == name);
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !is_it(pair)).collect();
    let pair = [name, "=", value].concat();
    pairs.push(&pair);
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::{parse, with};

    #[test]
    fn a_parameter_replaces_those_of_its_name() {
        for (query, expected) in
            [("", "after=file-1"), ("limit=5&after=a&order=asc&%61fter=b", "limit=5&order=asc&after=file-1")]
        {
            assert_eq!(with(query, "after", "file-1"), expected);
        }
    }

    #[test]
    fn parameters_are_decoded_and_the_last_of_a_name_counts() {
        let query = parse("api-version=2024-10-21&tier=a%2Bb+c&&flag&tier2=%zz&api-version=v1");
        let pairs: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("api-version", "v1"), ("flag", ""), ("tier", "a+b c"), ("tier2", "%zz")]);
        assert!(parse("").is_empty());
    }
}
